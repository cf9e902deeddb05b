"""Labels change at random moments, with two controllers, kills, rollbacks and answers in every data set."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.controller.turning import Turning, make_spec, quick_fit
from tornio.errors import TornioError
from tornio.registry import CURRENT, Registry
from tornio.spec import TaskSpec
from tornio.tasks import Tasks
from tornio.tasks.rollback import roll_back

pytestmark = pytest.mark.unit
MOVES = {"look": 50, "answer": 28, "migrate": 4, "kill": 6, "roll back": 2, "pause": 1, "resume": 4}
WRITES = ("put", "put_if_absent", "put_if_match", "upload", "log", "ensure_dataset")


class Killed(BaseException):
    pass


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with quick_fit():
        yield


class Random:
    """``said``: what the answer in each data set to each record is called now; None if its label was removed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.turning = Turning(folder, make_spec(batch_size=5, holdout_share=0.2, stop={"max_iterations": 30})).begin()
        self.controllers = [self.turning.controller() for _ in range(2)]
        self.names = {1: self.turning.spec.label_names}
        self.fates: dict[int, dict[str, str | None]] = {}
        self.said: dict[tuple[str, str], str | None] = {}

    def move(self) -> None:
        match self.random.choices(list(MOVES), list(MOVES.values()))[0]:
            case "look":
                self.random.choice(self.controllers).look()
                self.turning.clock.now += timedelta(seconds=self.random.choice([0, 3, 12]))
            case "answer":
                self.answer()
            case "migrate":
                self.migrate()
            case "kill":
                self.kill(self.random.randint(1, 6))
            case "roll back" if Registry(self.turning.store, self.turning.task.keys).alias(CURRENT):
                try:
                    roll_back(self.turning.task, "u")
                except TornioError:
                    return  # nothing served before
            case "pause":
                self.turning.task.pause()
            case "resume":
                self.turning.task.resume()

    def answer(self) -> None:
        batches = [batch for batch in self.turning.task.batches() if batch.items]
        for batch in self.random.sample(batches, min(2, len(batches))):
            item = self.random.choice(batch.items)
            try:
                shown = self.turning.annotation.read("w", batch.dataset, [item.record_id])
            except TornioError:
                continue  # written, and not sent yet
            if not shown:
                continue
            self.turning.clock.now += timedelta(seconds=1)
            name: str | None = self.random.choice(self.names[batch.generation])
            self.turning.annotation.answer("w", batch.dataset, item.record_id, "a1", [str(name)])
            for later in range(batch.generation + 1, max(self.names) + 1):
                name = None if name is None else self.fates[later][name]
            self.said[item.record_id, batch.dataset] = name

    def migrate(self) -> None:
        generation, names = max(self.names) + 1, list(self.names[max(self.names)])
        self.random.shuffle(names)
        fates: dict[str, str | None] = {name: name for name in names}
        labels: list[Any] = []
        if self.random.random() < 0.5:
            fates[names[0]] = f"new{generation}"
            labels.append({"name": f"new{generation}", "renamed_from": names.pop(0)})
        if self.random.random() < 0.5 and len(names) > 1:
            fates[names[0]] = fates[names[1]] = f"both{generation}"
            labels.append({"name": f"both{generation}", "merged_from": [names.pop(0), names.pop(0)]})
        if self.random.random() < 0.5 and names:
            fates[names.pop(0)] = None
        labels += [*names, f"added{generation}", f"too{generation}"]
        task = self.turning.task
        wanted = task.spec.model_dump(mode="json", exclude_unset=True) | {"labels": labels}
        Tasks(self.turning.store).apply(TaskSpec.model_validate(wanted), "u", migrate=True)
        self.names[generation], self.fates[generation] = self.turning.task.spec.label_names, fates
        self.said = {place: None if name is None else fates[name] for place, name in self.said.items()}

    def kill(self, after: int) -> None:
        left = after

        def trap(operation: str, key: str = "") -> None:
            nonlocal left
            left -= operation in WRITES
            if not left:
                raise Killed

        self.turning.store.after = self.turning.annotation.after = trap
        try:
            self.controllers[0].look()
        except Killed:
            pass
        finally:
            self.turning.store.after = self.turning.annotation.after = None
        self.controllers[0] = self.turning.controller()


@pytest.mark.parametrize("seed", range(3))
def test_no_answer_is_lost_and_only_judged_versions_serve(tmp_path: Path, seed: int) -> None:
    world = Random(tmp_path, seed)
    for _ in range(120):
        world.move()
    world.turning.task.resume()
    last = world.turning.controller()
    for _ in range(40):
        world.turning.clock.now += timedelta(seconds=11)
        last.look()
    task = world.turning.task
    assert world.said
    assert task.document.generation == max(world.names)
    now = {(event.record_id, str(event.dataset)): event for event in task.label_view().events if event.annotator}
    for place, name in world.said.items():
        event = now[place]  # the latest one
        assert event.labels == (() if event.lapsed else (name,))
        assert name is not None or event.lapsed
    for generation in world.names:
        batches = [batch for batch in task.batches() if batch.generation == generation]
        asked = [item.record_id for batch in batches for item in batch.items if not item.again]
        assert len(asked) == len(set(asked)), "a record is asked twice in a generation"
        shown = {
            name for batch in batches for item in batch.items if item.suggestion for name in item.suggestion.labels
        }
        assert shown <= set(world.names[generation])
    judged = {one.version for one in task.iterations() if one.verdict and one.verdict.promoted}
    served = {alias.version for alias in Registry(world.turning.store, task.keys).history(CURRENT)}
    assert served <= judged
