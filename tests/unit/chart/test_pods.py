"""What values add to the pods that the chart makes, by `helm template`: skipped where there is no helm."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
import yaml

from tests.chart import SWITCHES, TASK, one, pods, rendered, switched

pytestmark = [
    pytest.mark.unit,
    pytest.mark.skipif(shutil.which("helm") is None, reason="helm is not installed: charts are not rendered"),
]


def _pod_metadata(node: Any) -> list[dict[str, Any]]:
    """The metadata of all pods that a manifest makes."""
    if isinstance(node, dict):
        own = [node["metadata"]] if "containers" in (node.get("spec") or {}) else []
        return own + [found for value in node.values() for found in _pod_metadata(value)]
    if isinstance(node, list):
        return [found for value in node for found in _pod_metadata(value)]
    return _pod_metadata(yaml.safe_load(node)) if isinstance(node, str) and node.lstrip().startswith("{") else []


def test_every_pod_has_what_values_add_to_pods() -> None:
    """A private CA, for example. What selects pods stays as it is."""
    values = SWITCHES["more of every pod"] | {
        "podLabels": {"team": "text", "app.kubernetes.io/component": "x"},
        "gpuServe": {"maxPods": 1},
        "tasks": {"reviews": TASK},
        "apply": {"existingSecret": "key"},
    }
    documents = rendered(*switched(values))
    found = pods(documents)
    assert len(found) == 8  # head, two groups, head and workers of a RayJob, two Jobs, helm test
    for pod in found:
        assert {"name": "ca", "configMap": {"name": "private-ca"}} in pod["volumes"]
        assert {"name": "ca", "mountPath": "/etc/ca", "readOnly": True} in pod["containers"][0]["volumeMounts"]
        assert {"name": "tmp", "mountPath": "/tmp"} in pod["containers"][0]["volumeMounts"]  # noqa: S108 - of the pod
    metadata = _pod_metadata(documents)
    assert len(metadata) == 8
    for each in metadata:
        assert each["labels"]["team"] == "text"
        assert each["annotations"]["example.com/team"] == "text"
    components = {each["labels"]["app.kubernetes.io/component"] for each in metadata}
    assert components == {"head", "serve", "gpu-serve", "job", "apply", "scale", "test"}


def test_each_group_has_its_classes() -> None:
    values = {"gpuServe": {"maxPods": 1, "runtimeClassName": "nvidia"}, "jobs": {"priorityClassName": "low"}}
    documents = rendered(*switched(values))
    groups = one(documents, "RayService")["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    classes = {group["groupName"]: group["template"]["spec"].get("runtimeClassName") for group in groups}
    assert classes == {"serve": None, "gpu-serve": "nvidia"}
    cluster = yaml.safe_load(one(documents, "ConfigMap", "t-jobs")["data"]["rayjob.json"])["spec"]["rayClusterSpec"]
    assert cluster["workerGroupSpecs"][0]["template"]["spec"]["priorityClassName"] == "low"
