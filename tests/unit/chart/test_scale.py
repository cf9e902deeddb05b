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
    return script("scale")


def script(name: str) -> ModuleType:
    found = importlib.util.spec_from_file_location(name, CHART / "files" / f"{name}.py")
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


def test_what_stands_in_the_way_is_overcome_or_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RAYSERVICE": "t", "NAMESPACE": "n", "PATIENCE_S": "60"}.items():
        monkeypatch.setenv(name, value)
    kube = script("kube")
    monkeypatch.setattr(kube.time, "sleep", lambda _seconds: None)
    answers = iter(["not yet", ""])
    assert kube.overcome(lambda: next(answers), "Nothing was done") < 60
    monkeypatch.setenv("PATIENCE_S", "0")

    def gone() -> str:
        raise OSError("no such cluster")

    with pytest.raises(SystemExit, match="Nothing was done within 0 s: OSError: no such cluster"):
        kube.overcome(gone, "Nothing was done")
