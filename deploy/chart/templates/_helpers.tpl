{{- define "semblant.name" -}}
{{- if contains "semblant" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-semblant" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "semblant.selector" -}}
app.kubernetes.io/name: semblant
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "semblant.labels" -}}
{{ include "semblant.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{/* What can never work is said before anything is installed. */}}
{{- define "semblant.check" -}}
{{- $ways := 0 }}
{{- if .Values.qdrant.enabled }}{{ $ways = add $ways 1 }}{{ end }}
{{- if .Values.database.url }}{{ $ways = add $ways 1 }}{{ end }}
{{- if .Values.embedded.enabled }}{{ $ways = add $ways 1 }}{{ end }}
{{- if ne (int $ways) 1 }}{{ fail (printf "%d databases are named: set exactly one of qdrant.enabled, database.url and embedded.enabled" (int $ways)) }}{{ end }}
{{- if and .Values.embedded.enabled (or .Values.snapshot.enabled .Values.restore.file) }}{{ fail "snapshot and restore need a server: a directory belongs to the service's process. Snapshot the volume, or set qdrant.enabled or database.url" }}{{ end }}
{{- if and .Values.embedded.enabled (not .Values.index.enabled) }}{{ fail "embedded.enabled needs index.enabled: the service does not start without a collection, and nothing else may write its volume" }}{{ end }}
{{- if and .Values.restore.file (not .Values.snapshot.enabled) (not .Values.snapshot.claim) }}{{ fail "restore.file: say which volume it is in, by snapshot.claim or snapshot.enabled" }}{{ end }}
{{- if and .Values.index.enabled (hasPrefix "/" .Values.index.source) (not .Values.pictures.claim) }}{{ fail (printf "index.source is %s, a path: it needs pictures.claim, the volume that holds it" .Values.index.source) }}{{ end }}
{{- if and .Values.service.originals (not .Values.pictures.claim) }}{{ fail "service.originals needs pictures.claim, the volume that holds the files" }}{{ end }}
{{- end }}

{{- define "semblant.database" -}}
{{- if .Values.embedded.enabled }}/data/pictures.db{{ else if .Values.qdrant.enabled }}http://{{ include "semblant.name" . }}-qdrant:6333{{ else }}{{ .Values.database.url }}{{ end }}
{{- end }}

{{- define "semblant.environment" -}}
- name: SEMBLANT_DB
  value: {{ include "semblant.database" . | quote }}
- name: SEMBLANT_CACHE
  value: /cache
- name: HOME
  value: /tmp
{{- $secret := ternary .Values.qdrant.apiKeySecret .Values.database.apiKeySecret .Values.qdrant.enabled }}
{{- if and $secret (not .Values.embedded.enabled) }}
- name: SEMBLANT_API_KEY
  valueFrom:
    secretKeyRef:
      name: {{ $secret }}
      key: api-key
{{- end }}
{{- end }}

{{/* The restricted profile of Pod Security. */}}
{{- define "semblant.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
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
{{- end }}

{{- define "semblant.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{- define "semblant.claim" -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ .name }}
  labels: {{- include "semblant.labels" (dict "root" .root "component" .component) | nindent 4 }}
  annotations:
    helm.sh/resource-policy: keep
spec:
{{- include "semblant.claimSpec" .storage | nindent 2 }}
{{- end }}

{{- define "semblant.claimSpec" -}}
accessModes: [ReadWriteOnce]
{{- with .className }}
storageClassName: {{ . }}
{{- end }}
resources:
  requests:
    storage: {{ .size }}
{{- end }}

{{/* Exit code 3 is "done, but some pictures could not be used": no reason to run a job again. */}}
{{- define "semblant.indexContainer" -}}
name: index
image: {{ .Values.image.indexer }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
command:
  - /bin/sh
  - -c
  - semblant index "$@" || [ $? -eq 3 ]
  - index
  - {{ .Values.index.source | quote }}
  - --collection
  - {{ .Values.database.collection | quote }}
  - --json-log
{{- if .Values.index.encoder }}
  - --encoder
  - {{ .Values.index.encoder | quote }}
{{- end }}
{{- if not .Values.embedded.enabled }}
  - --state
  - /ledger
{{- end }}
{{- range .Values.index.args }}
  - {{ . | quote }}
{{- end }}
env: {{- include "semblant.environment" . | nindent 2 }}
{{ include "semblant.containerSecurity" . }}
resources: {{- toYaml .Values.index.resources | nindent 2 }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  - {name: cache, mountPath: /cache}
{{- if .Values.embedded.enabled }}
  - {name: data, mountPath: /data}
{{- else }}
  - {name: ledger, mountPath: /ledger}
{{- end }}
{{- if .Values.pictures.claim }}
  - {name: pictures, mountPath: {{ .Values.pictures.path }}, readOnly: true}
{{- end }}
{{- end }}

{{- define "semblant.picturesVolume" -}}
{{- if .Values.pictures.claim }}
- name: pictures
  persistentVolumeClaim:
    claimName: {{ .Values.pictures.claim }}
    readOnly: true
{{- end }}
{{- end }}

{{- define "semblant.snapshotsClaim" -}}
{{- .Values.snapshot.claim | default (printf "%s-snapshots" (include "semblant.name" .)) }}
{{- end }}
