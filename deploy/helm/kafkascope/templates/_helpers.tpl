{{- define "kafkascope.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* Names of Services have no dots and at most 63 characters, some of which are for what is added to it. */ -}}
{{- define "kafkascope.fullname" -}}
{{- $name := include "kafkascope.name" . -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}
{{ .Release.Name | replace "." "-" | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name $name | replace "." "-" | trunc 50 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{- define "kafkascope.selectorLabels" -}}
app.kubernetes.io/name: {{ include "kafkascope.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "kafkascope.labels" -}}
{{ include "kafkascope.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "kafkascope.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "kafkascope.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end -}}
{{- end }}

{{- define "kafkascope.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end }}

{{- /* The configuration file. In mode sidecar the brokers and the scope come from the container's environment, for the one cluster that there is: with
several the container would not start, and its broker's pod not become ready. */ -}}
{{- define "kafkascope.config" -}}
{{- if and (eq .Values.mode "sidecar") (ne (len .Values.config.clusters) 1) -}}
{{- fail "mode sidecar: config.clusters must be one cluster, that of the brokers" -}}
{{- end -}}
{{- include "kafkascope.refuseSecrets" . -}}
{{ toYaml .Values.config }}
{{- end }}

{{- /* A secret in the configuration would be in a ConfigMap, in the release's Secret and in every diff; a variable is none. */ -}}
{{- define "kafkascope.refuseSecrets" -}}
{{- range $index, $cluster := .Values.config.clusters -}}
{{- range $part := list "sasl" "tls" "kafka" -}}
{{- $settings := get $cluster $part -}}
{{- if kindIs "map" $settings -}}
{{- range $key, $value := $settings -}}
{{- if and (regexMatch "(password|secret|key\\.pem)$" $key) (not (regexMatch "^(\\$\\{[^}]*\\})?$" (toString (default "" $value)))) -}}
{{- fail (printf "config.clusters[%d].%s.%s would be in a ConfigMap, for all to read: mount a Secret (secretFiles) and name its file (password_file, key_file), or take it from a variable (env, and ${NAME} here)" $index $part $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "kafkascope.telemetryPath" -}}
{{ get (.Values.config.web | default dict) "telemetry_path" | default "/metrics" }}
{{- end }}

{{- /* What rules refer to and none of them records. */ -}}
{{- define "kafkascope.notRecorded" -}}
{{- $recorded := list -}}
{{- $used := list -}}
{{- range . }}{{ range (fromYaml .).groups }}{{ range .rules -}}
{{- $recorded = append $recorded .record -}}
{{- $used = concat $used (regexFindAll "kafkascope:[a-zA-Z0-9_]+:[a-zA-Z0-9_]+" (toString .expr) -1) -}}
{{- end }}{{ end }}{{ end -}}
{{- $missing := list -}}
{{- range $used | uniq }}{{ if not (has . $recorded) }}{{ $missing = append $missing . }}{{ end }}{{ end -}}
{{- join ", " $missing -}}
{{- end }}

{{- define "kafkascope.secretMounts" -}}
{{- range $index, $secret := .Values.secretFiles }}
- name: secret-{{ $index }}
  mountPath: {{ $secret.mountPath }}
  readOnly: true
{{- end }}
{{- end }}

{{- /* Called with (list . MODE). */ -}}
{{- define "kafkascope.secretVolumes" -}}
{{- $mode := index . 1 }}
{{- range $index, $secret := (index . 0).Values.secretFiles }}
- name: secret-{{ $index }}
  secret:
    secretName: {{ $secret.secretName }}
    defaultMode: {{ $mode }}
    {{- with $secret.items }}
    items:
      {{- toYaml . | nindent 6 }}
    {{- end }}
{{- end }}
{{- end }}

{{- /* The container to add to the brokers' pods, as the notes show it. */ -}}
{{- define "kafkascope.sidecar" -}}
name: kafkascope
image: {{ include "kafkascope.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args:
  - --config=/etc/kafkascope/kafkascope.yml
  - --listen=:9308
  {{- range .Values.extraArgs }}
  - {{ . | quote }}
  {{- end }}
env:
  - name: POD_NAME
    valueFrom: {fieldRef: {fieldPath: metadata.name}}
  - name: KAFKASCOPE_SCOPE
    value: local_broker
  - name: KAFKASCOPE_BOOTSTRAP_SERVERS
    value: {{ .Values.sidecar.bootstrapServers | quote }}
  {{- with .Values.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
ports:
  - name: {{ .Values.podMonitor.port }}
    containerPort: 9308
    protocol: TCP
# No readiness probe: it would take the broker out of its Service when the exporter is not well.
livenessProbe:
  httpGet: {path: /-/healthy, port: {{ .Values.podMonitor.port }}}
  periodSeconds: 30
  timeoutSeconds: 10
  failureThreshold: 5
resources:
  {{- toYaml .Values.sidecar.resources | nindent 2 }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
volumeMounts:
  - name: kafkascope-config
    mountPath: /etc/kafkascope
    readOnly: true
  {{- include "kafkascope.secretMounts" . | nindent 2 }}
{{- end }}

{{- /* The brokers' pods may have no fsGroup that would let kafkascope's user read its Secrets; no other container mounts these volumes. */ -}}
{{- define "kafkascope.sidecarVolumes" -}}
- name: kafkascope-config
  configMap:
    name: {{ include "kafkascope.fullname" . }}
{{- include "kafkascope.secretVolumes" (list . "0444") }}
{{- end }}
