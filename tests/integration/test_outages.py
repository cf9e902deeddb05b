"""Parts go away or are killed: predictions go on, the status says what is wrong, the loop recovers, nothing is lost."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import httpx
import pytest

from tests.annotating import Annotator, nothing_is_lost, whole_batch
from tests.running import Running, all_answer_with, messages, served_task, serving, until
from tornio.api import TaskStatus
from tornio.client import Client
from tornio.errors import Unavailable

pytestmark = pytest.mark.integration

OUTAGE_S = 30.0
ALL = messages(120)
IDS = list(ALL)


class Traffic:
    """A request for a prediction every fifth of a second, without a second try; ``failures`` says what went wrong."""

    def __init__(self, url: str, task: str) -> None:
        self._client, self._task = Client(url, retry_seconds=0), task
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.answered: list[int] = []
        self.failures: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()
        self._client.close()

    def _run(self) -> None:
        while not self._end.wait(0.2):
            try:
                self.answered.append(self._client.predict(self._task, ["Where is my parcel?"])[0].revision)
            except Exception as error:  # noqa: BLE001 - the test asserts that there was none
                self.failures.append(f"{type(error).__name__}: {error}")


@pytest.fixture
def task(tornio_up: Running, request: pytest.FixtureRequest) -> str:
    """A task of the test's own that serves, with a batch in the annotator's hands."""
    name = request.node.name.removeprefix("test_")[:40].replace("_", "-")
    full_name = served_task(tornio_up.client, name, ALL)
    until(lambda: all_answer_with(tornio_up.client, full_name, 1), "each replica has heard of it")
    return full_name


@pytest.fixture
def ann(tornio_up: Running) -> Iterator[Annotator]:
    with Annotator(tornio_up.addresses, "shop") as annotator:
        yield annotator


def answer(ann: Annotator, task: str, said: dict[str, str], most: int = 100) -> None:
    for record in ann.pending(task.split("/")[1])[:most]:
        said[record.record_id] = ALL[record.record_id][1]
        ann.answer(record, said[record.record_id])


def attention(client: Client, task: str, word: str) -> TaskStatus | None:
    status = client.status(task)
    return status if status.phase == "attention" and word in status.why else None


def test_the_store_is_gone(tornio_up: Running, ann: Annotator, task: str) -> None:
    client, said = tornio_up.client, dict[str, str]()
    whole_batch(client, ann, task)
    with Traffic(tornio_up.url, task) as traffic:
        os.kill(tornio_up.child("seaweedfs").pid, signal.SIGKILL)
        gone, so_far = time.monotonic(), len(traffic.answered)
        answer(ann, task, said)  # people notice nothing
        until(lambda: _store_is_away(client), "readiness says that the store is away")
        with Client(tornio_up.url, retry_seconds=0, timeout=120) as once:
            told = _status_or_why(once, task)
        assert "store" in told or "9333" in told or "bucket" in told, told
        while time.monotonic() < gone + OUTAGE_S:
            time.sleep(0.2)
        until(lambda: len(traffic.answered) > so_far + 20, "predictions go on")
        tornio_up.restart("seaweedfs")
        serving(client, task, 2)
    assert traffic.failures == []
    until(lambda: client.ready().ready, "readiness says that the store is back")
    nothing_is_lost(client, ann, task, said)


def _store_is_away(client: Client) -> bool:
    return client.ready().parts["object store"] != "ok"


def _status_or_why(client: Client, task: str) -> str:
    try:
        return client.status(task).why
    except Exception as error:  # noqa: BLE001 - what it says is what is tested
        return str(error)


def test_the_store_hangs(tornio_up: Running, ann: Annotator, task: str) -> None:
    client, said = tornio_up.client, dict[str, str]()
    whole_batch(client, ann, task)
    with Traffic(tornio_up.url, task) as traffic:
        store = tornio_up.child("seaweedfs").pid
        os.kill(store, signal.SIGSTOP)
        try:
            answer(ann, task, said)
            until(lambda: _store_is_away(client), "readiness says that the store is away")
            time.sleep(OUTAGE_S / 2)
        finally:
            os.kill(store, signal.SIGCONT)
        serving(client, task, 2)
    assert traffic.failures == []
    nothing_is_lost(client, ann, task, said)


def test_the_annotation_tool_hangs(tornio_up: Running, ann: Annotator, task: str) -> None:
    client, said = tornio_up.client, dict[str, str]()
    whole_batch(client, ann, task)
    answer(ann, task, said, most=3)
    with Traffic(tornio_up.url, task) as traffic:
        argilla = tornio_up.child("argilla").pid
        os.kill(argilla, signal.SIGSTOP)
        try:
            began = time.monotonic()
            until(lambda: attention(client, task, "annotation tool"), "the status says what is away")
            time.sleep(max(0.0, OUTAGE_S - (time.monotonic() - began)))
        finally:
            os.kill(argilla, signal.SIGCONT)
        until(lambda: client.status(task).phase == "labelling", "the loop goes on")
        answer(ann, task, said)
        serving(client, task, 2)
        whole_batch(client, ann, task)
    assert traffic.failures == []
    nothing_is_lost(client, ann, task, said)


def test_the_annotation_tool_is_killed_while_a_model_trains(tornio_up: Running, ann: Annotator, task: str) -> None:
    """The next batch is logged when it is back, once."""
    client, said = tornio_up.client, dict[str, str]()
    whole_batch(client, ann, task)
    answer(ann, task, said)
    os.kill(tornio_up.child("argilla").pid, signal.SIGKILL)
    until(lambda: attention(client, task, "annotation tool"), "the status says what is away")
    tornio_up.restart("argilla")
    until(lambda: _answers(tornio_up), "Argilla answers again")
    serving(client, task, 2)
    whole_batch(client, ann, task)
    nothing_is_lost(client, ann, task, said)


def _answers(tornio: Running) -> bool:
    try:
        return httpx.get(f"{tornio.addresses.argilla_url}/api/v1/version", timeout=5).is_success
    except httpx.TransportError:
        return False


def test_the_controller_is_killed(tornio_up: Running, ann: Annotator, task: str) -> None:
    """At three moments: while people answer, when a batch closes, and right after the training began."""
    client, said = tornio_up.client, dict[str, str]()
    with Traffic(tornio_up.url, task) as traffic:
        for revision, pause in ((2, None), (3, 0.0), (4, 0.5)):
            whole_batch(client, ann, task)
            until(lambda: revision - 1 in traffic.answered, f"revision {revision - 1} answers")  # noqa: B023
            answer(ann, task, said, most=4 if pause is None else 8)
            time.sleep(pause or 0.0)
            kill(tornio_up, "ServeReplica:tornio:controller")
            answer(ann, task, said)
            serving(client, task, revision)
        until(lambda: 4 in traffic.answered, "revision 4 answers")
        whole_batch(client, ann, task)
    assert traffic.failures == []
    assert set(traffic.answered) == {1, 2, 3, 4}
    nothing_is_lost(client, ann, task, said)


def test_the_warm_worker_is_killed_in_mid_run(tornio_up: Running, ann: Annotator, task: str) -> None:
    client, said = tornio_up.client, dict[str, str]()
    whole_batch(client, ann, task)
    answer(ann, task, said)
    until(lambda: client.status(task).phase in ("training", "gating", "querying"), "it is at work")
    kill(tornio_up, "WarmWorker")
    serving(client, task, 2)
    whole_batch(client, ann, task)
    nothing_is_lost(client, ann, task, said)


def test_a_classifier_replica_is_killed(tornio_up: Running, task: str) -> None:
    """Its neighbour answers what it was asked, and the new one comes back with what serves."""
    client = tornio_up.client
    with Traffic(tornio_up.url, task) as traffic:
        before = until(lambda: _both(client, task), "two replicas serve")
        kill(tornio_up, "ServeReplica:tornio:classifier")
        until(lambda: _both(client, task) not in (None, before), "two replicas serve again")
    assert traffic.failures == []


def test_the_proxy_is_killed(tornio_up: Running, task: str) -> None:
    """Serve's proxy takes every request. Whoever tries again is answered: the next proxy starts by itself.

    The client itself tries for ten seconds. A busy machine takes longer to start a process of Ray.
    """

    def answered() -> bool:
        try:
            return bool(client.predict(task, ["Where is my parcel?"]))
        except Unavailable:
            return False

    with Client(tornio_up.url) as client:
        for _ in range(2):
            old = until(lambda: tornio_up.actors("ProxyActor"), "there is a proxy")[0]
            old.kill()
            old.wait()
            until(answered, "predictions come back")
            for _ in range(20):
                assert client.predict(task, ["Where is my parcel?"])


def _both(client: Client, task: str) -> set[str] | None:
    """The names of the replicas, while there are two and neither lags."""
    replicas = client.status(task).replicas
    return {one.replica for one in replicas} if len(replicas) == 2 and not any(r.lags for r in replicas) else None


def kill(tornio: Running, title: str) -> None:
    """End one of these actors, as a machine that dies would."""
    until(lambda: tornio.actors(title), f"there is a {title}")[0].kill()
