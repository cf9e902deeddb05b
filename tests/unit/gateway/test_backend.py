"""The real backend over a store in memory, with a cluster that is played."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import numpy as np
import pytest
from pydantic import ValidationError

from services.gateway import backend as gateway_backend
from services.gateway.backend import StoreBackend
from services.messages import ControllerStatus, HeldVersions, ReplicaReport
from tests.unit.registry.example import manifest
from tornio.api import (
    DeleteIn,
    LabelIn,
    LabelsIn,
    Prediction,
    PromoteIn,
    RecordIn,
    Request,
    RollbackIn,
    TaskName,
    TaskStatus,
    VersionOut,
    ZeroShotIn,
    ZeroShotOut,
    ZeroShotPrediction,
)
from tornio.audit import AuditLog
from tornio.drift.counts import count
from tornio.drift.windows import Window, write
from tornio.errors import Changed, NotFound, NotServable, TornioError, Unavailable
from tornio.labels.events import EventKind, LabelEvent
from tornio.loop.phase import EMPTY_POOL, Phase
from tornio.records import Purpose, Record
from tornio.registry import CANDIDATE, CURRENT, Registry
from tornio.schemas.keys import TaskKeys
from tornio.schemas.loop import LoopState, OpenBatch, SwapIntent
from tornio.schemas.runs import RunPlan, RunResult
from tornio.schemas.scoring import InputFile, ScoreArgs
from tornio.schemas.task import Batch, BatchItem, GateVerdict, Iteration
from tornio.spec import LabelSpec, TaskSpec
from tornio.status.asks import Ask
from tornio.storage import documents
from tornio.storage.memory import MemoryStore
from tornio.tasks import Progress, Tasks

pytestmark = pytest.mark.unit

NAME = TaskName("support", "tickets")
KEYS = TaskKeys(*NAME)
SPEC = TaskSpec.model_validate({"workspace": "support", "name": "tickets", "labels": ["billing", "bug"]})
NOW = datetime(2026, 1, 2, tzinfo=UTC)
T = TypeVar("T")


@dataclass
class FakeCluster:
    controller: ControllerStatus | TornioError = field(
        default_factory=lambda: ControllerStatus(Phase.LABELLING, "batch 1")
    )
    nudged: list[TaskName] = field(default_factory=list)

    async def score(
        self, texts: Sequence[str], labels: Sequence[LabelSpec], templates: Sequence[str], multi_label: bool
    ) -> ZeroShotOut:
        first = labels[0].name
        one = ZeroShotPrediction(labels=[first], probabilities={first: 0.9}, truncated=False)
        return ZeroShotOut(predictions=[one] * len(texts), agent=f"teacher:fake with {len(templates)} templates")

    async def controller_status(self, task: TaskName) -> ControllerStatus:
        if isinstance(self.controller, TornioError):
            raise self.controller
        return self.controller

    async def plan(self, job: str, task: TaskName, request: Request) -> RunPlan:
        if isinstance(self.controller, TornioError):
            raise self.controller
        asked = request.model_dump()
        files = (InputFile(uri=asked["data"], etag="e1", size=1),)
        args = ScoreArgs(files=files, labels=("billing", "bug"), folds=asked["folds"], precision="float32")
        return RunPlan.of(job, *task, args)

    async def nudge(self, task: TaskName) -> None:
        if isinstance(self.controller, TornioError):
            raise self.controller
        self.nudged.append(task)


class FakePredictor:
    """It says ``bug`` of every text. ``trouble``: why it must be replaced."""

    trouble: str | None = None

    def __init__(self) -> None:
        self.calls: list[tuple[str, TaskName, str | None]] = []

    async def predict(self, task: TaskName, texts: Sequence[str], version: str | None = None) -> Sequence[Prediction]:
        self.calls.append(("predict", task, version))
        return [Prediction(("bug",), {"bug": 1.0}, False, "v1", 1)] * len(texts)

    async def ask(self, task: TaskName, version: str | None = None) -> None:
        self.calls.append(("ask", task, version))

    async def load(self, task: TaskName, version: str | None = None) -> None:
        self.calls.append(("load", task, version))

    async def unload(self, task: TaskName) -> None:
        self.calls.append(("unload", task, None))

    def check(self) -> None:
        if self.trouble:
            raise RuntimeError(self.trouble)


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    Tasks(store).apply(SPEC, "test")
    return store


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def predictor() -> FakePredictor:
    return FakePredictor()


@pytest.fixture
def backend(store: MemoryStore, cluster: FakeCluster, predictor: FakePredictor) -> StoreBackend:
    return StoreBackend(store, cluster, predictor, annotate_url="http://argilla", clock=lambda: NOW, answers_s=0.05)


def run(*calls: Callable[[], Awaitable[T]]) -> list[T]:
    """Each call in one event loop, and what they left in the background."""

    async def all_of_them() -> list[T]:
        done = [await call() for call in calls]
        await asyncio.sleep(0)
        return done

    return asyncio.run(all_of_them())


def status(backend: StoreBackend) -> TaskStatus:
    return run(lambda: backend.status(NAME))[0]


def answered(record: str, who: str, label: str) -> LabelEvent:
    return LabelEvent(
        EventKind.ANSWER, record, (label,), 1, "argilla", annotator=who, response_id=f"{record}-{who}",
        response_updated_at=NOW,
    )  # fmt: skip


def test_annotators_have_names_where_the_controller_knows_them(
    backend: StoreBackend, store: MemoryStore, cluster: FakeCluster
) -> None:
    log = Tasks(store).open(*NAME).labels
    log.append([answered("r1", "u1", "bug"), answered("r1", "u2", "bug"), answered("r2", "u1", "bug")])
    cluster.controller = ControllerStatus(Phase.LABELLING, "batch 1", accounts={"u1": "ada"})
    (found,) = run(lambda: backend.annotators(NAME))
    assert [(one.name, one.answers, one.compared, one.agrees) for one in found.annotators] == [
        ("ada", 2, 1, 1), ("u2", 1, 1, 1),
    ]  # fmt: skip
    assert [(pair.first, pair.second, pair.records) for pair in found.pairs] == [("ada", "u2", 1)]
    assert [one.label for one in found.labels] == ["billing", "bug"]
    assert found.agreement is not None
    assert found.agreement.records == 1
    cluster.controller = Unavailable("it restarts")
    (found,) = run(lambda: backend.annotators(NAME))
    assert (found.annotators[0].name, found.controller_away) == ("u1", "it restarts")


def versions(backend: StoreBackend) -> dict[str, VersionOut]:
    return {version.version: version for version in run(lambda: backend.versions(NAME))[0]}


def add(backend: StoreBackend, *texts: str) -> None:
    run(
        lambda: backend.add_records(
            NAME, [RecordIn(record_id=f"r{n}", text=text) for n, text in enumerate(texts)], "ann"
        )
    )


def labels_in(*pairs: tuple[str, str], purpose: str = "train", source: str | None = None) -> LabelsIn:
    labels = [LabelIn(text=text, labels=[label]) for text, label in pairs]
    return LabelsIn.model_validate({"purpose": purpose, "source": source, "labels": labels})


def test_apply_says_what_changed_and_when_it_counts(backend: StoreBackend, cluster: FakeCluster) -> None:
    spec = SPEC.model_copy(update={"loop": SPEC.loop.model_copy(update={"batch_size": 10})})
    (applied, again) = run(lambda: backend.apply(spec, "ci"), lambda: backend.apply(spec, "ci"))
    assert applied.changes == ["loop.batch_size: 20 -> 10 (live)"]
    assert (applied.spec_rev, again.changes) == (2, [])
    assert cluster.nudged == [NAME, NAME]


def test_records_come_once(backend: StoreBackend) -> None:
    records = [RecordIn(text="one"), RecordIn(record_id="7", text="two", metadata={"lang": "en"})]
    first, second = run(
        lambda: backend.add_records(NAME, records, "ann"), lambda: backend.add_records(NAME, records, "ann")
    )
    assert (first.added, first.known) == (2, 0)
    assert (second.added, second.known) == (0, 2)


def test_a_text_that_is_known_under_another_id_is_left_out_unless_duplicates_are_asked_for(
    backend: StoreBackend,
) -> None:
    add(backend, "one")
    given = [RecordIn(record_id="other", text="One")]
    out, kept = run(
        lambda: backend.add_records(NAME, given, "ann"),
        lambda: backend.add_records(NAME, given, "ann", duplicates=True),
    )
    assert (out.added, out.same_text, kept.added, kept.same_text) == (0, 1, 1, 1)


def test_records_are_deleted_after_a_look(backend: StoreBackend, store: MemoryStore, cluster: FakeCluster) -> None:
    add(backend, "one", "two")
    nudges = len(cluster.nudged)
    asked = DeleteIn(record_ids=["r0"], dry_run=True)
    (seen,) = run(lambda: backend.delete_records(NAME, asked, "ci"))
    assert (seen.records, seen.already, len(cluster.nudged)) == (1, 0, nudges)
    assert not Tasks(store).open(*NAME).labels.read().deleted
    (done,) = run(lambda: backend.delete_records(NAME, DeleteIn(record_ids=["r0"]), "ci"))
    assert (done, len(cluster.nudged)) == (seen, nudges + 1)
    (event,) = Tasks(store).open(*NAME).labels.read()
    assert (event.event, event.record_id, event.source) == (EventKind.TOMBSTONE, "r0", "api:ci")
    again = [RecordIn(record_id="r0", text="one")]
    (added,) = run(lambda: backend.add_records(NAME, again, "ann"))
    assert (added.added, added.deleted) == (0, 1)


def test_labels_of_a_model_are_told_apart(backend: StoreBackend) -> None:
    add(backend, "one")
    given = labels_in(("one", "bug"), source="gpt").model_copy(update={"auto": True})
    run(lambda: backend.import_labels(NAME, given, "ci"))
    (export,) = run(lambda: backend.labels(NAME, "ann"))
    assert [(one.source, one.given_by) for one in export.records] == [("auto", "auto:gpt")]
    for wrong in ({"source": None}, {"purpose": "holdout"}):
        with pytest.raises(ValidationError):
            LabelsIn.model_validate({**given.model_dump(), **wrong})


def test_a_label_without_id_finds_the_record_of_its_text(backend: StoreBackend, store: MemoryStore) -> None:
    add(backend, "My bill  is wrong", "it crashes")
    given = labels_in(("my bill is wrong", "billing"), ("brand new", "bug"), source="seed.csv")
    (imported,) = run(lambda: backend.import_labels(NAME, given, "ci"))
    assert (imported.imported, imported.records_added) == (2, 1)
    events = {event.record_id: event for event in Tasks(store).open(*NAME).labels.read().events}
    assert events["r0"].labels == ("billing",)
    assert events["r0"].source == "import:seed.csv"


def test_what_is_imported_again_is_unchanged(backend: StoreBackend) -> None:
    given = labels_in(("a", "bug"), ("b", "billing"))
    first, second = run(
        lambda: backend.import_labels(NAME, given, "ci"), lambda: backend.import_labels(NAME, given, "ci")
    )
    assert (first.imported, second.imported, second.unchanged) == (2, 0, 2)


def test_an_import_that_is_sent_again_does_not_undo_what_came_between(
    backend: StoreBackend, store: MemoryStore
) -> None:
    first = labels_in(("a", "bug")).model_copy(update={"request": "first-import"})
    second = labels_in(("a", "billing")).model_copy(update={"request": "second-import"})
    for given in (first, second, first):
        run(lambda given=given: backend.import_labels(NAME, given, "ci"))  # type: ignore[misc]
    assert [event.labels for event in Tasks(store).open(*NAME).labels.read().events] == [("bug",), ("billing",)]


def test_the_export_has_what_is_true_in_the_order_of_the_pool(backend: StoreBackend) -> None:
    add(backend, "one", "two", "three")
    given = labels_in(("three", "bug"), ("one", "billing"))
    run(lambda: backend.import_labels(NAME, given, "ci"))
    (export,) = run(lambda: backend.labels(NAME, "ann"))
    records = list(export.records)
    assert export.count == len(records) == 2
    assert [(r.record_id, r.text, r.labels, r.source) for r in records] == [
        ("r0", "one", ["billing"], "import"),
        ("r2", "three", ["bug"], "import"),
    ]


def test_the_status_of_a_new_task(backend: StoreBackend) -> None:
    found = status(backend)
    assert (found.phase, found.why, found.controller_away) == ("labelling", "batch 1", None)
    assert (found.pool, found.training_labels) == (0, {"billing": 0, "bug": 0})
    assert (found.serving, found.metrics, found.curve, found.swaps) == (None, None, [], [])
    assert found.stop.threshold == SPEC.loop.stop.kappa
    assert found.annotate_url == "http://argilla"


def test_the_status_answers_while_the_controller_is_away(
    backend: StoreBackend, cluster: FakeCluster, store: MemoryStore
) -> None:
    add(backend, *(f"text {n}" for n in range(30)))
    batch = Batch(
        batch="g1-b0001",
        number=1,
        generation=1,
        dataset="tickets",
        items=tuple(BatchItem(record_id=f"r{n}", purpose=Purpose.QUERY) for n in range(4)),
        strategy="cold-start-random",
        run="query-1",
        created_at=NOW,
    )
    documents.create(store, KEYS.batch(batch.batch), batch)
    documents.update(
        store,
        KEYS.loop,
        LoopState,
        lambda state: state.evolve(
            batches=(OpenBatch(batch=batch.batch, opened_at=NOW),), attention={"run": "hangs: slow"}
        ),
    )
    answer = LabelEvent(
        EventKind.ANSWER, "r1", ("bug",), 1, "argilla", annotator="u1", response_id="x", response_updated_at=NOW
    )
    Tasks(store).open(*NAME).labels.append([answer])
    cluster.controller = Unavailable("the controller did not answer within 2 s: try again")
    found = status(backend)
    assert found.phase == "attention"
    assert "slow" in found.why
    assert found.attention == "slow"
    assert "batch g1-b0001: 1 of 4 answered" in found.why
    assert found.controller_away is not None
    assert "did not answer" in found.controller_away
    assert [(one.batch, one.answered, one.total) for one in found.batches] == [("g1-b0001", 1, 4)]
    counted = {"g1-b0001": Progress(3, 1)}  # one record was deleted in the annotation tool
    cluster.controller = ControllerStatus(Phase.LABELLING, "1 of 3", counted, queryable=26, gone_accounts=("ann",))
    found = status(backend)
    assert [(one.batch, one.answered, one.total) for one in found.batches] == [("g1-b0001", 1, 3)]
    assert (found.queryable, found.gone_accounts) == (26, ["ann"])


def test_a_write_succeeds_while_the_controller_is_away(
    backend: StoreBackend, cluster: FakeCluster, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.controller = Unavailable("gone")
    add(backend, "one")
    assert "the controller was not notified (gone). Trying again" in caplog.text


def test_the_controller_is_woken_as_soon_as_it_answers(
    backend: StoreBackend, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_backend, "NUDGE_AGAIN_S", (0.0, 0.0, 0.0))
    answers, cluster.controller = cluster.controller, Unavailable("gone")

    async def comes_back() -> None:
        await backend.apply(SPEC, "me")
        cluster.controller = answers
        while not cluster.nudged:
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(comes_back(), 60))


def judged(
    store: MemoryStore,
    number: int,
    *,
    promoted: bool,
    changed: tuple[dict[str, object], ...] = (),
    accuracy: float = 0.8,
    labels: dict[str, int] | None = None,
) -> None:
    """A version, its iteration and the judgement of it."""
    version = f"v{number}"
    documents.create(store, KEYS.version(version), manifest(version, minute=number))
    verdict = GateVerdict(promoted=promoted, integrity=True, reasons=("better" if promoted else "worse by 5 points",))
    iteration = Iteration(
        number=number,
        generation=1,
        batches=(),
        label_seq=1,
        pool_seq=1,
        spec_rev=1,
        labels=labels or {"billing": 10 * number, "bug": 3},
        train_run=f"train-{number}",
        evaluate_run=f"evaluate-{number}",
        version=version,
        verdict=verdict,
        metrics={"n": 40, "accuracy": accuracy, "interval": [0.65, 0.9], "macro_f1": 0.7},
        stop={"kappa": 0.9},
        started_at=NOW,
        finished_at=NOW,
    )
    documents.create(store, KEYS.iteration(number), iteration)
    output = {"verdict": verdict.model_dump(mode="json"), "changed": list(changed)}
    result = RunResult.model_validate(
        {
            "run": f"evaluate-{number}",
            "job": "evaluate",
            "attempt": 1,
            "output": output,
            "started_at": NOW,
            "finished_at": NOW,
        }
    )
    documents.create(store, KEYS.run(f"evaluate-{number}").result, result)


def serve(store: MemoryStore, *names: str) -> None:
    """Each version is promoted in turn, as the controller does it."""
    registry = Registry(store, KEYS)
    for revision, name in enumerate(names):
        registry.move(CANDIDATE, name, revision, "controller", "passed")
        registry.move(CURRENT, name, revision, "controller", "passed")


def test_the_status_tells_of_versions_swaps_and_replicas_that_lag(
    backend: StoreBackend, store: MemoryStore, cluster: FakeCluster
) -> None:
    for number in (1, 2):
        judged(store, number, promoted=True)
    serve(store, "v1", "v2")
    replicas = (
        ReplicaReport("a", 0.4, HeldVersions(("v2", 2), ("v1", "v2"))),
        ReplicaReport("b", 0.1, HeldVersions(("v1", 1), ("v1",), {"v2": "NaN in head"})),
        ReplicaReport("c", 0.1),
    )
    cluster.controller = ControllerStatus(Phase.WAITING, "nothing to do", replicas=replicas)
    found = status(backend)
    assert found.serving is not None
    assert (found.serving.version, found.serving.revision, found.serving.previous) == ("v2", 2, "v1")
    assert [(swap.version, swap.seconds is not None) for swap in found.swaps] == [("v2", True), ("v1", True)]
    assert [(replica.replica, replica.lags) for replica in found.replicas] == [
        ("a", None),
        ("b", "answers with v1; v2: NaN in head"),
        ("c", "answers with nothing; v2: is being loaded"),
    ]
    assert [(point.iteration, point.labels, point.accuracy, point.signal) for point in found.curve] == [
        (1, 13, 0.8, 0.9),
        (2, 23, 0.8, 0.9),
    ]
    assert found.metrics is not None
    assert (found.metrics.version, found.metrics.holdout, found.metrics.interval) == ("v2", 40, (0.65, 0.9))
    assert found.metrics.values["macro_f1"] == 0.7


def test_the_status_says_why_the_drift_cannot_be_read(backend: StoreBackend, store: MemoryStore) -> None:
    for number in (1, 2):
        judged(store, number, promoted=True)
    serve(store, "v1", "v2")
    none = np.zeros(0, dtype=np.float64)
    counts = count(("billing", "bug"), [], none, [], none.astype(bool), None)
    write(store, KEYS, Window.at(NOW, 3600), "r1", {"v2": counts})
    found = status(backend).drift
    assert found is not None
    assert (found.why, len(found.windows)) == (None, 1)
    store.delete([KEYS.version("v2")])
    found = status(backend).drift
    assert found is not None
    assert "v2" in str(found.why)


def test_the_score_of_the_status_is_that_of_the_version_that_serves(backend: StoreBackend, store: MemoryStore) -> None:
    for number, promoted in ((1, True), (2, True), (3, False)):
        judged(store, number, promoted=promoted, accuracy=0.7 + number / 100)

    def score() -> tuple[str, float | None]:
        found = status(backend).metrics
        assert found is not None
        return found.version, found.accuracy

    assert score() == ("v3", 0.73)  # nothing serves: the last that was judged
    serve(store, "v1", "v2")
    assert score() == ("v2", 0.72)
    run(lambda: backend.rollback(NAME, RollbackIn(), "ann"))
    assert score() == ("v1", 0.71)


def test_a_version_warns_of_labels_that_none_of_its_texts_had(backend: StoreBackend, store: MemoryStore) -> None:
    judged(store, 1, promoted=True, labels={"billing": 40, "bug": 0})
    assert versions(backend)["v1"].warnings == ["1 of 2 labels have no text, so it cannot predict 'bug'"]


def test_an_imported_test_set_is_counted_apart_from_what_annotators_hold_out(backend: StoreBackend) -> None:
    add(backend, *(f"text {n}" for n in range(60)))
    given = labels_in(("brand new", "bug"), ("another one", "billing"), purpose="holdout")
    run(lambda: backend.import_labels(NAME, given, "ci"))
    found = status(backend).holdout
    assert (found.labelled, found.imported, found.annotators) == (2, 2, 0)


def test_versions_say_what_became_of_them_and_what_changed(backend: StoreBackend, store: MemoryStore) -> None:
    add(backend, "my bill", "it crashes")
    for number in (1, 2, 3):
        judged(store, number, promoted=True)
    changed: dict[str, object] = {"record_id": "r0", "label": ["billing"], "current": ["billing"], "candidate": ["bug"]}
    judged(store, 4, promoted=False, changed=(changed,))
    judged(store, 5, promoted=True)
    documents.create(store, KEYS.version("v6"), manifest("v6", minute=6))
    serve(store, "v1", "v2", "v3")
    found = versions(backend)
    assert list(found) == ["v6", "v5", "v4", "v3", "v2", "v1"]
    assert [one.state for one in found.values()] == ["unjudged", "waiting", "refused", "serving", "previous", "served"]
    refused = found["v4"]
    assert refused.reasons == ["worse by 5 points"]
    (answer,) = refused.changed
    assert (answer.text, answer.label, answer.before, answer.after) == ("my bill", ["billing"], ["billing"], ["bug"])


def test_rollback_serves_the_previous_version_and_holds_promotion(backend: StoreBackend, store: MemoryStore) -> None:
    for number in (1, 2, 3):
        judged(store, number, promoted=True)
    serve(store, "v1", "v2")
    (moved,) = run(lambda: backend.rollback(NAME, RollbackIn(why="odd answers"), "ann"))
    assert (moved.version, moved.revision, moved.previous) == ("v1", 3, "v2")
    found = status(backend)
    assert found.asks.hold == "ann rolled back from v2: odd answers"
    assert found.swaps[0].seconds is None
    assert versions(backend)["v3"].state == "held"
    kept = SwapIntent(version="v3", iteration=3, current_revision=3, why="not worse", since=NOW)
    documents.update(store, KEYS.loop, LoopState, lambda state: state.evolve(swap=kept))
    assert versions(backend)["v3"].state == "held"
    (asked,) = run(lambda: backend.ask(NAME, Ask.RESUME, "ann"))
    assert asked.asks.hold is None
    assert "may be promoted again" in asked.said
    (asked,) = run(lambda: backend.ask(NAME, Ask.RESUME, "ann"))
    assert "promoted" not in asked.said


def test_a_version_that_is_promoted_is_asked_of_the_loop_and_audited(backend: StoreBackend, store: MemoryStore) -> None:
    judged(store, 1, promoted=True)
    judged(store, 2, promoted=False)
    serve(store, "v1")
    (asked,) = run(lambda: backend.served.promote(NAME, "ann", "v2", PromoteIn(why="fewer complaints", force=True)))
    assert asked.asks.hold == "ann promoted v2: fewer complaints"
    assert documents.load(store, KEYS.loop, LoopState)[0].asks.promote is not None
    assert status(backend).asks.hold == asked.asks.hold
    (event,) = AuditLog(store, NAME.workspace).newest(10).events
    assert (event.act, event.who, event.outcome) == ("promote", "ann", "done")
    assert event.detail == {"version": "v2", "force": True}


def test_a_second_rollback_goes_one_further_back_and_a_third_says_that_there_is_none(
    backend: StoreBackend, store: MemoryStore
) -> None:
    for number in (1, 2, 3):
        judged(store, number, promoted=True)
    serve(store, "v1", "v2", "v3")
    first, second = run(
        lambda: backend.rollback(NAME, RollbackIn(), "ann"), lambda: backend.rollback(NAME, RollbackIn(), "ben")
    )
    assert (first.version, second.version) == ("v2", "v1")
    with pytest.raises(NotFound, match="No version served support/tickets before v1"):
        run(lambda: backend.rollback(NAME, RollbackIn(), "ann"))
    assert status(backend).asks.hold == "ben rolled back from v2"


@pytest.mark.parametrize(
    ("served", "asked", "error"),
    [
        ((), RollbackIn(), NotServable),
        (("v1",), RollbackIn(), NotFound),
        (("v1",), RollbackIn(expected_revision=2), Changed),
        (("v1", "v2"), RollbackIn(expected_revision=1), Changed),
    ],
)
def test_a_rollback_that_cannot_be_leaves_no_hold(
    backend: StoreBackend, store: MemoryStore, served: tuple[str, ...], asked: RollbackIn, error: type[TornioError]
) -> None:
    for number in (1, 2):
        judged(store, number, promoted=True)
    serve(store, *served)
    with pytest.raises(error):
        run(lambda: backend.rollback(NAME, asked, "ann"))
    assert status(backend).asks.hold is None


@pytest.mark.parametrize("moved", [False, True])
def test_a_rollback_that_the_store_interrupts_is_told_as_it_ended(
    backend: StoreBackend, store: MemoryStore, moved: bool
) -> None:
    """A put may fail, or succeed and its answer be lost."""
    for number in (1, 2):
        judged(store, number, promoted=True)
    serve(store, "v1", "v2")
    real = store.put_if_match

    def put(key: str, body: bytes, etag: str) -> str:
        if key != KEYS.alias(CURRENT):
            return real(key, body, etag)
        if moved:
            real(key, body, etag)
        raise Unavailable("the connection broke")

    store.put_if_match = put  # type: ignore[method-assign]
    if moved:
        assert run(lambda: backend.rollback(NAME, RollbackIn(), "ann"))[0].version == "v1"
    else:
        with pytest.raises(Unavailable, match="the connection broke"):
            run(lambda: backend.rollback(NAME, RollbackIn(), "ann"))
    assert bool(status(backend).asks.hold) is moved


def test_a_rollback_of_which_nothing_is_known_says_that_the_hold_stays(
    backend: StoreBackend, store: MemoryStore
) -> None:
    for number in (1, 2):
        judged(store, number, promoted=True)
    serve(store, "v1", "v2")
    away = list[str]()

    def before(operation: str, key: str) -> None:
        if key == KEYS.alias(CURRENT) and operation == "put_if_match":
            away.append(key)
        if away:
            raise Unavailable("S3 is away")

    store.before = before
    with pytest.raises(Unavailable, match="nothing is promoted until `tornio resume support/tickets`"):
        run(lambda: backend.rollback(NAME, RollbackIn(), "ann"))
    store.before = lambda operation, key: None
    assert status(backend).asks.hold


def test_a_paused_task_says_that_training_waits_for_resume(backend: StoreBackend) -> None:
    run(lambda: backend.import_labels(NAME, labels_in(("a", "bug"), ("b", "billing")), "ci"))
    (at_once,) = run(lambda: backend.ask(NAME, Ask.TRAIN_NOW, "a"))
    _, later = run(lambda: backend.ask(NAME, Ask.PAUSE, "a"), lambda: backend.ask(NAME, Ask.TRAIN_NOW, "a"))
    assert "resume" not in at_once.said
    assert "after `tornio resume support/tickets`" in later.said


def test_a_training_waits_a_moment_for_answers_that_are_not_read_yet(
    backend: StoreBackend, store: MemoryStore, cluster: FakeCluster
) -> None:
    nudge = cluster.nudge

    async def read_answers(task: TaskName) -> None:
        await nudge(task)
        if len(cluster.nudged) == 1:
            items = [(Record("a", "a"), ["bug"]), (Record("b", "b"), ["billing"])]
            Tasks(store).open(*task).import_labels(items, "train", "s")

    cluster.nudge = read_answers  # type: ignore[method-assign]
    (asked,) = run(lambda: backend.ask(NAME, Ask.TRAIN_NOW, "a"))
    assert asked.asks.train_now


def test_what_a_user_asks_is_written_down(backend: StoreBackend) -> None:
    run(lambda: backend.import_labels(NAME, labels_in(("a", "bug"), ("b", "billing")), "ci"))
    paused, trained = run(lambda: backend.ask(NAME, Ask.PAUSE, "a"), lambda: backend.ask(NAME, Ask.TRAIN_NOW, "a"))
    assert paused.asks.paused
    assert trained.asks.train_now
    assert "tornio resume support/tickets" in paused.said


def test_the_list_says_where_each_task_stands(backend: StoreBackend, store: MemoryStore, cluster: FakeCluster) -> None:
    judged(store, 1, promoted=True)
    serve(store, "v1")
    ((task,),) = run(lambda: backend.tasks(lambda _: True))
    assert (task.workspace, task.task, task.phase, task.version, task.revision) == (*NAME, "labelling", "v1", 1)
    cluster.controller = Unavailable("gone")
    ((task,),) = run(lambda: backend.tasks(lambda _: True))
    assert (task.phase, task.why) == ("unknown", "gone")


def test_a_broken_task_is_a_row_and_other_workspaces_are_not_read(
    backend: StoreBackend, store: MemoryStore, cluster: FakeCluster
) -> None:
    Tasks(store).apply(SPEC.model_copy(update={"workspace": "others"}), "test")
    Tasks(store).apply(SPEC.model_copy(update={"name": "broken"}), "test")
    store.put_if_absent(TaskKeys("support", "broken").alias(CURRENT), b"{}")
    asked = list[str]()

    def before(operation: str, key: str) -> None:
        asked.append(key)

    store.before = before
    (rows,) = run(lambda: backend.tasks(lambda task: task.workspace == "support"))
    assert [(row.task, row.phase) for row in rows] == [("broken", "unknown"), ("tickets", "labelling")]
    assert "document" in rows[0].why
    assert not [key for key in asked if TaskKeys("others", "tickets").alias(CURRENT) in key]


def test_zero_shot_uses_the_default_templates(backend: StoreBackend) -> None:
    (said,) = run(lambda: backend.zero_shot(ZeroShotIn(texts=["a", "b"], labels=["x", "y"])))
    assert [one.labels for one in said.predictions] == [["x"], ["x"]]
    assert said.agent == "teacher:fake with 3 templates"


@pytest.mark.parametrize(("call", "who"), [("status", ()), ("versions", ()), ("labels", ("ann",))])
def test_an_unknown_task_is_not_found(backend: StoreBackend, call: str, who: tuple[str, ...]) -> None:
    with pytest.raises(NotFound, match="support/missing"):
        run(lambda: getattr(backend, call)(TaskName("support", "missing"), *who))


def test_ready_says_what_is_wrong(backend: StoreBackend, store: MemoryStore, predictor: FakePredictor) -> None:
    assert run(backend.ready)[0].ready
    predictor.trouble = "a background task has died"
    assert run(backend.ready)[0].parts == {"object store": "ok", "classifier": "a background task has died"}

    def away(operation: str, key: str) -> None:
        raise Unavailable("S3 is away")

    predictor.trouble, store.before = None, away
    found = run(backend.ready)[0]
    assert (found.ready, found.parts["object store"]) == (False, "S3 is away")


def test_a_status_seen_again_counts_only_what_is_new(backend: StoreBackend, store: MemoryStore) -> None:
    add(backend, "one", "two")
    before = status(backend)
    run(lambda: backend.import_labels(NAME, labels_in(("one", "bug"), purpose="holdout"), "ci"))
    after = status(backend)
    assert (before.holdout.labelled, after.holdout.labelled) == (0, 1)
    assert after.pool == 2


def test_predict_versions_and_status_say_in_the_same_words_what_the_first_version_waits_for(
    backend: StoreBackend, cluster: FakeCluster, predictor: FakePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing_yet(*_: object) -> Sequence[Prediction]:
        raise NotServable("this replica knows of no version")

    monkeypatch.setattr(predictor, "predict", nothing_yet)
    labels = [LabelIn(text=f"text {n}", labels=["bug"]) for n in range(3)]
    run(lambda: backend.import_labels(NAME, LabelsIn(labels=labels), "ann"))
    cluster.controller = Unavailable("gone")
    why = status(backend).first_version
    assert why == (
        "a training needs texts of at least two labels, and only 'bug' has one so far; import labels with "
        "`tornio labels import`"
    )
    with pytest.raises(NotServable, match="support/tickets has no version yet: gone"):
        run(lambda: backend.predict(NAME, ["hello"]))
    cluster.controller = ControllerStatus(Phase.LABELLING, "batch 1", first_version=why)
    assert status(backend).first_version == why
    with pytest.raises(NotServable) as told:
        run(lambda: backend.predict(NAME, ["hello"]))
    assert str(told.value) == f"support/tickets has no version yet: {why}."


def test_texts_that_the_controller_has_not_seen_are_no_empty_pool(backend: StoreBackend, cluster: FakeCluster) -> None:
    cluster.controller = ControllerStatus(Phase.WAITING, EMPTY_POOL, first_version="add texts")
    assert (status(backend).why, status(backend).first_version) == (EMPTY_POOL, "add texts")
    run(lambda: backend.add_records(NAME, [RecordIn(record_id="r1", text="hello")], "ann"))
    found = status(backend)
    assert found.why == found.first_version == "the first texts have just been added, and are looked at within seconds"
    cluster.controller = ControllerStatus(Phase.ATTENTION, "the annotation tool does not answer")
    assert status(backend).why == "the annotation tool does not answer"


def test_a_served_model_is_described_with_the_versions_that_can_be_asked_for(
    backend: StoreBackend, store: MemoryStore
) -> None:
    for version in (None, "previous"):
        with pytest.raises(NotServable, match="tornio status support/tickets"):
            run(partial(backend.served.describe, NAME, version))
    registry = Registry(store, KEYS)
    for number, version in enumerate(["v1", "v2", "v3", "v4"]):
        documents.create(store, KEYS.version(version), manifest(version, minute=number))
    (unserved,) = run(lambda: backend.served.describe(NAME, "v4"))
    assert (unserved.version, unserved.versions) == ("v4", ("v1", "v2", "v3", "v4"))
    registry.move(CURRENT, "v2", 0, "test", "passed")
    with pytest.raises(NotFound, match="no version previous"):
        run(lambda: backend.served.describe(NAME, "previous"))
    registry.move(CURRENT, "v3", 1, "test", "passed")
    for asked, version in [(None, "v3"), ("previous", "v2"), ("v1", "v1")]:
        (found,) = run(partial(backend.served.describe, NAME, asked))
        assert (found.version, found.versions) == (version, ("v3", "v2", "v1", "v4"))
        assert (found.kind, found.labels, found.multi_label) == ("few-shot", ("billing", "bug"), False)
    with pytest.raises(NotFound, match="tornio versions support/tickets"):
        run(lambda: backend.served.describe(NAME, "v9"))
    with pytest.raises(NotFound):
        run(lambda: backend.served.describe(TaskName("support", "none")))


def test_models_are_asked_for_the_version_that_a_request_names(backend: StoreBackend, predictor: FakePredictor) -> None:
    served = backend.served
    run(
        lambda: backend.predict(NAME, ["a"], "v1"),
        lambda: served.check(NAME, "v2"),
        lambda: served.load(NAME, "ann", "v3"),
        lambda: served.unload(NAME, "ann"),
    )
    assert predictor.calls == [
        ("predict", NAME, "v1"), ("ask", NAME, "v2"), ("load", NAME, "v3"), ("unload", NAME, None),
    ]  # fmt: skip
