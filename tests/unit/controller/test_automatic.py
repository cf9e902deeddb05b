"""Automatic labels from the first training to a rollback, through the real controller, job and label log."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.auto_label import run
from jobs.context import JobContext, RunContext
from tests.unit.controller.turning import HashLoader, Turning, make_spec, quick_fit
from tornio.api import AutomaticStatus, AutoMeasureOut, OutlookOut
from tornio.cli.automatic_view import automatic_lines
from tornio.labels.automatic import given_by_version, standing_labels
from tornio.labels.events import EventKind
from tornio.registry import CURRENT, NodeCache, Registry
from tornio.schemas.automatic import AutoLabelArgs, AutoLabelOutput, AutoLabelRecord
from tornio.schemas.runs import RunPlan
from tornio.schemas.tables import AUTO_LABELS
from tornio.spec import AutoLabelSpec, TaskSpec
from tornio.status.automatic import automatic_status
from tornio.status.snapshot import Reader
from tornio.storage import documents
from tornio.tasks import Tasks, export_labels, reserve, roll_back

pytestmark = pytest.mark.unit
LOOSE: dict[str, Any] = {"target_error": 0.5, "confidence": 0.5}
"""What the few hold-out labels of these tests allow."""


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with quick_fit():
        yield


def spec_of(**auto_label: Any) -> TaskSpec:
    return make_spec(holdout_share=0.3).model_copy(update={"auto_label": AutoLabelSpec(**auto_label)})


def current(turning: Turning) -> str:
    alias = Registry(turning.store, turning.task.keys).alias(CURRENT)
    assert alias is not None
    return alias.version


def standing_versions(turning: Turning) -> set[str]:
    return {version for version, _ in standing_labels(turning.task.labels.read())}


def settled(turning: Turning) -> Turning:
    """Turn to the end, and on until nothing is left to be written."""
    controller = turning.controller()
    turning.turn(controller)
    for _ in range(20):
        turning.clock.now += timedelta(seconds=10)  # past the pause after an attempt that was killed
        controller.look()
    return turning


def job(turning: Turning, spec: TaskSpec, **args: Any) -> tuple[AutoLabelOutput, list[dict[str, Any]]]:
    """Run the job as a controller would plan it now."""
    Tasks(turning.store).apply(spec, "test")
    cache, task = NodeCache(turning.folder, turning.store), turning.task
    context = JobContext(turning.store, cache, HashLoader(turning.store, cache, "float32"), Tasks(turning.store))
    wanted = AutoLabelArgs(
        version=current(turning), label_seq=task.labels.last_seq(), pool_seq=task.pool.last_seq(),
        spec_rev=task.document.spec_rev, **args,
    )  # fmt: skip
    plan = RunPlan.of("auto-label", "w", "t", wanted)
    output = run(wanted, RunContext(context, plan, 1))
    return output, AUTO_LABELS.decode(turning.store.get(output.labels).body).to_pylist()


def test_the_serving_version_labels_what_nobody_has_said_and_no_held_out_text(tmp_path: Path) -> None:
    turning = settled(Turning(tmp_path, spec=spec_of(**LOOSE)).begin())
    task, events = turning.task, turning.task.labels.read().events
    labels = standing_labels(events)
    assert labels
    assert standing_versions(turning) == {current(turning)}
    said = {event.record_id for event in events if not event.of_version}
    assert not {name for _, name in labels} & (said | reserve(task, task.pool.read(), events))
    found = {one.record_id: one for one in export_labels(task).records if one.version}
    assert {(one.version, name) for name, one in found.items()} == set(labels)
    assert all(one.probability is not None for one in found.values())
    state = task.loop_state()
    assert state.auto.run is not None
    record, _ = documents.load(turning.store, task.keys.automatic(state.auto.run), AutoLabelRecord)
    assert record.output.labelled == len(labels)
    assert all(event.score is not None for event in labels.values())


def test_a_rollback_withdraws_them_and_nothing_is_written_twice(tmp_path: Path) -> None:
    turning = settled(Turning(tmp_path, spec=spec_of(**LOOSE)).begin())
    last = current(turning)
    roll_back(turning.task, "ops", "bad answers")
    settled(turning)
    assert last not in standing_versions(turning)
    assert "ops rolled back" in turning.task.loop_state().auto.withdrawn[last].why
    events = len(turning.task.labels.read().events)
    for _ in range(2):
        settled(turning)
    assert len(turning.task.labels.read().events) == events


def test_killed_after_any_write_about_them_the_next_controller_comes_to_the_same_labels(tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def labelled(at: int | None) -> tuple[int, set[tuple[str, str]]]:
        turning, calls = Turning(tmp_path, spec=spec_of(**LOOSE)).begin(), 0

        def count(operation: str, key: str = "") -> None:
            nonlocal calls
            if operation.startswith("put") and ("auto" in key or (calls and key.endswith(("loop.json", ".parquet")))):
                calls += 1
                if calls == at:
                    raise Killed

        turning.store.after = count
        try:
            settled(turning)
        except Killed:
            turning.store.after = None
            settled(turning)
        turning.store.after = None
        events = turning.task.labels.read().events
        keys = [event.key for event in events if event.of_version]
        assert len(keys) == len(set(keys))
        assert {version for version, given in given_by_version(events).items() if given.standing} == {current(turning)}
        return calls, {(name, one.labels[0]) for (_, name), one in standing_labels(events).items()}

    calls, expected = labelled(None)
    assert calls > 10
    for at in range(1, calls + 1, 2):
        assert labelled(at)[1] == expected, f"killed after write {at}"


def test_versions_that_learn_from_them_are_known(tmp_path: Path) -> None:
    turning = settled(Turning(tmp_path, spec=spec_of(**LOOSE, train=True)).begin())
    iterations = turning.task.iterations()
    taught = [one for one in iterations if one.automatic]
    assert taught
    assert taught[0].texts is not None
    assert taught[0].automatic[0] in {one.version for one in iterations}
    answered = {event.record_id for event in turning.task.labels.read() if event.event is EventKind.ANSWER}
    assert (taught[-1].texts or 0) > len(answered)


def test_a_plain_threshold_is_not_tested_and_its_error_is_measured(tmp_path: Path) -> None:
    turning = settled(Turning(tmp_path, spec=spec_of()).begin())
    output, rows = job(turning, spec_of(threshold=0.4))
    (measure,) = output.measures
    assert measure.low is not None
    assert measure.bound is not None
    assert measure.judged > 0
    assert measure.low <= measure.wrong / measure.judged <= measure.bound
    assert min(row["probability"] for row in rows) >= 0.4
    assert (len(rows), output.outlook) == (output.labelled, ())
    assert output.labelled == output.allowed <= output.unlabelled


def test_where_the_hold_out_shows_too_little_nothing_is_labelled_and_what_would_help_is_said(tmp_path: Path) -> None:
    turning = settled(Turning(tmp_path, spec=spec_of()).begin())
    output, rows = job(turning, spec_of(target_error=0.05))
    assert (output.thresholds, output.labelled, rows) == ({}, 0, [])
    assert output.measures[0].threshold is None
    assert 0 < output.holdout < 45


def test_a_limit_draws_among_what_is_allowed_and_keeps_what_is_labelled(tmp_path: Path) -> None:
    turning = settled(Turning(tmp_path, spec=spec_of(**LOOSE)).begin())
    before = {name for _, name in standing_labels(turning.task.labels.read())}
    assert len(before) > 3
    all_of_them, _ = job(turning, spec_of(**LOOSE))
    few, rows = job(turning, spec_of(**LOOSE, limit=3))
    assert (few.allowed, few.labelled, len(rows)) == (all_of_them.allowed, 3, 3)
    assert {row["record_id"] for row in rows} <= before


def test_each_class_has_its_own_threshold_and_a_test_of_its_own(tmp_path: Path) -> None:
    turning = settled(Turning(tmp_path, spec=spec_of()).begin())
    output, rows = job(turning, spec_of(target_error=0.6, confidence=0.5, per_class=True))
    assert [measure.label for measure in output.measures] == list(turning.spec.label_names)
    assert {row["label"] for row in rows} <= set(output.thresholds)
    again, _ = job(
        turning, spec_of(target_error=0.6, confidence=0.5, per_class=True), thresholds=output.thresholds, recheck=True
    )
    assert (again.thresholds, again.lost) == (output.thresholds, ())
    lost, _ = job(turning, spec_of(target_error=0.01), thresholds=dict.fromkeys(turning.spec.label_names, 0.5))
    assert (lost.thresholds, set(lost.lost)) == ({}, set(turning.spec.label_names))


def test_labels_of_an_imported_test_set_do_not_judge_them(tmp_path: Path) -> None:
    turning = settled(Turning(tmp_path, spec=spec_of()).begin())
    before, _ = job(turning, spec_of(**LOOSE))
    records = _open_records(turning)[:3]
    turning.task.import_labels([(record, ["fruit"]) for record in records], "holdout", "import:test.csv")
    after, rows = job(turning, spec_of(**LOOSE))
    assert after.holdout == before.holdout
    assert not {row["record_id"] for row in rows} & {record.record_id for record in records}


def test_the_status_says_how_they_stand(tmp_path: Path) -> None:
    turning = Turning(tmp_path, spec=spec_of(target_error=0.05)).begin()
    before = _status(turning)
    assert before is not None
    assert before.why == "no version serves yet"
    settled(turning)
    few = _status(turning)
    assert few is not None
    assert "of the 45 hold-out labels that can show an error of at most 5.0%" in few.why
    Tasks(turning.store).apply(spec_of(**LOOSE), "test")
    settled(turning)
    labelled = _status(turning)
    assert labelled is not None
    assert labelled.version == current(turning)
    assert labelled.labels == labelled.allowed
    (measure,) = labelled.measures
    assert measure.threshold is not None
    lines = [line.plain for _, line in automatic_lines(labelled)]
    assert lines[0].startswith(f"{labelled.labels} of {labelled.version}; {labelled.version} may label")
    assert "an error of at most" in lines[1]
    last = current(turning)
    roll_back(turning.task, "ops", "bad answers")
    settled(turning)
    gone = _status(turning)
    assert gone is not None
    assert list(gone.withdrawn) == [last]
    assert ("withdrawn", f"{last}: {gone.withdrawn[last]}") in [
        (name, line.plain) for name, line in automatic_lines(gone)
    ]


def test_a_task_without_them_shows_nothing(tmp_path: Path) -> None:
    assert _status(Turning(tmp_path).begin()) is None


def test_a_plain_threshold_is_shown_with_its_interval() -> None:
    measure = AutoMeasureOut(threshold=0.9, coverage=0.5, judged=64, wrong=2, low=0.01, bound=0.09)
    other = AutoMeasureOut(label="bug")
    status = AutomaticStatus(
        why="v1 may label 3 of 6 unlabelled texts", confidence=0.9, threshold=0.9, measures=[other, measure],
        outlook=[OutlookOut(holdout=240, coverage=0.75)], learned={"v2": "it was trained on them"},
    )  # fmt: skip
    lines = [line.plain for _, line in automatic_lines(status)]
    assert (
        "2 of 64 hold-out labels there are wrong: an error of 1.0 % to 9.0 % (confidence 90%), not tested" in lines[1]
    )
    assert lines[2:] == [
        "bug: no threshold passes",
        "more hold-out labels would probably allow of these texts: 75.0 % with 240",
        "v2: it was trained on them",
    ]


def _status(turning: Turning) -> AutomaticStatus | None:
    return automatic_status(Reader(turning.store, turning.task).snapshot())


def _open_records(turning: Turning) -> list[Any]:
    task = turning.task
    view, events = task.pool.read(), task.labels.read().events
    taken = {event.record_id for event in events} | reserve(task, view, events)
    return [view.record(name) for name in view.record_ids if name not in taken]
