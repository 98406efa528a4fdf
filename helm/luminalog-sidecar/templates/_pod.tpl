{{/* What the daemon's container is in every mode: image, arguments, environment, rights. */}}

{{- define "luminalog-sidecar.containerBase" -}}
image: {{ include "luminalog-sidecar.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
command: [luminalog-sidecar]
args: [run, --config, {{ include "luminalog-sidecar.configFile" . }}]
env:
  - name: NODE_NAME
    valueFrom:
      fieldRef:
        fieldPath: spec.nodeName
  - name: POD_NAME
    valueFrom:
      fieldRef:
        fieldPath: metadata.name
  - name: POD_NAMESPACE
    valueFrom:
      fieldRef:
        fieldPath: metadata.namespace
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
livenessProbe:
  httpGet:
    path: /healthz
    port: {{ include "luminalog-sidecar.adminPort" . }}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
{{- end }}

{{/* In somebody else's pod the name must not meet theirs. */}}
{{- define "luminalog-sidecar.adminPort" -}}
{{- ternary "luminalog-admin" "admin" (eq .Values.mode "sidecar") -}}
{{- end }}

{{/*
What makes the pods be replaced. What the daemon takes over while it runs is not in it, unless `configChange` says so;
what it reads only at its start always is.
*/}}
{{- define "luminalog-sidecar.checksums" -}}
{{- $config := include "luminalog-sidecar.config" . -}}
{{- $parsed := fromJson $config -}}
checksum/restart: {{ list $parsed.admin (dig "admin-token" "" .Values.secrets.values) $parsed.state_dir (dig "webhooks" "listen" "" $parsed) | toJson | sha256sum }}
{{- if eq .Values.configChange "roll" }}
checksum/config: {{ list $config .Values.rulesFiles .Values.secrets.values | toJson | sha256sum }}
{{- end }}
{{- end }}

{{/* The pod of the modes `daemonset` and `target`. `state`: the volume's source; none: a claim of that name. */}}
{{- define "luminalog-sidecar.pod" -}}
{{- $ := .context -}}
{{- $daemonset := eq $.Values.mode "daemonset" -}}
metadata:
  labels:
    {{- include "luminalog-sidecar.labels" $ | nindent 4 }}
    app.kubernetes.io/component: daemon
    {{- with $.Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    {{- include "luminalog-sidecar.checksums" $ | nindent 4 }}
    {{- with $.Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "luminalog-sidecar.serviceAccountName" $ }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ $.Values.terminationGracePeriodSeconds }}
  {{- with $.Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    {{- with $.Values.securityContext.runAsGroup }}
    fsGroup: {{ int64 . }}
    fsGroupChangePolicy: OnRootMismatch
    {{- end }}
    {{- if $daemonset }}
    # Runtimes give container logs to group 0, which may read them.
    supplementalGroups: [0]
    {{- end }}
    seccompProfile:
      type: RuntimeDefault
  {{- if and $daemonset $.Values.daemonset.prepareState }}
  initContainers:
    # The kubelet makes the directory for root alone. Its owner may give it to a group that it is in without any capability.
    - name: prepare-state
      image: {{ include "luminalog-sidecar.image" $ }}
      imagePullPolicy: {{ $.Values.image.pullPolicy }}
      command: [sh, -c, "chgrp {{ default 0 $.Values.securityContext.runAsGroup | int64 }} /state && chmod 0770 /state"]
      resources:
        requests:
          cpu: 10m
          memory: 16Mi
        limits:
          memory: 64Mi
      securityContext:
        runAsNonRoot: false
        runAsUser: 0
        runAsGroup: {{ default 0 $.Values.securityContext.runAsGroup | int64 }}
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
        seccompProfile:
          type: RuntimeDefault
      volumeMounts:
        - name: state
          mountPath: /state
  {{- end }}
  containers:
    - name: luminalog-sidecar
      {{- include "luminalog-sidecar.containerBase" $ | nindent 6 }}
      ports:
        - name: admin
          containerPort: {{ $.Values.ports.admin }}
        {{- if not $daemonset }}
        - name: ingest
          containerPort: {{ $.Values.ports.ingest }}
        {{- if $.Values.webhooks.enabled }}
        - name: webhooks
          containerPort: {{ $.Values.ports.webhooks }}
        {{- end }}
        {{- end }}
      # State of an older version is brought up to date first.
      startupProbe:
        httpGet:
          path: /healthz
          port: admin
        periodSeconds: 2
        timeoutSeconds: 5
        failureThreshold: 90
      readinessProbe:
        httpGet:
          path: /readyz
          port: admin
        periodSeconds: 5
        timeoutSeconds: 5
      volumeMounts:
        - name: config
          mountPath: /etc/luminalog-sidecar/config
          readOnly: true
        - name: secrets
          mountPath: /etc/luminalog-sidecar/secrets
          readOnly: true
        - name: state
          mountPath: /var/lib/luminalog-sidecar
        - name: tmp
          mountPath: /tmp
        {{- if $daemonset }}
        - name: logs
          mountPath: {{ $.Values.daemonset.logsHostPath }}
          readOnly: true
        {{- with $.Values.daemonset.dockerHostPath }}
        - name: docker
          mountPath: {{ . }}
          readOnly: true
        {{- end }}
        {{- else if $.Values.target.tls.existingSecret }}
        - name: tls
          mountPath: /etc/luminalog-sidecar/tls
          readOnly: true
        {{- end }}
        {{- with $.Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "luminalog-sidecar.fullname" $ }}
    {{- include "luminalog-sidecar.secretsVolume" (dict "context" $ "name" "secrets" "mode" "0440") | nindent 4 }}
    - name: tmp
      emptyDir:
        sizeLimit: 64Mi
    {{- with .state }}
    - name: state
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- if $daemonset }}
    - name: logs
      hostPath:
        path: {{ $.Values.daemonset.logsHostPath }}
        type: Directory
    {{- with $.Values.daemonset.dockerHostPath }}
    - name: docker
      hostPath:
        path: {{ . }}
        type: Directory
    {{- end }}
    {{- else if $.Values.target.tls.existingSecret }}
    - name: tls
      secret:
        secretName: {{ $.Values.target.tls.existingSecret }}
        defaultMode: 0440
    {{- end }}
    {{- with $.Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $.Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $.Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with (ternary (default $.Values.daemonset.tolerations $.Values.tolerations) $.Values.tolerations $daemonset) }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
