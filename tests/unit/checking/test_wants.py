"""What a deployment needs, read from its manifests."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from services.checking.wants import GpuGroup, SecretKey, wants_of

pytestmark = pytest.mark.unit

RAY_SERVICE = yaml.safe_load("""
apiVersion: ray.io/v1
kind: RayService
metadata: {name: tornio}
spec:
  rayClusterConfig:
    authOptions: {mode: token, secretName: ray-token}
    headGroupSpec:
      template:
        spec:
          imagePullSecrets: [{name: registry}]
          serviceAccountName: given
          containers:
            - name: ray-head
              env:
                - {name: TORNIO_S3_BUCKET, value: labels}
                - {name: AWS_ACCESS_KEY_ID, valueFrom: {secretKeyRef: {name: s3, key: id}}}
                - {name: TORNIO_ARGILLA_API_KEY_FILE, value: /secrets/argilla/api-key}
                - {name: NOT_NEEDED, valueFrom: {secretKeyRef: {name: other, key: x, optional: true}}}
              envFrom: [{secretRef: {name: more}}]
              volumeMounts: [{name: argilla, mountPath: /secrets/argilla/}]
          volumes: [{name: argilla, secret: {secretName: argilla}}]
    workerGroupSpecs:
      - groupName: cpu
        maxReplicas: 3
        template: {spec: {containers: [{name: w, resources: {limits: {memory: 3Gi}}}]}}
      - groupName: gpu
        maxReplicas: 2
        template: {spec: {containers: [{name: w, resources: {limits: {nvidia.com/gpu: "4"}}}]}}
""")


def test_what_a_rayservice_needs() -> None:
    wants = wants_of([RAY_SERVICE])
    assert wants.secrets == {
        "argilla": {"api-key"},
        "s3": {"id"},
        "more": frozenset(),
        "ray-token": {"auth_token"},
        "registry": frozenset(),
    }
    assert wants.accounts == {"given"}
    assert wants_of([RAY_SERVICE, {"kind": "ServiceAccount", "metadata": {"name": "given"}}]).accounts == frozenset()
    assert wants.gpus == (GpuGroup("gpu", "nvidia.com/gpu", 4, 2),)
    assert wants.environment == {
        "TORNIO_S3_BUCKET": "labels",
        "AWS_ACCESS_KEY_ID": SecretKey("s3", "id"),
        "TORNIO_ARGILLA_API_KEY_FILE": SecretKey("argilla", "api-key"),
    }


def test_a_template_of_rayjobs_counts_too_and_what_serves_comes_first() -> None:
    env = [{"name": "TORNIO_S3_BUCKET", "value": "elsewhere"}, {"name": "MORE", "value": 1}]
    pod: dict[str, Any] = {
        "containers": [{"env": env}],
        "volumes": [{"name": "v", "secret": {"secretName": "job", "items": [{"key": "k", "path": "p"}]}}],
    }
    job = {"kind": "RayJob", "spec": {"rayClusterSpec": {"headGroupSpec": {"template": {"spec": pod}}}}}
    template = {"kind": "ConfigMap", "data": {"job.json": json.dumps(job), "note": "of the RayJob"}}
    wants = wants_of([template, RAY_SERVICE])
    assert wants.secrets["job"] == {"k"}
    assert (wants.environment["TORNIO_S3_BUCKET"], wants.environment["MORE"]) == ("labels", "1")


def test_nothing_needs_nothing() -> None:
    assert wants_of([]).secrets == {}


def test_what_is_read_byte_by_byte_and_what_else_is_used() -> None:
    assert wants_of([RAY_SERVICE]).exact == {SecretKey("s3", "id"), SecretKey("ray-token", "auth_token")}
    task = {"workspace": "acme", "name": "a", "classifier": {"encoder": "bert"}, "teacher": {"model": "org/nli"}}
    several = {**task, "name": "d", "teacher": {"kind": "combined", "members": [{"kind": "embedding"}, {"model": "x"}]}}
    tasks = {"kind": "ConfigMap", "data": {
        "a.yaml": json.dumps(task), "b.py": "{", "c.yaml": "just: text", "d.yaml": json.dumps(several)
    }}  # fmt: skip
    wants = wants_of([RAY_SERVICE, tasks, {"kind": "PodMonitor"}])
    assert wants.encoders == {"minilm", "bert", "org/nli", "x"}
    assert wants.pod_monitor
    redis = {"kind": "RayService", "spec": {"rayClusterConfig": {
        "gcsFaultToleranceOptions": {"redisAddress": "redis:6379"},
        "headGroupSpec": {"template": {"spec": {"containers": [{}]}}},
    }}}  # fmt: skip
    assert wants_of([redis]).redis == "redis:6379"
