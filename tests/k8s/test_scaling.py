"""Numbers of pods that change: by an upgrade, by load, and when the pod with the only replica goes.

In order: each test goes on with the same release and task, with predictions all the while. Figures are printed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from tests.k8s.release import SERVE, Release, traffic, until
from tests.running import messages, served_task
from tornio.client import Client

pytestmark = pytest.mark.timeout(1800)
TASK = "shop/scaled"
ONE: dict[str, Any] = {
    "serve": {"minPods": 1, "maxPods": 2},
    "classifier": {"minReplicas": 1, "maxReplicas": 1, "downscaleDelaySeconds": 5},
    "autoscaler": {"idleSeconds": 20},
    "env": {"TORNIO_JOB_WARM_IDLE_SECONDS": "20"},  # the warm worker keeps its pod
}
VALUES = ONE


@pytest.fixture(scope="module")
def task(release: Release) -> str:
    with release.client() as client:
        served_task(client, TASK.split("/")[1], messages(80), 300)
    return TASK


@contextmanager
def answered(release: Release, capsys: pytest.CaptureFixture[str], what: str) -> Iterator[list[str]]:
    """Every prediction of the block is answered; what it says of times is printed."""
    said: list[str] = []
    with traffic(release.kubectl, TASK, 5) as seen:
        yield said
    with capsys.disabled():
        print(f"\n{what}: {', '.join(said)}; {len(seen.failed)} of {seen.sent} predictions failed")
        for at, why in seen.failed[:5]:
            print(f"  after {at} s: {why}")
    assert seen.failed == ()


def test_an_upgrade_that_changes_the_numbers_reaches_the_cluster_that_runs(
    release: Release, task: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = release.cluster()
    three = ONE | {"serve": {"minPods": 1, "maxPods": 3}}
    with answered(release, capsys, "pods from 1 to 3 and back to 1") as said:
        release.upgrade(three | {"classifier": ONE["classifier"] | {"minReplicas": 3, "maxReplicas": 3}})
        said.append(f"the third pod was ready after {until(lambda: _ready(release) == 3, 300, 'no third pod'):.0f} s")
        release.upgrade(three)
        took = until(lambda: len(release.kubectl.pods(SERVE)) == 1, 400, "pods stay above the minimum")
        said.append(f"two of three were freed after {took:.0f} s")
        release.upgrade(ONE | {"serve": {"minPods": 2, "maxPods": 3}})
        took = until(lambda: len(release.kubectl.pods(SERVE)) == 2, 300, "the minimum is not reached")
        said.append(f"a larger minimum was reached after {took:.0f} s")
    assert release.cluster() == before


def test_load_adds_a_replica_and_its_end_removes_it(
    release: Release, task: str, capsys: pytest.CaptureFixture[str]
) -> None:
    release.upgrade(ONE | {"classifier": ONE["classifier"] | {"maxReplicas": 2, "targetOngoingRequests": 1}})
    until(lambda: len(_names(release)) == 1 and _ready(release) == 1, 400, "it does not settle")
    with answered(release, capsys, "from 1 pod to 2 under load, and back") as said:
        with loaded(release):
            said.append(f"the second was ready after {until(lambda: _ready(release) == 2, 300, 'none came'):.0f} s")
        took = until(lambda: len(release.kubectl.pods(SERVE)) == 1, 400, "the second pod stays")
        said.append(f"it was freed {took:.0f} s after the load had ended")


@contextmanager
def loaded(release: Release) -> Iterator[None]:
    """Keep six requests with 64 texts each under way. Any that fails is raised at the end of the block."""
    over = threading.Event()
    texts = [text for text, _ in messages(64).values()]

    def ask(client: Client) -> None:
        while not over.is_set():
            client.predict(TASK, texts)

    with release.client() as client, ThreadPoolExecutor(6) as pool:
        asking = [pool.submit(ask, client) for _ in range(6)]
        try:
            yield
        finally:
            over.set()
        for one in asking:
            one.result()


@pytest.mark.parametrize("spare", [True, False])
def test_the_pod_with_the_only_replica_is_deleted(
    release: Release, task: str, spare: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """With another pod that runs but has no replica, and with none."""
    release.upgrade(ONE | {"serve": {"minPods": 1 + spare, "maxPods": 3}})
    # KubeRay makes no new pod in place of one that is about to go, so those of the test before must be gone.
    until(lambda: len(_names(release)) == 1 + spare and _ready(release) == 1, 400, "it does not settle")
    (pod,) = (pod for pod in release.kubectl.pods(SERVE) if _is_ready(pod))
    name = pod["metadata"]["name"]
    with answered(release, capsys, f"the only replica's pod deleted, {'with' if spare else 'without'} a spare") as said:
        release.kubectl.run("delete", "pod", name, "--wait=false")
        said.append(f"another was ready after {until(lambda: _ready(release) == 1, 300, 'no other pod came'):.0f} s")
        took = until(lambda: name not in _names(release), 300, "the pod stays")
        said.append(f"it was gone after {took:.0f} s more")
    events = release.kubectl.get("events")
    assert not [one["message"] for one in events if one["reason"] == "FailedPreStopHook"]


def _names(release: Release) -> set[str]:
    """Of all pods that serve, those that are about to go too."""
    return {pod["metadata"]["name"] for pod in release.kubectl.get("pods", selector=SERVE)}


def _ready(release: Release) -> int:
    """Pods with a replica, but those that are about to go."""
    return sum(map(_is_ready, release.kubectl.pods(SERVE)))


def _is_ready(pod: dict[str, Any]) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))
