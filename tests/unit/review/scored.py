"""Score runs as they stand in the store when they have ended, without scoring anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from tornio.records import default_record_id
from tornio.schemas.keys import run_of
from tornio.schemas.runs import RunPlan, RunResult
from tornio.schemas.scoring import InputFile, ScoreArgs, ScoreOutput
from tornio.schemas.tables import scores_table
from tornio.scoring.scored_run import ScoredRun
from tornio.spec import TaskSpec
from tornio.storage import documents
from tornio.storage.port import ObjectStore
from tornio.tasks import Task, Tasks

LABELS = ("bad", "good", "so-so")
WHEN = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    """``probabilities``: of LABELS. The loss follows from them unless it is given."""

    text: str
    given: tuple[str, ...]
    probabilities: tuple[float, ...] = (0.1, 0.8, 0.1)
    record_id: str | None = None
    loss: float | None = None
    suspicion: float | None = None

    def values(self, place: int, multi_label: bool) -> dict[str, Any]:
        at = [LABELS.index(name) for name in self.given]
        loss = self.loss if self.loss is not None else float(-np.log(self.probabilities[at[0]] if at else 0.5))
        likely = [name for name, p in zip(LABELS, self.probabilities, strict=True) if p >= 0.5]
        best = [LABELS[int(np.argmax(self.probabilities))]]
        return {
            "row": place,
            "record_id": self.record_id or default_record_id(self.text),
            "text": self.text,
            "given": list(self.given),
            "predicted": likely if multi_label else best,
            "loss": loss,
            "given_probability": float(np.exp(-loss)),
            "margin": 0.0,
            "entropy": 0.0,
            "suspicion": loss if self.suspicion is None else self.suspicion,
            "label_losses": None,
            "probabilities": list(self.probabilities),
            "truncated": False,
            "model": "v0001-ab",
        }


def mood(count: int) -> list[Row]:
    """Rows of which each is more suspicious than the one before; all but the first third have a wrong label."""
    steps = np.linspace(0.05, 0.95, count)
    return [
        Row(f"text number {n}", ("bad",), (float(1 - p), float(p), 0.0), record_id=f"r{n}") for n, p in enumerate(steps)
    ]


def write_run(
    store: ObjectStore,
    rows: Sequence[Row],
    *,
    workspace: str = "default",
    task: str | None = None,
    multi_label: bool = False,
    ranking: str = "loss",
    part_rows: int = 3,
    gaps: int = 0,
    name: str = "data.csv",
) -> str:
    """A run of these rows that has ended; returns its id. ``gaps``: rejected rows before each row."""
    labels = tuple(LABELS)
    source = InputFile(uri=name, etag="ab", size=1)
    args = ScoreArgs(files=(source,), labels=labels, multi_label=multi_label, part_rows=part_rows, precision="float32")
    plan = RunPlan.of("score", workspace, task, args)
    keys = run_of(workspace, task, plan.run)
    values = [row.values(place * (gaps + 1) + gaps, multi_label) for place, row in enumerate(rows)]
    table = scores_table(len(labels))
    parts = [values[start : start + part_rows] for start in range(0, len(values), part_rows)]
    for number, part in enumerate(parts):
        store.put(keys.part("scores", number), table.encode(pa.Table.from_pylist(part, schema=table.columns)))
    output = ScoreOutput(
        scores=keys.folder("scores"),
        rejected=keys.folder("rejected"),
        report=keys.root + "report.html",
        parts=len(parts),
        rows=len(rows),
        rejected_rows=0,
        labels=labels,
        agreement=0.5,
        mean_loss=1.0,
        truncated=0,
        ranking=ranking,
        model="v0001-ab",
    )
    documents.create_or_get(store, keys.plan, plan)
    result = RunResult(
        run=plan.run, job="score", attempt=1, output=output.model_dump(mode="json"), started_at=WHEN, finished_at=WHEN
    )
    documents.create_or_get(store, keys.result, result)
    return plan.run


def scored_run(store: ObjectStore, rows: Sequence[Row], **more: Any) -> ScoredRun:
    """The same, opened."""
    return ScoredRun.open(store, write_run(store, rows, **more), more.get("workspace", "default"))


def make_task(store: ObjectStore, **changes: Any) -> Task:
    """A task over LABELS, named shop/mood, with changes to its spec."""
    spec = TaskSpec.model_validate({"workspace": "shop", "name": "mood", "labels": [*LABELS], **changes})
    Tasks(store).apply(spec, "ops")
    return Tasks(store).open(spec.workspace, spec.name)
