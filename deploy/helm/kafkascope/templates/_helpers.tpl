{{- define "kafkascope.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "kafkascope.fullname" -}}
{{- $name := include "kafkascope.name" . -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
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

{{- /* The configuration file. In mode sidecar the brokers and the scope come from the container's environment. */ -}}
{{- define "kafkascope.config" -}}
{{ toYaml .Values.config }}
{{- end }}

{{- define "kafkascope.secretMounts" -}}
{{- range $index, $secret := .Values.secretFiles }}
- name: secret-{{ $index }}
  mountPath: {{ $secret.mountPath }}
  readOnly: true
{{- end }}
{{- end }}

{{- define "kafkascope.secretVolumes" -}}
{{- range $index, $secret := .Values.secretFiles }}
- name: secret-{{ $index }}
  secret:
    secretName: {{ $secret.secretName }}
    defaultMode: 0440
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

{{- define "kafkascope.sidecarVolumes" -}}
- name: kafkascope-config
  configMap:
    name: {{ include "kafkascope.fullname" . }}
{{- include "kafkascope.secretVolumes" . }}
{{- end }}
