{{- /* What a schema cannot say, or not in a sentence that tells what to do. */}}

{{- define "twinkey.check" -}}
{{- $v := .Values }}
{{- if not $v.site.id }}
{{- fail "site.id is missing: set it to the id that `twinkey site init` was given" }}
{{- end }}
{{- if not (regexMatch "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$" $v.site.id) }}
{{- fail (printf "site.id %q is not one: it is up to 128 letters, digits and . _ - after a letter or digit" $v.site.id) }}
{{- end }}
{{- if not $v.nodes }}
{{- fail "nodes is empty: name the one or two management nodes, each with name, kubernetesNode and uuid" }}
{{- end }}
{{- range $v.nodes }}
{{- if not (regexMatch "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$" .uuid) }}
{{- fail (printf "nodes: the uuid %q of node %s is not one: copy `node` from the node's agent.toml, in lower case" .uuid .name) }}
{{- end }}
{{- end }}
{{- range $what := list "name" "uuid" "kubernetesNode" }}
{{- $seen := list }}
{{- range $node := $v.nodes }}
{{- $is := ternary (include "twinkey.kubernetesNode" $node) (get $node $what) (eq $what "kubernetesNode") }}
{{- if has $is $seen }}
{{- fail (printf "nodes: two have the same %s %s, but they are two machines" $what $is) }}
{{- end }}
{{- $seen = append $seen $is }}
{{- end }}
{{- end }}
{{- if not $v.etcd.endpoints }}
{{- fail "etcd.endpoints is empty: list the members of the site's etcd as host:port" }}
{{- end }}
{{- range $v.etcd.endpoints }}
{{- include "twinkey.checkEndpoint" . }}
{{- end }}
{{- range $v.nodes }}
{{- range .etcdEndpoints }}
{{- include "twinkey.checkEndpoint" . }}
{{- end }}
{{- end }}
{{- if eq $v.image.tag "latest" }}
{{- fail "image.tag: latest is another image tomorrow: name a version, or leave it empty for the chart's" }}
{{- end }}
{{- if eq (empty $v.keyring.json) (empty $v.keyring.configMap) }}
{{- fail "keyring: give either json (--set-file keyring.json=keyring.json) or the name of a configMap" }}
{{- end }}
{{- if eq (empty $v.tokens.json) (empty $v.tokens.secret) }}
{{- fail "tokens: give either json (--set-file tokens.json=tokens.json) or the name of a secret" }}
{{- end }}
{{- if and $v.https.secret (not $v.https.enabled) }}
{{- fail "https.secret is of no use while https.enabled is false: drop one of them" }}
{{- end }}
{{- if $v.agent.enabled }}
{{- include "twinkey.checkAgent" . }}
{{- end }}
{{- end }}

{{- define "twinkey.checkEndpoint" -}}
{{- if not (regexMatch "^(\\[[0-9a-fA-F:.]+\\]|[A-Za-z0-9._-]+):[0-9]{1,5}$" .) }}
{{- fail (printf "etcd.endpoints: %q is no member: write host:port, without https://" .) }}
{{- end }}
{{- end }}

{{- define "twinkey.checkAgent" -}}
{{- $v := .Values }}
{{- if eq $v.agent.bus "usb" }}
{{- if not $v.agent.usbGroup }}
{{- fail "agent.usbGroup is missing: set it to the number of the group that owns USB keys (getent group twinkey)" }}
{{- end }}
{{- if eq (empty $v.agent.runtimeClassName) (not $v.agent.privileged) }}
{{- fail "agent: set either runtimeClassName, to a class that lets USB devices be opened, or privileged: true" }}
{{- end }}
{{- end }}
{{- if $v.agent.trackFolder }}
{{- if not $v.site.virtualIp }}
{{- fail "agent.trackFolder is about the virtual IP: set site.virtualIp to its address" }}
{{- end }}
{{- if not $v.coordinator.hostPort }}
{{- fail "agent.trackFolder needs coordinator.hostPort, where the agent asks whether its node can serve" }}
{{- end }}
{{- end }}
{{- end }}
