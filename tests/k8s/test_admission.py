"""Every manifest, for each values file and each switch, before a real API server: types, KubeRay's own rules, and Pod
Security "restricted" for every pod that a manifest makes.

Needs no node: an API server with KubeRay's CRDs is enough.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart import ROOT, SWITCHES, VALUES, pods, rendered, switched
from tests.k8s.kubectl import Kubectl, Refused

CLASSES: dict[str, dict[str, Any]] = {
    "priority": {"apiVersion": "scheduling.k8s.io/v1", "value": 1000},
    "runtime": {"apiVersion": "node.k8s.io/v1", "handler": "nvidia"},
}
ELSEWHERE = sorted(path for path in (ROOT / "k8s").rglob("*.yaml") if path.name != "values.yaml")


@pytest.fixture(scope="module")
def kinds(kubectl: Kubectl) -> set[str]:
    rows = kubectl.run("api-resources", "--no-headers").splitlines()
    return {row.split()[-1] for row in rows}


@pytest.fixture(scope="module", autouse=True)
def classes(kubectl: Kubectl) -> Iterator[None]:
    """The classes that the switches name, because a pod may only name one that is there."""
    ours = {"app.kubernetes.io/managed-by": "tornio-tests"}
    named = {f"{group}/{values[f'{group}ClassName']}" for values in SWITCHES["classes"].values() for group in CLASSES}
    absent = [
        CLASSES[group] | {"kind": f"{group.title()}Class", "metadata": {"name": name, "labels": ours}}
        for group, _, name in (one.partition("/") for one in sorted(named))
        if not kubectl.run("get", f"{group}class", name, "--ignore-not-found")
    ]
    body = json.dumps({"apiVersion": "v1", "kind": "List", "items": absent})
    if absent:
        kubectl.run("create", "-f", "-", given=body)
    yield
    if absent:
        kubectl.run("delete", "-f", "-", given=body)


def as_pod(number: int, spec: dict[str, Any]) -> dict[str, Any]:
    """A pod of its own, by any account: whether Pod Security admits it."""
    own = {name: value for name, value in spec.items() if name != "serviceAccountName"}
    restart = {"restartPolicy": "Never"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"pod-{number}"}, "spec": own | restart}


def all_of(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """And what they hold: the RayJob that the controller makes, and every pod."""
    held = [
        json.loads(text)
        for document in documents
        for name, text in document.get("data", {}).items()
        if name == "rayjob.json"
    ]
    others = [document for document in documents if document["kind"] != "Pod"]
    return [*others, *held, *(as_pod(number, spec) for number, spec in enumerate(pods(documents)))]


@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("values", VALUES)
def test_the_chart(kubectl: Kubectl, namespace: str, kinds: set[str], values: str, switch: str) -> None:
    documents = rendered(*VALUES[values], *switched(SWITCHES[switch]), "--namespace", namespace)
    unknown = {document["kind"] for document in documents} - kinds
    assert unknown <= {"PodMonitor"}, "only Prometheus' own kind may be missing"
    kubectl.within(namespace).accepts(all_of([document for document in documents if document["kind"] in kinds]))
    if unknown:
        pytest.skip(f"all but the {', '.join(unknown)} accepted: this Kubernetes does not know that kind")


@pytest.mark.parametrize("path", ELSEWHERE, ids=lambda path: path.name)
def test_what_is_applied_by_hand(kubectl: Kubectl, namespace: str, path: Path) -> None:
    kubectl.within(namespace).accepts(all_of(list(yaml.safe_load_all(path.read_text()))))


def test_what_is_not_restricted_is_refused(kubectl: Kubectl, namespace: str) -> None:
    """Or nothing above would have shown anything."""
    (spec, *_) = pods(rendered())
    spec["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    with pytest.raises(Refused, match="violates PodSecurity"):
        kubectl.within(namespace).accepts([as_pod(0, spec)])


def test_what_kuberay_does_not_know_is_refused(kubectl: Kubectl, namespace: str) -> None:
    (job,) = [one for one in all_of(rendered()) if one["kind"] == "RayJob"]
    del job["spec"]["rayClusterSpec"]["headGroupSpec"]
    with pytest.raises(Refused, match="headGroupSpec"):
        kubectl.within(namespace).accepts([job])
