{{- /* Names and labels of everything. */}}

{{- define "twinkey.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "twinkey.fullname" -}}
{{- $name := include "twinkey.name" . }}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- /* By what pods are found; it can never change. */}}
{{- define "twinkey.selector" -}}
app.kubernetes.io/name: {{ include "twinkey.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "twinkey.labels" -}}
{{ include "twinkey.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "twinkey.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end }}
{{- end }}
{{- end }}

{{- define "twinkey.coordinator" -}}
{{ include "twinkey.fullname" . }}-coordinator
{{- end }}

{{- define "twinkey.keyring" -}}
{{ default (printf "%s-keyring" (include "twinkey.fullname" .)) .Values.keyring.configMap }}
{{- end }}

{{- define "twinkey.tokens" -}}
{{ default (printf "%s-tokens" (include "twinkey.fullname" .)) .Values.tokens.secret }}
{{- end }}

{{- /* Of one node: a dict of the chart's `root` and the `node`. */}}
{{- define "twinkey.kubernetesNode" -}}
{{ default .name .kubernetesNode }}
{{- end }}

{{- define "twinkey.agentSecret" -}}
{{ default (printf "%s-agent-%s" (include "twinkey.fullname" .root) .node.name) .node.agentSecret }}
{{- end }}

{{- define "twinkey.coordinatorSecret" -}}
{{ default (printf "%s-coordinator-%s" (include "twinkey.fullname" .root) .node.name) .node.coordinatorSecret }}
{{- end }}

{{- define "twinkey.scheme" -}}
{{ ternary "https" "http" .Values.https.enabled }}
{{- end }}

{{- /* Where the certificate of the authority of the coordinators' HTTPS is: all coordinators have the same. */}}
{{- define "twinkey.httpsAuthority" -}}
{{- if .Values.https.secret -}}
name: {{ .Values.https.secret }}
key: ca.crt
{{- else -}}
name: {{ include "twinkey.coordinatorSecret" (dict "root" . "node" (first .Values.nodes)) }}
key: ca.pem
{{- end }}
{{- end }}
