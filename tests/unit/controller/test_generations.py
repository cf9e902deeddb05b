"""Labels change while batches are open and versions are trained: no label is lost, and the loop goes on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.controller.perform import dataset_name
from tests.unit.controller.turning import LABELS, Turning, make_spec, quick_fit
from tornio.labels.resolve import resolve
from tornio.loop.phase import Phase
from tornio.records import Purpose
from tornio.registry import CURRENT, Registry
from tornio.schemas.loop import LoopState
from tornio.schemas.registry import Alias
from tornio.schemas.task import Batch
from tornio.spec import TaskSpec
from tornio.tasks import Task, Tasks
from tornio.tasks.data import select_holdout
from tornio.tasks.rollback import roll_back

pytestmark = pytest.mark.unit
NEW: list[Any] = [{"name": "food", "renamed_from": "fruit"}, "metal", "water"]
"""river is removed, and its texts are water."""
TRUTH = {"fruit": "food", "metal": "metal", "river": "water"}


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with quick_fit():
        yield


def relabelled(labels: list[Any] = NEW, **loop: Any) -> TaskSpec:
    spec = make_spec(**loop)
    return TaskSpec.model_validate(spec.model_dump(mode="json", exclude_unset=True) | {"labels": labels})


def begun(folder: Path, answered: int, **loop: Any) -> Turning:
    """A task with one trained version, and ``answered`` answers in the batch that is open."""
    turning = Turning(folder, make_spec(**loop)).begin()
    controller = turning.controller()
    for _ in range(200):
        look = controller.look()
        if look.busy:
            continue
        if look.state.iteration and look.state.batches and look.seen.current:
            break
        turning.answer()
    batch = turning.task.batches()[-1]
    for item in batch.items[:answered]:
        turning.annotation.answer("w", batch.dataset, item.record_id, "a1", [turning.truth[item.record_id]])
    controller.look()
    return turning


def migrate(turning: Turning, spec: TaskSpec) -> None:
    Tasks(turning.store).apply(spec, "ann", migrate=True)
    turning.truth = {name: TRUTH.get(label, label) for name, label in turning.truth.items()}


def current(turning: Turning) -> Alias:
    found = Registry(turning.store, turning.task.keys).alias(CURRENT)
    assert found is not None
    return found


def given(task: Task) -> dict[str, tuple[str, ...] | None]:
    return {name: one.labels for name, one in resolve(task.label_view().events, task.spec.label_names, False).items()}


def batches_of(task: Task, generation: int) -> list[Batch]:
    return [batch for batch in task.batches() if batch.generation == generation]


def test_an_open_batch_moves_to_a_data_set_with_the_new_labels(tmp_path: Path) -> None:
    turning = begun(tmp_path, answered=2)
    old = turning.task.batches()[-1]
    migrate(turning, relabelled())
    controller = turning.controller()
    while controller.look().busy:
        pass
    moved = batches_of(turning.task, 2)[0]
    assert moved.dataset == dataset_name("t", 2) == "t-G2"
    lapsed = set(turning.task.label_view().lapsed)
    kept = {item.record_id for item in old.items[:2]} - lapsed
    assert [i.record_id for i in moved.items] == [i.record_id for i in old.items if i.record_id not in kept]
    assert [i.purpose for i in moved.items] == [i.purpose for i in old.items if i.record_id not in kept]
    shown = turning.annotation.read("w", "t-G2", [item.record_id for item in moved.items])
    assert len(shown) == len(moved.items)
    names = {name for item in moved.items if item.suggestion for name in item.suggestion.labels}
    assert names <= {"food", "metal"}, "a suggestion has a label of now"


def test_the_version_that_serves_goes_on_until_one_with_the_new_labels_passes(tmp_path: Path) -> None:
    turning = begun(tmp_path, answered=1)
    before = current(turning)
    migrate(turning, relabelled())
    assert current(turning) == before
    look = turning.turn()
    assert look.standing.phase is Phase.STOPPED
    registry = Registry(turning.store, turning.task.keys)
    after = registry.manifest(current(turning).version)
    assert set(after.labels) == {"food", "metal", "water"}
    assert after.label_set_rev == 2
    assert before.version not in look.state.promoted or registry.manifest(before.version).generation == 1


def test_what_lost_its_label_is_asked_again_and_the_hold_out_stays(tmp_path: Path) -> None:
    turning = begun(tmp_path, answered=6, holdout_share=0.3, stop={"max_iterations": 9})
    task = turning.task
    held = select_holdout(task.pool.read(), task.label_view().events, task.spec, task.document.holdout_key)
    migrate(turning, relabelled(holdout_share=0.3, stop={"max_iterations": 9}))
    lapsed = set(turning.task.label_view().lapsed)
    assert lapsed, "some were river"
    turning.turn()
    task = turning.task
    asked = {item.record_id: item.purpose for batch in batches_of(task, 2) for item in batch.items}
    assert lapsed <= asked.keys(), "each is asked again"
    assert {name: asked[name] for name in lapsed & set(held.record_ids)} == dict.fromkeys(
        lapsed & set(held.record_ids), Purpose.HOLDOUT
    )
    now = given(task)
    assert all(now[name] == ("water",) or now[name] is None for name in lapsed)
    again = select_holdout(task.pool.read(), task.label_view().events, task.spec, task.document.holdout_key)
    assert set(held.record_ids) - lapsed <= set(again.record_ids)


def test_a_late_answer_in_the_old_data_set_counts_with_its_new_name(tmp_path: Path) -> None:
    turning = begun(tmp_path, answered=0)
    old = turning.task.batches()[-1]
    record = next(item.record_id for item in old.items if turning.truth[item.record_id] == "fruit")
    migrate(turning, relabelled())
    controller = turning.controller()
    while controller.look().busy:
        pass
    turning.annotation.answer("w", old.dataset, record, "a1", ["fruit"])
    turning.clock.now += timedelta(seconds=11)
    controller.look()
    assert given(turning.task)[record] == ("food",)


def test_a_roll_back_to_the_old_labels_is_said_and_the_next_promotion_is_not(tmp_path: Path) -> None:
    turning = begun(tmp_path, answered=1)
    first = current(turning)
    migrate(turning, relabelled())
    turning.turn()
    task, registry = turning.task, Registry(turning.store, turning.task.keys)
    moved = first
    while registry.manifest(moved.version).generation != 1 or moved.revision == first.revision:
        moved = roll_back(task, "ann")
    assert moved.outdated_labels
    assert not first.outdated_labels


@pytest.mark.parametrize("kill", range(1, 26))
def test_killed_at_any_write_the_migration_ends_the_same(tmp_path: Path, kill: int) -> None:
    undisturbed, killed = begun(tmp_path / "a", answered=2), begun(tmp_path / "b", answered=2)
    for one in (undisturbed, killed):
        migrate(one, relabelled())
    undisturbed.turn()
    calls = 0

    class Killed(BaseException):
        pass

    def trap(operation: str, key: str = "") -> None:
        nonlocal calls
        if operation in ("put", "put_if_absent", "put_if_match", "upload", "log", "ensure_dataset"):
            calls += 1
            if calls == kill:
                raise Killed

    killed.store.after, killed.annotation.after = trap, trap
    with pytest.raises(Killed):
        killed.turn()
    killed.store.after = killed.annotation.after = None
    killed.turn()
    assert given(killed.task) == given(undisturbed.task)
    for generation in (1, 2):
        pairs = zip(batches_of(killed.task, generation), batches_of(undisturbed.task, generation), strict=True)
        assert all(mine.items == theirs.items for mine, theirs in pairs)


def test_labels_change_twice_in_a_row(tmp_path: Path) -> None:
    turning = begun(tmp_path, answered=3)
    before = given(turning.task)
    migrate(turning, relabelled())
    turning.controller().look()  # the first migration is under way
    Tasks(turning.store).apply(
        relabelled(["metal", {"name": "all", "merged_from": ["food", "water"]}]), "ann", migrate=True
    )
    turning.truth = {name: "metal" if label == "metal" else "all" for name, label in turning.truth.items()}
    turning.turn()
    assert turning.task.document.generation == 3
    now = given(turning.task)
    for name, labels in before.items():
        if labels and labels[0] in ("fruit", "metal"):
            assert now[name] == ({"fruit": "all", "metal": "metal"}[labels[0]],)
    registry = Registry(turning.store, turning.task.keys)
    assert set(registry.manifest(current(turning).version).labels) == {"metal", "all"}
    assert set(LABELS) == {"fruit", "metal", "river"}


def test_a_controller_that_is_a_generation_behind_reads_no_answers_of_the_next_one(tmp_path: Path) -> None:
    turning = begun(tmp_path, answered=0)
    behind = turning.controller()
    behind.look()
    migrate(turning, relabelled())
    controller = turning.controller()
    while controller.look().busy:
        pass
    moved = batches_of(turning.task, 2)[0]
    record = next(item.record_id for item in moved.items if turning.truth[item.record_id] == "food")
    turning.annotation.answer("w", moved.dataset, record, "a1", ["food"])
    turning.clock.now += timedelta(seconds=11)
    behind._sync.poll(LoopState())  # its task is still that of generation 1
    turning.clock.now += timedelta(seconds=11)
    controller.look()
    assert given(turning.task)[record] == ("food",)


def test_a_controller_that_finds_the_state_of_a_later_generation_reads_the_task_again(tmp_path: Path) -> None:
    turning = begun(tmp_path, answered=0)
    behind, other, state = turning.controller(), turning.controller(), turning.task.keys.loop

    def between(operation: str, key: str) -> None:
        if operation == "get" and key == state:
            turning.store.before = None
            migrate(turning, relabelled())
            other.look()

    turning.store.before = between
    behind.look()
    assert all(batch.dataset == "t-G2" for batch in turning.task.batches() if batch.batch.startswith("g2"))
    turning.turn()
