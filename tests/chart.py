"""The chart as `helm template` renders it, for tests with and without a cluster."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "helm" / "tornio"
SMALL = ("-f", str(CHART / "values-small.yaml"))
DEV = (*SMALL, "-f", str(ROOT / "k8s" / "dev" / "values.yaml"))
VALUES = {"default": (), "small": SMALL, "dev": DEV}
"""Each values file that the project has, as helm's arguments."""

TASK = {"name": "reviews", "workspace": "acme", "labels": ["good", "bad"], "pool": "s3://data/reviews.csv"}
SWITCHES: dict[str, dict[str, Any]] = {
    "none": {},
    "gpu groups": {"gpuServe": {"maxPods": 2}, "gpuTrain": {"maxPods": 1}, "teacher": {"gpus": 0.5}},
    "gpu jobs": {"jobs": {"gpus": 1}},
    "no jobs": {"jobs": {"enabled": False}},
    "ingress": {"ingress": {"enabled": True, "tlsSecret": "cert", "className": "nginx"}},
    "pod monitor": {"podMonitor": {"enabled": True, "labels": {"release": "prometheus"}}},
    "network from": {
        "networkPolicy": {
            "from": [{"namespaceSelector": {"matchLabels": {"name": "shop"}}}],
            "operatorNamespace": {"kubernetes.io/metadata.name": "kuberay"},
            "monitoringNamespace": {"name": "monitoring"},
        }
    },
    "llm": {
        "llm": {"endpoints": {
            "gpt": {
                "settings": {"url": "https://api.example.com", "model": "m", "max_requests": 9, "max_tokens": 20000000},
                "existingSecret": "provider",
                "egress": [{"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}], "ports": [{"port": 443}]}],
            },
            "own": {
                "settings": {"url": "http://vllm.models:8000/v1", "model": "m", "max_requests": 50, "max_tokens": 900},
                "egress": [{"to": [{"namespaceSelector": {"matchLabels": {"name": "models"}}}]}],
            },
        }},
        "networkPolicy": {"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]},
    },
    "no network policy": {"networkPolicy": {"enabled": False}},
    "no budget": {"podDisruptionBudget": {"enabled": False}},
    "no ray token": {"ray": {"auth": {"enabled": False}}},
    "given ray token": {"ray": {"auth": {"existingSecret": "ray-token"}}},
    "redis with password": {"ray": {"gcsFaultTolerance": {"redisAddress": "redis:6379", "existingSecret": "redis"}}},
    "haproxy": {"ray": {"haproxy": True}},
    "classifier on GPUs": {"classifier": {"gpus": 1}, "gpuServe": {"maxPods": 2}},
    "no second cluster": {"ray": {"upgradeStrategy": "None"}},
    "tasks": {"tasks": {"reviews": TASK}, "apply": {"existingSecret": "key"}},
    "argilla and keys": {
        "argilla": {"url": "https://argilla.example.com", "existingSecret": "argilla"},
        "apiKeys": {"existingSecret": "keys"},
        "store": {"existingSecret": "s3", "prefix": "tornio", "endpoint": "https://s3.example.com"},
    },
    "digest": {"image": {"digest": "sha256:" + "a" * 64, "pullSecrets": ["registry"]}},
    "workload identity": {"serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/t"}}},
    "given account": {"serviceAccount": {"create": False, "name": "default"}},
    "where pods go": {
        group: {
            "nodeSelector": {"pool": "text"},
            "tolerations": [{"key": "text", "operator": "Exists", "effect": "NoSchedule"}],
            "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "noisy"}}}
            ]}},
        }
        for group in ("head", "serve", "jobs")
    },
    "more of every pod": {
        "podAnnotations": {"example.com/team": "text"},
        "podLabels": {"team": "text"},
        "volumes": [{"name": "ca", "configMap": {"name": "private-ca"}}],
        "volumeMounts": [{"name": "ca", "mountPath": "/etc/ca", "readOnly": True}],
    },
    "classes": {
        group: {"runtimeClassName": "nvidia", "priorityClassName": "high"} for group in ("head", "serve", "jobs")
    },
    "a teacher that goes": {"teacher": {"minReplicas": 0, "gpus": 1}, "gpuServe": {"maxPods": 1}},
    "any uid": {"podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None}},
    "environment": {"env": {"TORNIO_JOB_LARGE_TEXTS": "1000"}, "secretsRevision": 3, "fullnameOverride": "clay"},
}  # fmt: skip
"""What can be switched on or off, each as values."""


def switched(values: dict[str, Any]) -> tuple[str, ...]:
    """These values as helm's arguments, leaf by leaf: a whole map would put away what a values file says of it."""
    return tuple(f"--set-json={path}={json.dumps(value)}" for path, value in _leaves(values))


def _leaves(values: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        path = above + name.replace(".", "\\.")
        if isinstance(value, dict) and value:
            yield from _leaves(value, path + ".")
        else:
            yield path, value


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["helm", "template", "t", str(CHART), "--kube-version", "1.34.0", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def rendered(*arguments: str) -> list[dict[str, Any]]:
    """The manifests, hooks and tests among them."""
    done = helm(*arguments)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def one(documents: list[dict[str, Any]], kind: str, name: str = "t") -> dict[str, Any]:
    (found,) = [one for one in documents if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return found


def pods(document: Any) -> list[dict[str, Any]]:
    """The specs of all pods that a manifest makes, those of a RayJob in a ConfigMap too."""
    if isinstance(document, dict):
        own = [document] if "containers" in document else []
        return own + [pod for value in document.values() for pod in pods(value)]
    if isinstance(document, list):
        return [pod for value in document for pod in pods(value)]
    if isinstance(document, str) and document.lstrip().startswith("{") and not document.startswith("{{"):
        return pods(json.loads(document))
    return []
