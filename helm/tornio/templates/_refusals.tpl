{{/* Refuses values that do not fit each other, before anything is created. Single values are checked by the schema. */}}
{{- define "tornio.refusals" -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" (include "tornio.fullname" .)) }}
{{- fail "the release's name, or fullnameOverride, must begin with a letter and have only a-z, 0-9 and -" }}
{{- end }}
{{- if not (or .Values.serviceAccount.create .Values.serviceAccount.name) }}
{{- fail "serviceAccount.name is empty: name an existing account, or set serviceAccount.create" }}
{{- end }}
{{- if and .Values.tasks (not .Values.apply.existingSecret) }}
{{- fail "tasks are applied with an API key: name its Secret in apply.existingSecret" }}
{{- end }}
{{- if and .Values.argilla.webhookSecretKey (not .Values.argilla.url) }}
{{- fail "argilla.webhookSecretKey is set, and argilla.url is empty: there is no Argilla whose events could be taken" }}
{{- end }}
{{- range $name, $endpoint := .Values.llm.endpoints }}
{{- if and $.Values.networkPolicy.enabled $.Values.networkPolicy.egress (not $endpoint.egress) }}
{{- fail (printf "llm.endpoints.%s.egress is empty, and networkPolicy.egress is not: no request would reach this server" $name) }}
{{- end }}
{{- end }}
{{- include "tornio.refusalsOfTermination" . }}
{{- include "tornio.refusalsOfReplicas" . }}
{{- range $name, $group := pick .Values "head" "serve" "gpuServe" "gpuTrain" "autoscaler" "jobs" }}
{{- include "tornio.refusalsOfResources" (dict "name" (print $name ".resources") "resources" $group.resources) }}
{{- end }}
{{- include "tornio.refusalsOfResources" (dict "name" "jobs.headResources" "resources" .Values.jobs.headResources) }}
{{- end -}}

{{- define "tornio.refusalsOfTermination" -}}
{{- $t := .Values.termination }}
{{- if le (int $t.preStopSeconds) (int $t.keepAliveSeconds) }}
{{- fail "termination.preStopSeconds must be more than keepAliveSeconds: an idle connection would end with its pod" }}
{{- end }}
{{- if le (int .Values.ray.oldClusterSeconds) (int $t.keepAliveSeconds) }}
{{- fail "ray.oldClusterSeconds must be more than termination.keepAliveSeconds: an idle connection would end with its cluster" }}
{{- end }}
{{- if lt (int $t.graceSeconds) (add $t.preStopSeconds $t.drainSeconds 10 | int) }}
{{- fail "termination.graceSeconds must be at least preStopSeconds + drainSeconds + 10: Ray would be killed while it drains" }}
{{- end }}
{{- end -}}

{{- define "tornio.refusalsOfReplicas" -}}
{{- $pods := int .Values.serve.maxPods }}
{{- if gt (int .Values.serve.minPods) $pods }}
{{- fail "serve.minPods is more than serve.maxPods" }}
{{- end }}
{{- range $name, $deployment := pick .Values "classifier" "teacher" }}
{{- $gpus := float64 $deployment.gpus }}
{{- if and (gt $gpus 0.0) (eq (int $.Values.gpuServe.maxPods) 0) }}
{{- fail (print $name ".gpus requests GPUs, but gpuServe.maxPods is 0: no pod would ever have one") }}
{{- end }}
{{- if gt $gpus (float64 $.Values.gpuServe.gpus) }}
{{- fail (print $name ".gpus is more than a pod has (gpuServe.gpus): no replica would ever start") }}
{{- end }}
{{- if gt (float64 $deployment.cpus) (ternary $.Values.gpuServe.cpus $.Values.serve.cpus (gt $gpus 0.0) | float64) }}
{{- fail (print $name ".cpus is more than a pod has (serve.cpus; with GPUs gpuServe.cpus): no replica would ever start") }}
{{- end }}
{{- end }}
{{- if gt (float64 .Values.classifier.gpus) 0.0 }}
{{- $pods = int .Values.gpuServe.maxPods }}
{{- end }}
{{- if gt (int .Values.classifier.minReplicas) (mul .Values.classifier.perPod $pods | int) }}
{{- fail "classifier.minReplicas does not fit: there are at most serve.maxPods (with GPUs gpuServe.maxPods) pods with classifier.perPod replicas each" }}
{{- end }}
{{- if gt (int .Values.teacher.minReplicas) (int .Values.teacher.replicas) }}
{{- fail "teacher.minReplicas is more than teacher.replicas" }}
{{- end }}
{{- if and .Values.podDisruptionBudget.enabled (gt (int .Values.podDisruptionBudget.minAvailable) (int .Values.serve.minPods)) }}
{{- fail "podDisruptionBudget.minAvailable is more than serve.minPods: no node could ever be drained" }}
{{- end }}
{{- end -}}

{{/* Takes name and resources. */}}
{{- define "tornio.refusalsOfResources" -}}
{{- $limits := .resources.limits | default dict }}
{{- range $of, $request := .resources.requests }}
{{- if hasKey $limits $of }}
{{- if gt (include "tornio.amount" $request | float64) (include "tornio.amount" (get $limits $of) | float64) }}
{{- fail (printf "%s.requests.%s is more than its limit: no pod would be admitted" $.name $of) }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* A quantity of Kubernetes (500m, 2Gi, 4) as a number. */}}
{{- define "tornio.amount" -}}
{{- $units := dict "" 1 "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 }}
{{- $binary := dict "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 "Ei" 1152921504606846976 }}
{{- $unit := regexFind "[a-zA-Z]+$" (toString .) }}
{{- mulf (toString . | trimSuffix $unit | float64) (get (merge $units $binary) $unit) -}}
{{- end -}}
