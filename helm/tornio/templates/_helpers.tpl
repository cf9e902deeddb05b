{{- define "tornio.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 40 | trimAll "-" -}}
{{- end -}}

{{- define "tornio.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "tornio.fullname" .) -}}
{{- end -}}

{{- define "tornio.selector" -}}
app.kubernetes.io/name: tornio
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "tornio.labels" -}}
{{ include "tornio.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "tornio.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end -}}
{{- end -}}
{{- end -}}

{{- define "tornio.url" -}}
http://{{ include "tornio.fullname" . }}-serve-svc.{{ .Release.Namespace }}.svc:8000
{{- end -}}

{{/* The security context that "restricted" requires for each container. */}}
{{- define "tornio.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* The environment of a pod: addresses of outside services, and values.env, which takes precedence. Takes root; keys to
     add those of S3; serve to add the variables of serving pods. */}}
{{- define "tornio.env" -}}
{{- $own := include "tornio.storeEnv" .root | fromYamlArray }}
{{- if and .keys .root.Values.store.existingSecret }}
{{- $own = concat $own (include "tornio.storeKeys" .root | fromYamlArray) }}
{{- end }}
{{- if and .keys .root.Values.llm.endpoints }}
{{- $own = concat $own (include "tornio.llmEnv" .root | fromYamlArray) }}
{{- end }}
{{- if .serve }}
{{- $own = concat $own (include "tornio.serveEnv" .root | fromYamlArray) }}
{{- end }}
{{- range $own }}
{{- if not (hasKey ($.root.Values.env | default dict) .name) }}
- {{ toJson . }}
{{- end }}
{{- end }}
{{- range $name, $value := .root.Values.env }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end -}}

{{- define "tornio.storeEnv" -}}
- {name: TORNIO_S3_BUCKET, value: {{ .Values.store.bucket | quote }}}
- {name: TORNIO_S3_PREFIX, value: {{ .Values.store.prefix | quote }}}
- {name: TORNIO_S3_REGION, value: {{ .Values.store.region | quote }}}
{{- with .Values.store.endpoint }}
- {name: TORNIO_S3_ENDPOINT, value: {{ . | quote }}}
{{- end }}
- {name: TORNIO_CACHE_DIR, value: /tmp/tornio}
- {name: HF_HUB_OFFLINE, value: "1"}
- {name: RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S, value: {{ .Values.termination.drainSeconds | quote }}}
{{- end -}}

{{- define "tornio.storeKeys" -}}
{{- with .Values.store -}}
- name: AWS_ACCESS_KEY_ID
  valueFrom: {secretKeyRef: {name: {{ .existingSecret | quote }}, key: {{ .accessKeyIdKey | quote }}}}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ .existingSecret | quote }}, key: {{ .secretAccessKeyKey | quote }}}}
{{- end }}
{{- end -}}

{{/* The endpoints of the teacher llm, as TORNIO_LLM_ENDPOINTS takes them. Keys are files in the volume llm. */}}
{{- define "tornio.llmEnv" -}}
{{- $endpoints := dict }}
{{- range $name, $endpoint := .Values.llm.endpoints }}
{{- $settings := deepCopy $endpoint.settings }}
{{- if $endpoint.existingSecret }}
{{- $_ := set $settings "api_key_file" (print "/etc/tornio/llm/" $name) }}
{{- end }}
{{- $_ := set $endpoints $name $settings }}
{{- end -}}
- {name: TORNIO_LLM_ENDPOINTS, value: {{ toJson $endpoints | quote }}}
{{- end -}}

{{/* The Secrets that hold keys of endpoints, as sources of one volume. Empty without any. */}}
{{- define "tornio.llmSources" -}}
{{- range $name, $endpoint := .Values.llm.endpoints }}
{{- with $endpoint.existingSecret }}
- secret: {name: {{ . | quote }}, items: [{key: {{ $endpoint.apiKeyKey | default "api-key" | quote }}, path: {{ $name | quote }}}]}
{{- end }}
{{- end }}
{{- end -}}

