{{- define "oriori.name" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end }}

{{- define "oriori.selector" -}}
app.kubernetes.io/name: oriori
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "oriori.labels" -}}
{{ include "oriori.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* The worker's config file. The playbook's text is not in it: pods follow that file, and need no restart for it. */}}
{{- define "oriori.config" -}}
{{- $config := deepCopy .Values.config }}
{{- $_ := set $config "monitor" (dict "listen" "0.0.0.0:9464") }}
{{- if .Values.playbook }}
{{- $_ := set $config "playbook" "playbook.yaml" }}
{{- end }}
{{- if .Values.serviceAccountToken.enabled }}
{{- $token := dict "token_file" "/var/run/secrets/oriori/token" }}
{{- $_ := set $config "oauth" (mergeOverwrite $token ($config.oauth | default dict)) }}
{{- end }}
{{- toYaml $config }}
{{- end }}

{{- define "oriori.image" -}}
{{- if .Values.image.digest }}
{{- .Values.image.repository }}@{{ .Values.image.digest }}
{{- else }}
{{- .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- define "oriori.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "oriori.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- /* What the pods of the workers and of the topics job have in common. No service links: a Service oriori-kafka would be
     the variable ORIORI_KAFKA_PORT, which is no key of the config. */}}
{{- define "oriori.podSpec" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.serviceAccountName }}
serviceAccountName: {{ . }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
securityContext: {{- include "oriori.podSecurity" . | nindent 2 }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
volumes: {{- include "oriori.volumes" . | nindent 2 }}
{{- end }}

{{- define "oriori.containerSpec" -}}
image: {{ include "oriori.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext: {{- include "oriori.containerSecurity" . | nindent 2 }}
resources: {{- toYaml .Values.resources | nindent 2 }}
volumeMounts: {{- include "oriori.mounts" . | nindent 2 }}
{{- end }}

{{- define "oriori.environment" -}}
{{- range .Values.secretEnvironment }}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: {{ .key }}}}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "oriori.mounts" -}}
- {name: config, mountPath: /etc/oriori, readOnly: true}
{{- range .Values.secretFiles }}
- {name: secret-{{ .name }}, mountPath: /etc/oriori-secrets/{{ .name }}, readOnly: true}
{{- end }}
{{- if .Values.serviceAccountToken.enabled }}
- {name: token, mountPath: /var/run/secrets/oriori, readOnly: true}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "oriori.volumes" -}}
- name: config
  configMap: {name: {{ include "oriori.name" . }}}
{{- range .Values.secretFiles }}
- name: secret-{{ .name }}
  secret: {secretName: {{ .secret }}, defaultMode: 0440}
{{- end }}
{{- with .Values.serviceAccountToken }}
{{- if .enabled }}
- name: token
  projected:
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: {{ .expirationSeconds }}
          {{- with .audience }}
          audience: {{ . | quote }}
          {{- end }}
{{- end }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* (dict "text" "redis://a:1,b" "port" 6379): the ports of addresses with commas or blanks between, as a list in JSON. */}}
{{- define "oriori.ports" -}}
{{- $ports := list }}
{{- $standard := .port }}
{{- range regexSplit "[, ]+" (trim .text) -1 }}
{{- $named := regexFind ":[0-9]+(/|$)" . | trimPrefix ":" | trimSuffix "/" }}
{{- $ports = append $ports (int ($named | default (ternary 80 (ternary 443 $standard (hasPrefix "https:" .)) (hasPrefix "http:" .)))) }}
{{- end }}
{{- toJson $ports }}
{{- end }}

{{- /* Where the config sends the worker, beside Kafka and Redis. */}}
{{- define "oriori.otherPorts" -}}
{{- $ports := .Values.networkPolicy.otherPorts }}
{{- range $where := list (list "registry" "url") (list "tracing" "endpoint") (list "oauth" "url") }}
{{- $url := index ((index $.Values.config (first $where)) | default dict) (last $where) | default "none" }}
{{- if ne $url "none" }}
{{- $ports = concat $ports (include "oriori.ports" (dict "text" $url "port" 443) | fromJsonArray) }}
{{- end }}
{{- end }}
{{- toJson $ports }}
{{- end }}
