{{/*
A native sidecar for pods of yours. In a chart that depends on this one (with `mode: sidecar`):

    {{- $sidecar := index .Subcharts "luminalog-sidecar" }}
    metadata:
      labels:      {{- include "luminalog-sidecar.sidecar.labels" $sidecar | nindent 8 }}
      annotations: {{- include "luminalog-sidecar.sidecar.annotations" $sidecar | nindent 8 }}
    spec:
      terminationGracePeriodSeconds: 70     # what your containers need to stop, and 40
      initContainers: {{- include "luminalog-sidecar.sidecar.container" $sidecar | nindent 8 }}
      volumes:        {{- include "luminalog-sidecar.sidecar.volumes" $sidecar | nindent 8 }}

and the volume `luminalog-logs` mounted where your application writes its log.
It has no readiness probe, and no startup probe: trouble with paging must not take your application out of service, nor
keep it from starting.
*/}}

{{- define "luminalog-sidecar.sidecar.container" -}}
- name: luminalog-sidecar
  restartPolicy: Always
  {{- include "luminalog-sidecar.containerBase" . | nindent 2 }}
  ports:
    - name: luminalog-admin
      containerPort: {{ .Values.ports.admin }}
  volumeMounts:
    - name: luminalog-config
      mountPath: /etc/luminalog-sidecar/config
      readOnly: true
    - name: luminalog-secrets
      mountPath: /etc/luminalog-sidecar/secrets
      readOnly: true
    - name: luminalog-state
      mountPath: /var/lib/luminalog-sidecar
    - name: luminalog-tmp
      mountPath: /tmp
    - name: luminalog-logs
      mountPath: {{ .Values.sidecar.logPath }}
      readOnly: true
    {{- with .Values.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{- define "luminalog-sidecar.sidecar.volumes" -}}
- name: luminalog-config
  configMap:
    name: {{ include "luminalog-sidecar.fullname" . }}
{{- /* The pod may have no fsGroup: only the sidecar mounts it, so all of that container may read it. */}}
{{ include "luminalog-sidecar.secretsVolume" (dict "context" . "name" "luminalog-secrets" "mode" "0444") }}
- name: luminalog-state
  {{- default (dict "emptyDir" (dict "sizeLimit" "1Gi")) .Values.sidecar.stateVolume | toYaml | nindent 2 }}
- name: luminalog-tmp
  emptyDir:
    sizeLimit: 64Mi
- name: luminalog-logs
  emptyDir: {}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* By this the PodMonitor finds the pods. */}}
{{- define "luminalog-sidecar.sidecar.labels" -}}
luminalog-sidecar/watched-by: {{ include "luminalog-sidecar.fullname" . }}
{{- end }}

{{- define "luminalog-sidecar.sidecar.annotations" -}}
{{- include "luminalog-sidecar.checksums" . }}
{{- end }}
