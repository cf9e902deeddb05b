"""Versions come and go under a stream of requests, on real Ray Serve and a real object store: no request fails."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from bench.swapping.rig import START_S, Rig, Traffic, cluster, environment, until
from bench.swapping.workshop import BROKEN, FULL_NAME, LABELS, Workshop, tiny_encoder
from jobs.running.inline import InlineRunner
from services.controller.fleet import HeartbeatFleet
from services.controller.reconciler import Look, Reconciler
from services.messages import HeldVersions
from tests.integration.conftest import S3Access
from tornio.annotation.fake import FakeAnnotationTool
from tornio.client import Client
from tornio.errors import NotFound, NotServable
from tornio.schemas.loop import LoopState, SwapIntent
from tornio.schemas.runs import RunPlan, RunResult
from tornio.schemas.trial import AgainstCurrent
from tornio.settings import StorageSettings
from tornio.spec import TaskSpec
from tornio.storage import documents
from tornio.storage.s3 import open_store
from tornio.tasks import Tasks

pytestmark = pytest.mark.integration

COMPARED = 60
"""Texts that a trial compares: four seconds of the traffic."""


@pytest.fixture(scope="module")
def serve_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of Ray Serve in this process."""
    with cluster(tmp_path_factory.mktemp("serve")) as url:
        yield url


