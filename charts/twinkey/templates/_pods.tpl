{{- /* What the agent's pods and the coordinator's have in common. */}}

{{- define "twinkey.pod" -}}
serviceAccountName: {{ include "twinkey.fullname" . }}
automountServiceAccountToken: false
# Variables named after Services would look like settings.
enableServiceLinks: false
terminationGracePeriodSeconds: 15
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* A pod belongs to its machine, so it waits for one that is gone, and is not made anew elsewhere. */}}
{{- define "twinkey.tolerations" -}}
- {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute}
- {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute}
{{- with .Values.tolerations }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "twinkey.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ int .Values.user }}
runAsGroup: {{ int .Values.user }}
fsGroup: {{ int .Values.user }}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "twinkey.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
readOnlyRootFilesystem: true
{{- end }}

{{- /* The variables that both daemons have. */}}
{{- define "twinkey.environment" -}}
- {name: TWINKEY_SITE_ID, value: {{ .Values.site.id | quote }}}
- {name: TWINKEY_KEYRING, value: /etc/twinkey/keyring.json}
{{- end }}

{{- /* Settings that are handed on: a map from names of settings to values. */}}
{{- define "twinkey.settings" -}}
{{- range $name, $value := . }}
- {name: TWINKEY_{{ upper $name }}, value: {{ include "twinkey.text" $value | quote }}}
{{- end }}
{{- end }}

{{- /* One value of a setting: every number comes as a float, which would be written with an exponent. */}}
{{- define "twinkey.text" -}}
{{- if kindIs "slice" . -}}
{{ join "," . }}
{{- else if and (kindIs "float64" .) (eq . (floor .)) -}}
{{ int64 . }}
{{- else -}}
{{ toString . }}
{{- end }}
{{- end }}

{{- /* The terms of an affinity to nodes: the list of their names in Kubernetes. A term can only name one of them. */}}
{{- define "twinkey.onNodes" -}}
nodeAffinity:
  requiredDuringSchedulingIgnoredDuringExecution:
    nodeSelectorTerms:
      {{- range . }}
      - matchFields:
          - {key: metadata.name, operator: In, values: [{{ . | quote }}]}
      {{- end }}
{{- end }}
