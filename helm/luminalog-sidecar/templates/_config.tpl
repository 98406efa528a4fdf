{{/*
The program's configuration: what the mode needs, and over that what the values say.
It is written as JSON: how large numbers look in YAML (1000000 or 1e+06) has differed between versions of Helm.
*/}}

{{- define "luminalog-sidecar.config" -}}
{{- include "luminalog-sidecar.refuse" . -}}
{{- $listen := .Values.listenAddress -}}
{{- $secrets := "/etc/luminalog-sidecar/secrets" -}}
{{- $base := dict
  "admin" (dict "listen" (printf "%s:%d" $listen (int .Values.ports.admin)) "token_file" (printf "%s/admin-token" $secrets))
  "state_dir" "/var/lib/luminalog-sidecar/state"
  "drain_seconds" 25
-}}
{{- if .Values.webhooks.enabled -}}
{{- $webhooks := dict
  "listen" (printf "%s:%d" $listen (int .Values.ports.webhooks))
  "pagerduty_secrets_file" (printf "%s/pagerduty-webhook-secrets" $secrets)
-}}
{{- if .Values.webhooks.lookUps -}}
{{- $_ := set $webhooks "pagerduty_token_file" (printf "%s/pagerduty-api-token" $secrets) -}}
{{- end -}}
{{- $_ := set $base "webhooks" $webhooks -}}
{{- end -}}
{{- $config := mergeOverwrite $base (deepCopy .Values.config) -}}
{{- if not $config.inputs -}}
{{- $_ := set $config "inputs" (list (include "luminalog-sidecar.input" . | fromJson)) -}}
{{- end -}}
{{- if .Values.rulesFiles -}}
{{- $_ := set $config "rules_files" (concat (default list $config.rules_files) (keys .Values.rulesFiles | sortAlpha)) -}}
{{- end -}}
{{- toPrettyJson $config -}}
{{- end }}

{{/* The input of a mode, as JSON. */}}
{{- define "luminalog-sidecar.input" -}}
{{- if eq .Values.mode "daemonset" -}}
{{- /* Containers of any release, also in pods of others: an error about a page must not become the next page. */ -}}
{{- dict "type" "tail" "name" "containers" "paths" (list (printf "%s/containers/*.log" .Values.daemonset.logsHostPath))
  "exclude" (list "*_luminalog-sidecar-*.log") | toJson -}}
{{- else if eq .Values.mode "target" -}}
{{- $input := dict "type" "http" "listen" (printf "%s:%d" .Values.listenAddress (int .Values.ports.ingest))
  "tokens_file" "/etc/luminalog-sidecar/secrets/ingest-tokens" "tag_header" "X-Fluent-Tag" -}}
{{- if .Values.target.tls.existingSecret -}}
{{- $_ := set $input "tls_cert" "/etc/luminalog-sidecar/tls/tls.crt" -}}
{{- $_ := set $input "tls_key" "/etc/luminalog-sidecar/tls/tls.key" -}}
{{- if .Values.target.tls.clientCa -}}
{{- $_ := set $input "tls_client_ca" "/etc/luminalog-sidecar/tls/ca.crt" -}}
{{- end -}}
{{- end -}}
{{- toJson $input -}}
{{- else -}}
{{- $paths := list -}}
{{- range .Values.sidecar.files -}}
{{- $paths = append $paths (printf "%s/%s" $.Values.sidecar.logPath .) -}}
{{- end -}}
{{- dict "type" "tail" "name" "app" "paths" $paths "start_at" "beginning" | toJson -}}
{{- end -}}
{{- end }}

{{/* What the schema cannot see, or cannot say in words. */}}
{{- define "luminalog-sidecar.refuse" -}}
{{- $grace := int .Values.terminationGracePeriodSeconds -}}
{{- $drain := int (default 25 .Values.config.drain_seconds) -}}
{{- if lt $grace (add $drain 10 | int) -}}
{{- fail (printf "terminationGracePeriodSeconds: expected at least config.drain_seconds (%d) and 10 more, found %d" $drain $grace) -}}
{{- end -}}
{{- if and .Values.webhooks.enabled (ne .Values.mode "target") -}}
{{- fail "webhooks.enabled: in mode target only: elsewhere there are several daemons, and a webhook would find the wrong one" -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled (eq .Values.mode "sidecar") -}}
{{- fail "metrics.serviceMonitor.enabled: there is no Service in mode sidecar: use metrics.podMonitor" -}}
{{- end -}}
{{- if and .Values.secrets.existingSecret .Values.secrets.values -}}
{{- fail "secrets: expected existingSecret or values, found both: add the values to that Secret" -}}
{{- end -}}
{{- if and .Values.webhooks.enabled (not .Values.secrets.existingSecret) -}}
{{- range $key := ternary (list "pagerduty-webhook-secrets" "pagerduty-api-token") (list "pagerduty-webhook-secrets") .Values.webhooks.lookUps -}}
{{- if not (hasKey $.Values.secrets.values $key) -}}
{{- fail (printf "secrets.values: webhooks need the key %s" $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- include "luminalog-sidecar.refuseSecrets" . -}}
{{- end }}

{{/* Secrets do not belong into a ConfigMap. References to the environment do. */}}
{{- define "luminalog-sidecar.refuseSecrets" -}}
{{- $found := list -}}
{{- range $name, $channel := .Values.config.channels -}}
{{- range $key := ternary (list "url" "secret") (list "routing_key" "webhook_url" "bot_token") (eq (toString $channel.type) "webhook") -}}
{{- if hasKey $channel $key -}}
{{- if not (contains "${" (toString (get $channel $key))) -}}
{{- $found = append $found (printf "config.channels.%s.%s" $name $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $i, $rule := .Values.config.rules -}}
{{- range $key := list "pagerDutyKey" "pager_duty_key" "pagerduty_key" -}}
{{- if hasKey $rule $key -}}
{{- if not (contains "${" (toString (get $rule $key))) -}}
{{- $found = append $found (printf "config.rules[%d].%s" $i $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $i, $input := .Values.config.inputs -}}
{{- range default list $input.tokens -}}
{{- if not (contains "${" .) -}}
{{- $found = append $found (printf "config.inputs[%d].tokens" $i) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name, $text := .Values.rulesFiles -}}
{{- if regexMatch "(pagerDutyKey|pager_duty_key|pagerduty_key)[\"']?\\s*[:=]\\s*[\"']?[A-Za-z0-9]{32}" $text -}}
{{- $found = append $found (printf "rulesFiles.%s: pagerDutyKey" $name) -}}
{{- end -}}
{{- end -}}
{{- if $found -}}
{{- fail (printf "%s: a secret would stand in a ConfigMap: put it into a Secret (see secrets) and name its file, as in webhook_url_file: /etc/luminalog-sidecar/secrets/…, or write ${NAME} and see extraEnv" (join ", " (uniq $found))) -}}
{{- end -}}
{{- end }}