@pytest.fixture(scope="module")
def rig(serve_url: str, s3: S3Access, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Two replicas that serve ``v0`` of one task."""
    folder = tmp_path_factory.mktemp("rig")
    variables = environment(
        s3.endpoint, s3.bucket, s3.access_key, s3.secret_key, f"rig-{uuid.uuid4().hex[:8]}", folder / "node"
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        workshop = Workshop.over(open_store(StorageSettings()), folder / "trainer", str(tiny_encoder(folder / "bert")))
        workshop.publish("v0")
        workshop.promote("v0")
        rig = Rig(workshop, serve_url, variables)
        rig.deploy()
        until(lambda: rig.all_ready("v0"), "both replicas are ready", 240)
        yield rig
        rig.close()


@pytest.fixture
def traffic(rig: Rig) -> Iterator[Traffic]:
    """15 requests a second; the test fails if one of them did, or was answered by a model that is not its version."""
    with Traffic(rig) as stream:
        yield stream
    assert stream.failures == []
    assert not [one for one in stream.answered if one.label != expected(one.version)]


def expected(version: str) -> str:
    """What ``fresh`` versions answer to everything."""
    return LABELS[int(version.rpartition("v")[2]) % len(LABELS)]


def fresh(rig: Rig) -> str:
    """Publish the next version; it answers otherwise than the one before it."""
    number = len([one for one in rig.workshop.registry.versions() if one.version.startswith("v")])
    rig.workshop.publish(f"v{number}", favourite=number % len(LABELS))
    return f"v{number}"


def both(rig: Rig) -> list[HeldVersions]:
    """What the two replicas report, once both have a heartbeat that is not old."""
    found: list[HeldVersions] = []

    def look() -> bool:
        found[:] = rig.reports()
        return len(found) >= rig.replicas

    until(look, "both replicas report")
    return found


def test_swaps_under_load_reach_every_replica_and_no_request_fails(rig: Rig, traffic: Traffic) -> None:
    for _ in range(3):
        version = fresh(rig)
        rig.preload(version)
        revision, moved = rig.promote(version)
        last = traffic.wait_for(revision)
        assert last > moved
        assert {one.version for one in traffic.since(last)} <= {version}
    for one in traffic.answered:  # answers that were under way together may arrive in any order
        earlier = [other.revision for other in traffic.answered if other.pid == one.pid and other.done < one.sent]
        assert one.revision >= max(earlier, default=0)


def test_a_rollback_is_one_exchange_of_what_is_resident(rig: Rig, traffic: Traffic) -> None:
    before, version = rig.workshop.registry.alias("current"), fresh(rig)
    assert before is not None
    rig.preload(version)
    traffic.wait_for(rig.promote(version)[0])
    assert all(before.version in report.ready for report in both(rig))
    back = rig.workshop.registry.rollback("test", "it was worse")
    assert (back.version, back.revision) == (before.version, before.revision + 2)
    rig.notify_controller()
    traffic.wait_for(back.revision)


class Clock:
    """The time, and what a test adds to it."""

    later = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.later


def no_run(plan: RunPlan, attempt: int) -> RunResult:
    raise AssertionError(f"{plan.run} is started: nothing is trained or asked here")


def looks(rig: Rig, tried: SwapIntent) -> tuple[Reconciler, Callable[[], Look], Clock]:
    """Return the controller with a version that passed the gate, its next look by what the replicas report, and its
    clock."""
    gates = {"canary": {"share": 0.5, "minutes": 30, "texts": COMPARED}, "shadow": True}
    spec = {"workspace": "support", "name": "tickets", "labels": LABELS, "gates": gates}
    Tasks(rig.workshop.store).apply(TaskSpec.model_validate(spec), "test")
    task, clock, fleet = Tasks(rig.workshop.store).open("support", "tickets"), Clock(), HeartbeatFleet(time.monotonic)
    _, etag = documents.load(task.store, task.keys.loop, LoopState)
    documents.replace(task.store, task.keys.loop, LoopState(swap=tried), etag)
    controller = Reconciler(task.store, task, FakeAnnotationTool(), InlineRunner(no_run), fleet, clock)

    def look() -> Look:
        for replica, heartbeat in rig.heartbeats().items():
            fleet.report(replica, heartbeat)
        found = controller.look()
        rig.notify_controller()
        return found

    return controller, look, clock


@pytest.mark.parametrize("worse", [True, False])
def test_a_trial_under_load_refuses_the_worse_and_promotes_the_better_and_no_request_fails(
    rig: Rig, traffic: Traffic, worse: bool
) -> None:
    """Each answers every text otherwise than what serves. Of the better one alone, the hold-out has shown that."""
    serving, version = rig.workshop.registry.alias("current"), fresh(rig)
    assert serving is not None
    tried = SwapIntent(
        version=version,
        iteration=1,
        current_revision=serving.revision,
        why="passed the gate",
        since=datetime.now(UTC),
        against=AgainstCurrent(version=serving.version, texts=100, agreed=95 if worse else 0, correction=0.0),
    )
    controller, look, clock = looks(rig, tried)

    def ended() -> bool:
        found = look()
        if found.seen.tried.texts >= COMPARED:
            clock.later = timedelta(minutes=31)
        return found.state.swap is None

    until(ended, "the trial has ended")
    record = next(one for one in controller.task.trials() if one.version == version)
    assert record.trial.verdict is not None
    assert record.trial.verdict.promoted is not worse, record.trial
    assert record.trial.counts is not None
    assert record.trial.counts.errors == 0
    assert version in {one.version for one in traffic.answered if one.revision == serving.revision}
    if worse:
        assert "agrees with current on 0.000" in record.trial.verdict.reasons[0]
        until(lambda: {one.version for one in traffic.answered[-15:]} == {serving.version}, "what serves answers alone")
        assert rig.workshop.registry.alias("current") == serving
    else:
        traffic.wait_for(serving.revision + 1)


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_version_answers_not_one_request(rig: Rig, traffic: Traffic, how: str) -> None:
    serving = rig.workshop.registry.alias("current")
    assert serving is not None
    bad = f"bad-{how}"
    getattr(rig.workshop, how)(bad)
    rig.workshop.candidate(bad)
    rig.notify_controller()
    until(lambda: all(bad in report.failed for report in both(rig)), "both replicas refuse it")
    assert all(len(report.failed[bad]) > 30 for report in both(rig))  # a reason, not a word
    moved = rig.promote(bad)[1]
    until(lambda: len(traffic.since(moved)) >= 15, "requests are answered after the move")
    assert {one.version for one in traffic.since(moved)} == {serving.version}
    version = fresh(rig)
    rig.preload(version)
    traffic.wait_for(rig.promote(version)[0])


def test_a_killed_replica_comes_back_with_what_is_current_by_then(rig: Rig, traffic: Traffic) -> None:
    version = fresh(rig)
    rig.preload(version)
    killed = next(one.pid for one in reversed(traffic.answered) if one.error is None)
    os.kill(killed, signal.SIGKILL)
    revision, _ = rig.promote(version)
    until(lambda: len(traffic.first_by_replica(revision)) >= 2, "two replicas answer again", 300)
    assert killed not in traffic.first_by_replica(revision)


def test_without_the_controller_replicas_follow_the_store(rig: Rig, traffic: Traffic) -> None:
    version = fresh(rig)
    rig.preload(version)
    os.kill(rig.controller.pid.remote().result(timeout_s=30), signal.SIGKILL)
    revision = rig.workshop.promote(version).revision
    traffic.wait_for(revision)
    until(lambda: rig.all_ready(version), "replicas report to the new controller", 2 * START_S)


def test_replicas_that_are_replaced_gracefully_fail_no_request(rig: Rig, traffic: Traffic) -> None:
    before = {one.pid for one in traffic.answered}
    rig.deploy()
    until(lambda: not before & {one.pid for one in traffic.answered[-20:]}, "all replicas are new", 300)
    until(lambda: len({one.pid for one in traffic.answered[-20:]}) == 2, "both new ones answer", 300)


def test_errors_arrive_as_what_they_are(rig: Rig) -> None:
    spec = {"workspace": "support", "name": "tickets-2", "labels": LABELS}
    Tasks(rig.workshop.store).apply(TaskSpec.model_validate(spec), "test")

    with Client(rig.url) as client:
        with pytest.raises(NotFound, match="support/none"):
            client.predict("support/none", ["hello"])
        with pytest.raises(NotServable, match="no version yet"):
            client.predict("support/tickets-2", ["hello"])


def test_a_task_whose_name_goes_on_from_anothers_is_found(rig: Rig) -> None:
    store = rig.workshop.store
    for name in ("tickets-3", "tickets0", "ticketsx"):
        Tasks(store).apply(TaskSpec.model_validate({"workspace": "support", "name": name, "labels": LABELS}), "test")
    found = {"/".join(name) for name in Tasks(store).names()}
    assert {FULL_NAME, "support/tickets-3", "support/tickets0", "support/ticketsx"} <= found
