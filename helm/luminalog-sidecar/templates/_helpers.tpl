{{/*
Names, labels and where things stand in the container. Each template is called with the chart's own context; a parent
chart has it as `index .Subcharts "luminalog-sidecar"`.
*/}}

{{- define "luminalog-sidecar.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* 50 characters leave room for what is added to it, below the 63 of a label. */}}
{{- define "luminalog-sidecar.fullname" -}}
{{- $name := include "luminalog-sidecar.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{- define "luminalog-sidecar.selectorLabels" -}}
app.kubernetes.io/name: {{ include "luminalog-sidecar.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Of the daemon's own pods: not of the pod that tests them. */}}
{{- define "luminalog-sidecar.podSelectorLabels" -}}
{{ include "luminalog-sidecar.selectorLabels" . }}
app.kubernetes.io/component: daemon
{{- end }}

{{- define "luminalog-sidecar.testLabels" -}}
{{ include "luminalog-sidecar.selectorLabels" . }}
app.kubernetes.io/component: test
{{- end }}

{{- define "luminalog-sidecar.labels" -}}
{{ include "luminalog-sidecar.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "luminalog-sidecar.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "luminalog-sidecar.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{- default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end }}

{{- define "luminalog-sidecar.image" -}}
{{- with .Values.image -}}
{{- if .registry }}{{ .registry }}/{{ end }}{{ .repository }}
{{- if .digest }}@{{ .digest }}{{ else }}:{{ default $.Chart.AppVersion .tag }}{{ end -}}
{{- end -}}
{{- end }}

{{- define "luminalog-sidecar.configFile" -}}
/etc/luminalog-sidecar/config/sidecar.json
{{- end }}

{{/* The Secret with what the values give: the user's own, or the one that is created. Empty: there is none. */}}
{{- define "luminalog-sidecar.secretName" -}}
{{- if .Values.secrets.existingSecret -}}
{{- .Values.secrets.existingSecret }}
{{- else if .Values.secrets.values -}}
{{- include "luminalog-sidecar.fullname" . }}
{{- end -}}
{{- end }}

{{/* Keys of the tokens that nobody gave, separated by spaces: each is made up, in a Secret of its own. */}}
{{- define "luminalog-sidecar.madeUp" -}}
{{- if not .Values.secrets.existingSecret -}}
{{- $keys := list -}}
{{- range $key := ternary (list "admin-token" "ingest-tokens") (list "admin-token") (eq .Values.mode "target") -}}
{{- if not (hasKey $.Values.secrets.values $key) -}}
{{- $keys = append $keys $key -}}
{{- end -}}
{{- end -}}
{{- join " " $keys -}}
{{- end -}}
{{- end }}

{{/* Everything by name below /etc/luminalog-sidecar/secrets. `mode`: the files' permissions. */}}
{{- define "luminalog-sidecar.secretsVolume" -}}
{{- $context := .context -}}
- name: {{ .name }}
  projected:
    defaultMode: {{ .mode }}
    sources:
      {{- with include "luminalog-sidecar.secretName" $context }}
      - secret:
          name: {{ . }}
      {{- end }}
      {{- range $key := splitList " " (include "luminalog-sidecar.madeUp" $context) }}
      {{- if $key }}
      - secret:
          name: {{ include "luminalog-sidecar.fullname" $context }}-{{ $key }}
      {{- end }}
      {{- end }}
{{- end }}
