"""Stage the texts of a run, predict its parts, and count over them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tornio.api import MAX_TOP
from tornio.arrays import FloatMatrix
from tornio.models.decide import decide_labels
from tornio.models.loading import Loader
from tornio.schemas.runs import RunPlan, RunTop
from tornio.schemas.scoring import PredictArgs, PredictOutput, ScoreInput
from tornio.schemas.tables import predictions_table
from tornio.scoring.cutting import Cut, FoundRow, stage_rows, staged_once
from tornio.scoring.finished import finished_model
from tornio.scoring.parts import Parts
from tornio.scoring.predicting.sources import files_of, opened
from tornio.scoring.predicting.writing import PREDICTIONS, check_layout, output_key
from tornio.scoring.top import shown
from tornio.storage.port import ObjectStore


def stage_texts(args: PredictArgs, plan: RunPlan, store: ObjectStore, report: Callable[[int], None]) -> ScoreInput:
    """Return the parts of the input, from an earlier attempt or cut now. ``report``: called with the rows read so far.

    A row without a text goes to ``rejected/`` with the reason. Raises Changed, InvalidFile, and InvalidInput for new
    columns that have the name of one of the data, before anything is computed.
    """
    cut = Cut(args.part_rows, args.strict, by_file=True)
    keys = plan.run_keys
    return staged_once(
        args.files,
        keys,
        store,
        lambda: stage_rows(_texts(args, plan, store), cut, keys, store, report),
        "Check --text-column",
    )


def _texts(args: PredictArgs, plan: RunPlan, store: ObjectStore) -> Iterator[FoundRow]:
    first = 0
    for file in range(files_of(args)):
        with opened(args, plan, file, store) as source:
            check_layout(args, source)
            for found in source.texts():
                usable = {"record_id": found.record_id, "text": found.text, "given": []}
                yield FoundRow(first + found.place, file, source.name, found.line, found.problem or usable)
            first += source.size


class PredictPart:
    """Predicts the texts of a part."""

    def __init__(self, plan: RunPlan, store: ObjectStore, loader: Loader) -> None:
        self._args = PredictArgs.model_validate(plan.args)
        self._parts = Parts(plan.run_keys, store)
        self._model = finished_model(self._args, plan, store, loader)

    def do(self, part: int) -> None:
        table = self._parts.input(part)
        scores = self._model.score(table.column("text").to_pylist())
        args, model = self._args, self._model
        chosen = decide_labels(scores.probabilities, args.labels, args.multi_label, model.thresholds)
        format = predictions_table(len(args.labels))
        columns = {
            "row": table.column("row"),
            "labels": [list(names) for names in chosen],
            "probabilities": _lists(scores.probabilities),
            "truncated": scores.truncated,
        }
        arrays = [pa.array(column, format.columns.field(name).type) for name, column in columns.items()]
        self._parts.write(PREDICTIONS, part, format.encode(pa.table(arrays, schema=format.columns)))


def summarise(args: PredictArgs, plan: RunPlan, staged: ScoreInput, parts: Parts, version: str) -> PredictOutput:
    """Return the output of the run, from its parts, one after the other."""
    labels, truncated, certainty = Counter(dict.fromkeys(args.labels, 0)), 0, 0.0
    format = predictions_table(len(args.labels))
    for number in range(len(staged.parts)):
        key = plan.run_keys.part(PREDICTIONS, number)
        table = format.decode(parts.store.get(key).body, key)
        labels.update(table.column("labels").combine_chunks().flatten().to_pylist())
        truncated += pc.sum(table.column("truncated")).as_py() or 0
        flat = table.column("probabilities").combine_chunks().flatten().to_numpy()
        p = flat.reshape(len(table), len(args.labels))
        if len(p):
            certainty += float((np.maximum(p, 1 - p).min(axis=1) if args.multi_label else p.max(axis=1)).sum())
    return PredictOutput(
        predicted=tuple(output_key(args, plan, file) for file in range(files_of(args))),
        rejected=plan.run_keys.folder("rejected"),
        parts=len(staged.parts),
        rows=staged.rows,
        rejected_rows=sum(part.rejected for part in staged.parts),
        first_rejected=staged.first_rejected,
        labels=dict(labels),
        mean_certainty=certainty / staged.rows,
        truncated=truncated,
        version=version,
    )


def write_top(plan: RunPlan, args: PredictArgs, staged: ScoreInput, parts: Parts) -> None:
    """Write the first rows of the input with their labels, so that showing them does not read the whole result.

    They are those of the first part that has any.
    """
    first = next(number for number, part in enumerate(staged.parts) if part.rows)
    format, key = predictions_table(len(args.labels)), plan.run_keys.part(PREDICTIONS, first)
    predicted = format.decode(parts.store.get(key).body, key).slice(0, MAX_TOP).to_pylist()
    texts = parts.input(first).column("text").slice(0, MAX_TOP).to_pylist()
    rows = []
    for row, text in zip(predicted, texts, strict=True):
        by_name = dict(zip(args.labels, row["probabilities"], strict=True))
        score = f"{min(by_name[name] for name in row['labels']):.3f}" if row["labels"] else ""
        rows.append(("|".join(row["labels"]), score, shown(text)))
    parts.store.put(
        plan.run_keys.top, RunTop(run=plan.run, columns=("label", "score", "text"), rows=tuple(rows)).encode()
    )


def _lists(matrix: FloatMatrix) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.astype(np.float32).ravel()), matrix.shape[1])
