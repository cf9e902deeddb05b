"""Read a finished score run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tornio.arrays import BoolVector
from tornio.errors import Conflict, InvalidInput, NotFound
from tornio.labels.log import LabelLog
from tornio.records import Purpose, text_digest
from tornio.schemas.keys import LabelLogKeys, RunKeys, TaskKeys, workspace_run
from tornio.schemas.runs import RunPlan, RunResult
from tornio.schemas.scoring import ScoreArgs, ScoreOutput
from tornio.schemas.tables import scores_table
from tornio.storage import documents
from tornio.storage.port import ObjectStore
from tornio.tasks import Task, Tasks
from tornio.tasks.holdout import reserve_rule

_CHUNK = 2_000
"""Rows that are read at once, in the order of the ranking."""


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """One row of a run. ``probabilities``: one per label of the run, in their order."""

    row: int
    """Position in the whole input."""
    record_id: str
    text: str
    digest: str
    """Digest of the text, equal for texts that count as the same."""
    given: tuple[str, ...]
    predicted: tuple[str, ...]
    probabilities: tuple[float, ...]
    loss: float
    ranking: float
    """The value that the rows are sorted by, largest first."""
    model: str
    unjudged: bool = False
    """Whether the model could not judge it, because it has seen no other text with its label."""

    @classmethod
    def of(cls, values: dict[str, Any], ranking: str) -> Self:
        """Return the row of these values of ``schemas.tables.scores_table``."""
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
            unjudged=bool(values["unjudged"]),
        )


@dataclass(frozen=True, slots=True)
class Ranked:
    """All rows of a run in the order of the input, without texts: int64, int32, float64, float64, bool [rows]."""

    row: NDArray[np.int64]
    part: NDArray[np.int32]
    ranking: NDArray[np.float64]
    loss: NDArray[np.float64]
    unjudged: BoolVector

    @property
    def order(self) -> NDArray[np.int64]:
        """int64 [rows]: indices, most suspicious first. Of equal rows the earlier comes first."""
        return np.lexsort((self.row, -self.ranking))


@dataclass(frozen=True, slots=True)
class ReviewKeys:
    """Where a review stores its documents, under its run. Only a run without a task has a log here."""

    root: str

    @property
    def document(self) -> str:
        return self.root + "review.json"

    @property
    def label_log(self) -> LabelLogKeys:
        return LabelLogKeys(self.root)


@dataclass(frozen=True)
class ScoredRun:
    """A finished score run. It reads the parts that the run has written, and holds one at a time."""

    plan: RunPlan
    output: ScoreOutput
    store: ObjectStore
    task: Task | None

    @classmethod
    def open(cls, store: ObjectStore, run: str, workspace: str = "default") -> Self:
        """Return the run with this id: a run of the workspace, or of any task.

        Raises NotFound, InvalidInput for a run of another job, Conflict for a run that has not ended.
        """
        tasks = Tasks(store)
        plan = _find_plan(store, run, workspace, tasks)
        task = None if plan.task is None else tasks.open(plan.workspace, plan.task)
        return cls._ended(plan, store, task)

    @classmethod
    def of_task(cls, task: Task, run: str) -> Self:
        """Return the run of this task with this id. Raises as ``open`` does."""
        stored = documents.find(task.store, task.keys.run(run).plan, RunPlan)
        if stored is None:
            raise NotFound(f"{task.full_name} has no run {run!r}. `tornio runs {task.full_name}` lists them")
        return cls._ended(stored[0], task.store, task)

    @classmethod
    def _ended(cls, plan: RunPlan, store: ObjectStore, task: Task | None) -> Self:
        if plan.job != "score":
            raise InvalidInput(
                f"{plan.run} is a run of {plan.job!r}. Only score runs can be reviewed: give the id of one"
            )
        result = documents.find(store, plan.run_keys.result, RunResult)
        if result is None:
            raise Conflict(f"run {plan.run} has not ended. Wait for it, or start `tornio score` again to go on with it")
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
        """The label log that corrections are appended to: the task's, or, without a task, one of the run."""
        return LabelLog(self.store, self.keys.label_log) if self.task is None else self.task.labels

    @property
    def label_set_rev(self) -> int:
        return 1 if self.task is None else self.task.label_set_with(self.labels)

    @cached_property
    def deleted(self) -> frozenset[str]:
        """Digests of the texts that were deleted from the task, and of the empty text that a purge leaves.

        What was purged has no digest any more: then the rows of the run have no text either.
        """
        if self.task is None:
            return frozenset()
        self.task.view()
        return self.task.pool.deleted_texts() | {text_digest("")}

    def tables(self, *columns: str) -> Iterator[pa.Table]:
        """Yield the parts in order, each with its rows in the order of the input: all columns, or only these."""
        return (self._table(part, columns) for part in range(self.output.parts))

    @cached_property
    def ranked(self) -> Ranked:
        names = ["row", self.output.ranking, "loss"]
        columns = [
            [*(table.column(name).to_numpy() for name in names), unjudged_rows(table)]
            for table in self.tables(*names, "unjudged")
        ]
        parts = [np.full(len(rows), part, np.int32) for part, (rows, *_) in enumerate(columns)]
        row, ranking, loss, unjudged = (np.concatenate(column) for column in zip(*columns, strict=True))
        return Ranked(row, np.concatenate(parts), ranking.astype(np.float64), loss.astype(np.float64), unjudged)

    def rows(self, numbers: Sequence[int]) -> list[ScoredRow]:
        """Return these rows, by their positions in the input, in this order. Raises NotFound for one not scored."""
        wanted = np.asarray(numbers, np.int64)
        at = np.searchsorted(self.ranked.row, wanted)
        scored = self.ranked.row[np.minimum(at, len(self.ranked.row) - 1)] == wanted
        if not scored.all():
            raise NotFound(f"run {self.run} has no row {int(wanted[~scored][0])} with a score")
        parts = self.ranked.part[at]
        rows: dict[int, ScoredRow] = {}
        for part in np.unique(parts).tolist():
            table = self._table(part)
            here = np.searchsorted(table.column("row").to_numpy(), wanted[parts == part])
            for values in table.take(pa.array(here)).to_pylist():
                rows[values["row"]] = ScoredRow.of(values, self.output.ranking)
        return [rows[number] for number in numbers]

    def most_suspicious(self, above_loss: float | None = None, at_once: int = _CHUNK) -> Iterator[ScoredRow]:
        """Yield all rows, or the judged ones with a larger loss than this, most suspicious first.

        ``at_once``: how many are read together. Fewer of them lie in fewer parts.
        """
        order = self.ranked.order
        if above_loss is not None:
            order = order[(self.ranked.loss[order] > above_loss) & ~self.ranked.unjudged[order]]
        for start in range(0, len(order), at_once):
            yield from self.rows(self.ranked.row[order[start : start + at_once]].tolist())

    def showable(self, at_once: int = _CHUNK) -> Iterator[ScoredRow]:
        """Yield the rows that people may see together with a prediction, most suspicious first."""
        barred = self.barred()
        return (row for row in self.most_suspicious(at_once=at_once) if not barred(row.digest))

    def barred(self) -> Callable[[str], bool]:
        """Return a function that tells by the digest of a text whether people must not see it in a review.

        These are texts that the task holds out, has ever shown as hold-out, or has deleted.
        """
        if self.task is None:
            return lambda _digest: False
        events, view = self.task.labels.read().events, self.task.view()
        judged = {event.record_id for event in events if event.purpose is Purpose.HOLDOUT}
        items = [item for batch in self.task.batches() for item in batch.items]
        judged |= {item.record_id for item in items if item.purpose is Purpose.HOLDOUT}
        digests = {view.text_digests[row] for one in judged if (row := view.row(one)) is not None} | self.deleted
        held = reserve_rule(view, events, self.task.document.holdout_key, self.task.spec.loop.holdout_share)
        return lambda digest: digest in digests or held(digest)

    def _table(self, part: int, columns: Sequence[str] = ()) -> pa.Table:
        key = self.run_keys.part("scores", part)
        return scores_table(len(self.labels)).decode(self.store.get(key).body, key, columns or None)


def unjudged_rows(table: pa.Table) -> BoolVector:
    """Return bool [rows]: the column ``unjudged``. Rows that an older release scored were all taken for judged."""
    return np.asarray(pc.fill_null(table.column("unjudged"), False).to_numpy(zero_copy_only=False), dtype=bool)


def _find_plan(store: ObjectStore, run: str, workspace: str, tasks: Tasks) -> RunPlan:
    stored = documents.find(store, workspace_run(workspace, run).plan, RunPlan)
    if stored is not None:
        return stored[0]
    for names in tasks.names():
        stored = documents.find(store, TaskKeys(*names).run(run).plan, RunPlan)
        if stored is not None:
            return stored[0]
    raise NotFound(
        f"there is no run {run!r}, neither in workspace {workspace!r} nor of a task. `tornio score` prints the id of a "
        "run. Name its task with --task or its workspace with --workspace, or change to the folder in which it ran"
    )