{{- define "tornio.serveEnv" -}}
- {name: RAYSERVICE, value: {{ include "tornio.fullname" . }}}
- {name: TORNIO_LEAVING_FILE, value: /tmp/leaving}
- {name: RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH, value: "services.proxy:middlewares"}
- {name: RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S, value: "30"}
{{- if .Values.ray.haproxy }}
- {name: RAY_SERVE_ENABLE_HA_PROXY, value: "1"}
- {name: RAY_SERVE_HAPROXY_MAXCONN, value: "4000"}
{{- end }}
{{- if .Values.argilla.url }}
- {name: TORNIO_ARGILLA_URL, value: {{ .Values.argilla.url | quote }}}
{{- with .Values.argilla.publicUrl }}
- {name: TORNIO_ARGILLA_PUBLIC_URL, value: {{ . | quote }}}
{{- end }}
- {name: TORNIO_ARGILLA_API_KEY_FILE, value: {{ print "/etc/tornio/argilla/" .Values.argilla.apiKeyKey | quote }}}
{{- with .Values.argilla.webhookSecretKey }}
- {name: TORNIO_ARGILLA_WEBHOOK_SECRET_FILE, value: {{ print "/etc/tornio/argilla/" . | quote }}}
{{- end }}
{{- end }}
{{- if .Values.apiKeys.existingSecret }}
- {name: TORNIO_API_KEYS_FILE, value: {{ print "/etc/tornio/keys/" .Values.apiKeys.fileKey | quote }}}
{{- end }}
{{- if .Values.jobs.enabled }}
- {name: TORNIO_KUBE_JOB_TEMPLATE, value: /etc/tornio/jobs/rayjob.json}
{{- end }}
- {name: TORNIO_TEACHER_KIND, value: {{ .Values.teacher.kind }}}
{{- with .Values.teacher.model }}
- {name: TORNIO_TEACHER_MODEL, value: {{ . | quote }}}
{{- end }}
- {name: TORNIO_SECRETS_REVISION, value: {{ .Values.secretsRevision | quote }}}
{{- end -}}

{{/* The variables that the scripts of files/ need. */}}
{{- define "tornio.scriptEnv" -}}
- {name: RAYSERVICE, value: {{ include "tornio.fullname" . }}}
- {name: NAMESPACE, value: {{ .Release.Namespace }}}
- {name: TORNIO_URL, value: {{ include "tornio.url" . | quote }}}
- {name: PATIENCE_S, value: {{ .Values.apply.waitSeconds | quote }}}
{{- end -}}

{{/* What pods that compute mount, and their volumes. */}}
{{- define "tornio.computeMounts" -}}
{{ include "tornio.mounts" . }}
{{- if include "tornio.llmSources" . }}
- {name: llm, mountPath: /etc/tornio/llm, readOnly: true}
{{- end }}
{{- end -}}

{{- define "tornio.computeVolumes" -}}
{{ include "tornio.volumes" . }}
{{- with include "tornio.llmSources" . }}
- name: llm
  projected:
    sources: {{- . | nindent 6 }}
{{- end }}
{{- end -}}

