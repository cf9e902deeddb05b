"""The chart on a cluster, from an empty namespace with Pod Security "restricted" to predictions, and what happens to a
release afterwards. The services beside it are those of k8s/dev. In order: each test goes on with the same release."""

from __future__ import annotations

import base64
import json
import time

import httpx
import pytest

from tests.chart import TASK
from tests.k8s.release import KEY, Release, until
from tornio.storage.port import ObjectStore

pytestmark = pytest.mark.timeout(1800)
TASKS = {"reviews": {name: value for name, value in TASK.items() if name != "pool"}}


def test_it_serves(release: Release, capsys: pytest.CaptureFixture[str]) -> None:
    begun = time.monotonic()
    said = release.kubectl.helm("test", "tornio", "--logs", "--timeout", "15m")
    assert "zero-shot: {" in said
    with capsys.disabled():
        print(f"\nhelm install -> Ready {release.ready_s:.0f} s, helm test {time.monotonic() - begun:.0f} s")


def test_every_pod_was_admitted(release: Release) -> None:
    said = [event["message"] for event in release.kubectl.get("events")]
    refused = [message for message in said if "PodSecurity" in message or "forbidden" in message]
    assert refused == []
    found = release.kubectl.get("pods")
    assert {"head", "worker"} <= {pod["metadata"]["labels"].get("ray.io/node-type") for pod in found}
    for pod in found:
        for container in pod["spec"]["containers"] + pod["spec"].get("initContainers", []):
            assert container["securityContext"]["readOnlyRootFilesystem"], container["name"]


def test_tasks_are_applied_in_place_and_never_deleted(release: Release) -> None:
    before = release.cluster()
    assert release.ask("/v1/tasks/acme/reviews").status_code == 404
    release.upgrade({"tasks": TASKS})
    release.upgrade({"tasks": TASKS})  # again, which changes nothing
    release.upgrade({"tasks": {"questions": TASKS["reviews"] | {"name": "questions"}}})
    assert release.ask("/v1/tasks/acme/reviews").json()["spec_rev"] == 1
    assert release.ask("/v1/tasks/acme/questions").status_code == 200
    assert release.cluster() == before


def test_more_replicas_make_no_second_cluster(release: Release) -> None:
    before = release.cluster()
    release.upgrade({"classifier": {"minReplicas": 2}})
    until(lambda: _replicas(release) >= 2, 300, "the second classifier did not come")
    status = release.status()
    assert release.cluster() == before
    assert not status.get("pendingServiceStatus", {}).get("rayClusterName")


def _replicas(release: Release) -> int:
    with release.kubectl.forwarded("svc/tornio-serve-svc", 8000) as url:
        answer = httpx.get(f"{url}/v1/tasks/acme/reviews", headers={"Authorization": f"Bearer {KEY}"}, timeout=30)
    return len(answer.json().get("replicas", []))


def test_api_keys_are_exchanged_without_a_restart(release: Release, capsys: pytest.CaptureFixture[str]) -> None:
    new = "another-client-key-of-tornio-dev"

    def allow(*keys: str) -> None:
        entries = [{"name": key, "key": key, "workspaces": ["*"], "role": "operate"} for key in keys]
        data = {"keys.json": base64.b64encode(json.dumps(entries).encode()).decode()}
        release.kubectl.run("patch", "secret", "tornio-dev", "--type=merge", "-p", json.dumps({"data": data}))

    assert release.ask("/v1/tasks", new).status_code == 401
    allow(KEY, new)
    took = until(lambda: release.ask("/v1/tasks", new).status_code == 200, 240, "the new key is not known")
    assert release.ask("/v1/tasks").status_code == 200
    allow(new)
    until(lambda: release.ask("/v1/tasks").status_code == 401, 240, "the old key is still good")
    with capsys.disabled():
        print(f"\na new API key was known after {took:.0f} s")


def test_uninstalling_keeps_data(release: Release, store: ObjectStore, capsys: pytest.CaptureFixture[str]) -> None:
    before = _keys(store)
    release.kubectl.helm("uninstall", "tornio", "--wait", "--timeout", "5m")
    took = until(lambda: not release.kubectl.get("rayclusters"), 180, "the cluster does not go")
    assert "acme/tasks/reviews/task.json" in before
    assert before <= _keys(store)
    with capsys.disabled():
        print(f"\ngone {took:.0f} s after helm uninstall, data kept")


def _keys(store: ObjectStore) -> set[str]:
    """Of everything in the bucket, but what ends with its writers."""
    return {info.key for info in store.list("") if "/tasks/" in info.key}
