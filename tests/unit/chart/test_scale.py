"""The script that gives a running cluster the numbers of pods of an upgrade: what it changes, and what it leaves."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.chart import CHART

pytestmark = pytest.mark.unit


class Kube(SimpleNamespace):
    """The script's own ``kube``, on objects in memory."""

    RAYSERVICE = "t"

    def __init__(self, objects: dict[str, Any]) -> None:
        super().__init__(objects=objects, patched={})

    def ask(self, path: str) -> Any:
        return self.objects[path]

    def patch(self, path: str, operations: list[dict[str, Any]]) -> None:
        self.patched[path] = operations

    @staticmethod
    def unprocessed(service: dict[str, Any]) -> bool:
        return bool(service["status"]["observedGeneration"] != service["metadata"]["generation"])

    @staticmethod
    def pending_cluster(service: dict[str, Any]) -> str:
        return str(service["status"].get("pendingServiceStatus", {}).get("rayClusterName", ""))


def groups(**limits: tuple[int, int]) -> list[dict[str, Any]]:
    return [{"groupName": n, "minReplicas": low, "maxReplicas": high} for n, (low, high) in limits.items()]


def cluster(**limits: tuple[int, int]) -> dict[str, Any]:
    return {"spec": {"workerGroupSpecs": groups(**limits)}}


def service(observed: int = 2, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"generation": 2},
        "spec": {"rayClusterConfig": {"workerGroupSpecs": groups(serve=(1, 3), gpu=(0, 2))}},
        "status": {"observedGeneration": observed, "activeServiceStatus": {"rayClusterName": "old"}, **status},
    }


def loaded(kube: Kube, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setitem(sys.modules, "kube", kube)
    found = importlib.util.spec_from_file_location("scale", CHART / "files" / "scale.py")
    assert found
    assert found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_limits_that_differ_are_changed_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    kube = Kube({"rayservices/t": service(), "rayclusters/old": cluster(other=(1, 1), gpu=(0, 2), serve=(2, 2))})
    assert loaded(kube, monkeypatch).scale() == ""
    assert kube.patched == {
        "rayclusters/old": [
            {"op": "test", "path": "/spec/workerGroupSpecs/2/groupName", "value": "serve"},
            {"op": "add", "path": "/spec/workerGroupSpecs/2/minReplicas", "value": 1},
            {"op": "add", "path": "/spec/workerGroupSpecs/2/maxReplicas", "value": 3},
        ]
    }


def test_a_cluster_with_these_limits_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    kube = Kube({"rayservices/t": service(), "rayclusters/old": cluster(serve=(1, 3))})
    assert loaded(kube, monkeypatch).scale() == ""
    assert kube.patched == {}


def test_a_cluster_that_is_about_to_serve_gets_them_too(monkeypatch: pytest.MonkeyPatch) -> None:
    two = service(pendingServiceStatus={"rayClusterName": "new"})
    kube = Kube(
        {"rayservices/t": two, "rayclusters/old": cluster(serve=(1, 2)), "rayclusters/new": cluster(serve=(1, 2))}
    )
    assert loaded(kube, monkeypatch).scale() == ""
    assert set(kube.patched) == {"rayclusters/old", "rayclusters/new"}


def test_what_kuberay_has_not_seen_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    kube = Kube({"rayservices/t": service(observed=1)})
    assert "has not processed" in loaded(kube, monkeypatch).scale()
    monkeypatch.setenv("PATIENCE_S", "0")
    with pytest.raises(SystemExit, match="The numbers of pods were not changed"):
        loaded(kube, monkeypatch).main()
