"""A finished score run, as a review reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tornio.errors import Conflict, InvalidInput, NotFound
from tornio.labels.events import EventKind
from tornio.labels.log import LabelLog
from tornio.records import text_digest
from tornio.schemas.jobs import ScoreArgs, ScoreOutput
from tornio.schemas.runs import RunPlan, RunResult
from tornio.schemas.tables import scores_table
from tornio.storage import documents
from tornio.storage.keys import LabelLogKeys, RunKeys, TaskKeys, workspace_run
from tornio.storage.port import ObjectStore
from tornio.tasks import Task, Tasks

_CHUNK = 2_000
"""Rows that are fetched at once, in the order of the ranking."""


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """One row of a run. ``probabilities``: of the run's labels, in their order."""

    row: int
    """Place in the whole input."""
    record_id: str
    text: str
    digest: str
    """Of the text: equal for texts that count as the same."""
    given: tuple[str, ...]
    predicted: tuple[str, ...]
    probabilities: tuple[float, ...]
    loss: float
    ranking: float
    """What the rows are sorted by, largest first."""
    model: str

    @classmethod
    def of(cls, values: dict[str, Any], ranking: str) -> Self:
        """From a row of ``schemas.tables.scores_table``."""
        return cls(
            row=values["row"],
            record_id=values["record_id"],
            text=values["text"],
            digest=text_digest(values["text"]),
            given=tuple(values["given"]),
            predicted=tuple(values["predicted"]),
            probabilities=tuple(values["probabilities"]),
            loss=values["loss"],
            ranking=values[ranking],
            model=values["model"],
        )


@dataclass(frozen=True, slots=True)
class Ranked:
    """All rows of a run in the input's order, without their texts: int64, int32, float64, float64 [rows]."""

    row: NDArray[np.int64]
    part: NDArray[np.int32]
    ranking: NDArray[np.float64]
    loss: NDArray[np.float64]

    @property
    def order(self) -> NDArray[np.int64]:
        """int64 [rows]: indices, most suspicious first; of equals the earlier row."""
        return np.lexsort((self.row, -self.ranking))


@dataclass(frozen=True, slots=True)
class ReviewKeys:
    """What a review keeps under its run. The log is there only for a run without a task."""

    root: str

    @property
    def document(self) -> str:
        return self.root + "review.json"

    @property
    def label_log(self) -> LabelLogKeys:
        return LabelLogKeys(self.root)


@dataclass(frozen=True)
class ScoredRun:
    """Reads the parts that the run has written; holds one at a time."""

    plan: RunPlan
    output: ScoreOutput
    store: ObjectStore
    task: Task | None

    @classmethod
    def open(cls, store: ObjectStore, run: str, workspace: str = "default") -> Self:
        """The run of this id: one of the workspace, or of any task.

        Raises NotFound, InvalidInput for a run that scores nothing, Conflict for one that has not ended.
        """
        tasks = Tasks(store)
        plan = _find_plan(store, run, workspace, tasks)
        if plan.job != "score":
            raise InvalidInput(f"{run} is a run of {plan.job!r}: only what `tornio score` has scored can be reviewed")
        result = documents.find(store, plan.run_keys.result, RunResult)
        if result is None:
            raise Conflict(f"run {run} has not ended: wait for it, or start `tornio score` again to go on with it")
        task = None if plan.task is None else tasks.open(plan.workspace, plan.task)
        return cls(plan, ScoreOutput.model_validate(result[0].output), store, task)

    @property
    def run(self) -> str:
        return self.plan.run

    @property
    def run_keys(self) -> RunKeys:
        return self.plan.run_keys

    @property
    def keys(self) -> ReviewKeys:
        return ReviewKeys(self.run_keys.root)

    @property
    def labels(self) -> tuple[str, ...]:
        return self.output.labels

    @cached_property
    def multi_label(self) -> bool:
        return ScoreArgs.model_validate(self.plan.args).multi_label

    @cached_property
    def log(self) -> LabelLog:
        """Where corrections go: the task's log; without a task one of the run."""
        return LabelLog(self.store, self.keys.label_log) if self.task is None else self.task.labels

    @property
    def label_set_rev(self) -> int:
        return 1 if self.task is None else self.task.document.label_set_rev

    @cached_property
    def deleted(self) -> frozenset[str]:
        """Digests of the texts that the task has deleted."""
        if self.task is None:
            return frozenset()
        view = self.task.pool.read()
        gone = {event.record_id for event in self.task.labels.read() if event.event is EventKind.TOMBSTONE}
        return frozenset(view.text_digests[row] for one in gone if (row := view.row(one)) is not None)

    def tables(self, *columns: str) -> Iterator[pa.Table]:
        """The parts in order, the rows of each in the input's order: whole, or these columns."""
        return (self._table(part, columns) for part in range(self.output.parts))

    @cached_property
    def ranked(self) -> Ranked:
        names = ["row", self.output.ranking, "loss"]
        columns = [[table.column(name).to_numpy() for name in names] for table in self.tables(*names)]
        parts = [np.full(len(rows), part, np.int32) for part, (rows, *_) in enumerate(columns)]
        row, ranking, loss = (np.concatenate(column) for column in zip(*columns, strict=True))
        return Ranked(row, np.concatenate(parts), ranking.astype(np.float64), loss.astype(np.float64))

    def rows(self, numbers: Sequence[int]) -> list[ScoredRow]:
        """These rows, by their places in the input, in this order. Raises NotFound for one that was not scored."""
        wanted = np.asarray(numbers, np.int64)
        at = np.searchsorted(self.ranked.row, wanted)
        known = self.ranked.row[np.minimum(at, len(self.ranked.row) - 1)] == wanted
        if not known.all():
            raise NotFound(f"run {self.run} has no row {int(wanted[~known][0])}")
        parts = self.ranked.part[at]
        found: dict[int, ScoredRow] = {}
        for part in np.unique(parts).tolist():
            table = self._table(part)
            here = np.searchsorted(table.column("row").to_numpy(), wanted[parts == part])
            for values in table.take(pa.array(here)).to_pylist():
                found[values["row"]] = ScoredRow.of(values, self.output.ranking)
        return [found[number] for number in numbers]

    def most_suspicious(self, above_loss: float | None = None) -> Iterator[ScoredRow]:
        """All rows (or those with a larger loss than this), most suspicious first."""
        order = self.ranked.order
        if above_loss is not None:
            order = order[self.ranked.loss[order] > above_loss]
        for start in range(0, len(order), _CHUNK):
            yield from self.rows(self.ranked.row[order[start : start + _CHUNK]].tolist())

    def _table(self, part: int, columns: Sequence[str] = ()) -> pa.Table:
        key = self.run_keys.part("scores", part)
        return scores_table(len(self.labels)).decode(self.store.get(key).body, key, columns or None)


def _find_plan(store: ObjectStore, run: str, workspace: str, tasks: Tasks) -> RunPlan:
    found = documents.find(store, workspace_run(workspace, run).plan, RunPlan)
    if found is not None:
        return found[0]
    for names in tasks.names():
        found = documents.find(store, TaskKeys(*names).run(run).plan, RunPlan)
        if found is not None:
            return found[0]
    raise NotFound(
        f"there is no run {run!r}, neither in workspace {workspace!r} nor of a task: `tornio score` prints the id of a "
        "run; say which --workspace it is in, or go to the folder that it ran in"
    )