{{/* What every pod mounts, and its volumes. */}}
{{- define "tornio.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- with .Values.volumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "tornio.volumes" -}}
- {name: tmp, emptyDir: {}}
{{- with .Values.volumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels and annotations of a pod. Takes root and component. Values cannot replace labels that select pods. */}}
{{- define "tornio.podMetadata" -}}
{{- $own := set (include "tornio.selector" .root | fromYaml) "app.kubernetes.io/component" .component -}}
labels: {{- merge $own (.root.Values.podLabels | default dict) | toYaml | nindent 2 }}
{{- with .root.Values.podAnnotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "tornio.serveMounts" -}}
{{ include "tornio.computeMounts" . }}
{{- if .Values.argilla.url }}
- {name: argilla, mountPath: /etc/tornio/argilla, readOnly: true}
{{- end }}
{{- if .Values.apiKeys.existingSecret }}
- {name: keys, mountPath: /etc/tornio/keys, readOnly: true}
{{- end }}
{{- if .Values.jobs.enabled }}
- {name: jobs, mountPath: /etc/tornio/jobs, readOnly: true}
{{- end }}
{{- end -}}

{{- define "tornio.serveVolumes" -}}
{{ include "tornio.computeVolumes" . }}
{{- if .Values.argilla.url }}
- {name: argilla, secret: {secretName: {{ required "argilla.existingSecret: name the Secret with the API key, or leave argilla.url empty" .Values.argilla.existingSecret | quote }}}}
{{- end }}
{{- with .Values.apiKeys.existingSecret }}
- {name: keys, secret: {secretName: {{ . | quote }}}}
{{- end }}
{{- if .Values.jobs.enabled }}
- {name: jobs, configMap: {name: {{ include "tornio.fullname" . }}-jobs}}
{{- end }}
{{- end -}}

{{/* The pod of a serving Ray node. Takes root, name (of the container), spec (resources, nodeSelector, ...), and probe
     for workers. */}}
{{- define "tornio.servePod" -}}
metadata: {{- include "tornio.podMetadata" . | nindent 2 }}
spec:
  {{- /* KubeRay creates the head's service account: then only the head may change pods (the autoscaler), and the account
         lives until KubeRay's Job, which uses it, has cleared Redis after `helm uninstall`. If large runs are jobs of
         this cluster, their drivers run in the head and need S3. */}}
  {{- $bare := and (eq .component "head") .root.Values.jobs.enabled }}
  {{- if not $bare }}
  serviceAccountName: {{ include "tornio.serviceAccount" .root }}
  {{- end }}
  terminationGracePeriodSeconds: {{ .root.Values.termination.graceSeconds }}
  {{- include "tornio.placement" (dict "root" .root "spec" .spec "component" .component) | nindent 2 }}
  containers:
    - name: {{ .name }}
      image: {{ include "tornio.image" .root | quote }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      securityContext: {{- include "tornio.containerSecurity" .root | nindent 8 }}
      env: {{- include "tornio.env" (dict "root" .root "serve" true "keys" (not $bare)) | nindent 8 }}
      {{- with .root.Values.termination }}
      {{- if eq $.component "head" }}
      lifecycle: {preStop: {exec: {command: [sleep, "{{ min .preStopSeconds 15 }}"]}}} # it has no replica
      {{- else }}
      {{- /* The head has three quarters of the time to answer: then the replicas still have some to move. */}}
      lifecycle: {preStop: {exec: {command: [sh, -c, "touch /tmp/leaving; python -m services.leaving {{ add .preStopSeconds .drainSeconds }} {{ div (mul .preStopSeconds 3) 4 }} & sleep {{ .preStopSeconds }}; wait $!"]}}}
      {{- end }}
      {{- end }}
      {{- if .probe }}
      # KubeRay's own probe uses wget, and a worker without a replica has no proxy and is normally not Ready. Three
      # failures are needed, so that a busy node does not take all pods out of the Service. A pod that ends needs no probe.
      readinessProbe:
        httpGet: {path: /-/healthz, port: 8000}
        initialDelaySeconds: 5
        periodSeconds: 3
        timeoutSeconds: 5
        failureThreshold: 3
      {{- end }}
      resources: {{- toYaml .spec.resources | nindent 8 }}
      {{- if eq .component "head" }}
      # It has no replica and needs no secret, unless drivers of large runs are here, too. Like its account, what it mounts
      # must outlive the release.
      volumeMounts: {{- include (ternary "tornio.mounts" "tornio.computeMounts" $bare) .root | nindent 8 }}
  volumes: {{- include (ternary "tornio.volumes" "tornio.computeVolumes" $bare) .root | nindent 4 }}
      {{- else }}
      volumeMounts: {{- include "tornio.serveMounts" .root | nindent 8 }}
  volumes: {{- include "tornio.serveVolumes" .root | nindent 4 }}
      {{- end }}
{{- end -}}

{{/* Where pods may run, and as which user. Takes root, spec, and component for pods that are spread. */}}
{{- define "tornio.placement" -}}
securityContext: {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets: {{- range . }}
  - {name: {{ . | quote }}}
{{- end }}
{{- end }}
{{- with .spec.runtimeClassName }}
runtimeClassName: {{ . | quote }}
{{- end }}
{{- with .spec.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .spec.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .spec.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .spec.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .spec.topologySpread }}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "tornio.selector" $.root | nindent 8 }}
        app.kubernetes.io/component: {{ $.component }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* A group of serving workers. Takes root, group, spec, min, component, gpus. */}}
{{- define "tornio.serveGroup" -}}
groupName: {{ .group }}
replicas: {{ .min }}
minReplicas: {{ .min }}
maxReplicas: {{ .spec.maxPods }}
rayStartParams:
  num-cpus: {{ .spec.cpus | quote }}
  object-store-memory: {{ .root.Values.ray.objectStoreBytes | int64 | quote }}
  {{- if .spec.gpus }}
  num-gpus: {{ .spec.gpus | quote }}
  {{- end }}
template:
  {{- $spec := .spec }}
  {{- if .spec.gpus }}
  {{- $spec = merge (dict "resources" (include "tornio.gpuResources" .spec | fromYaml)) (omit .spec "resources") }}
  {{- end }}
  {{- include "tornio.servePod" (dict "root" .root "name" "ray-worker" "component" .component "spec" $spec "probe" true) | nindent 2 }}
{{- end -}}

{{/* The resources of a pod with GPUs. Takes a value with gpus and resources. */}}
{{- define "tornio.gpuResources" -}}
{{- $gpus := dict "nvidia.com/gpu" (.gpus | toString) -}}
requests: {{- merge (dict) $gpus .resources.requests | toYaml | nindent 2 }}
limits: {{- merge (dict) $gpus .resources.limits | toYaml | nindent 2 }}
{{- end -}}
