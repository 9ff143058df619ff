{{- define "oriori.name" -}}
{{- printf "%s" .Release.Name | trunc 52 | trimSuffix "-" -}}
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
{{- toYaml $config }}
{{- end }}

{{- define "oriori.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
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

{{- define "oriori.environment" -}}
- name: ORIORI_TRANSACTIONAL_ID
  value: $(POD_NAME)
{{- range .Values.secretEnvironment }}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: {{ .key }}}}
{{- end }}
{{- end }}

{{- define "oriori.mounts" -}}
- {name: config, mountPath: /etc/oriori, readOnly: true}
{{- range .Values.secretFiles }}
- {name: secret-{{ .name }}, mountPath: /etc/oriori-secrets/{{ .name }}, readOnly: true}
{{- end }}
{{- end }}

{{- define "oriori.volumes" -}}
- name: config
  configMap: {name: {{ include "oriori.name" . }}}
{{- range .Values.secretFiles }}
- name: secret-{{ .name }}
  secret: {secretName: {{ .secret }}, defaultMode: 0440}
{{- end }}
{{- end }}
