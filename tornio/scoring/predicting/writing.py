"""Write each file of a prediction run: all of its columns, and what was predicted."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tornio.files.kept import in_order_of
from tornio.files.predicted import Answer, Layout, Shown, answer_of, write_predicted
from tornio.files.sources import check_unchanged
from tornio.models.loading import Loader
from tornio.schemas.runs import RunPlan
from tornio.schemas.scoring import PredictArgs, ScoreInput
from tornio.schemas.tables import predictions_table
from tornio.scoring.finished import model_name
from tornio.scoring.predicting.sources import Source, files_of, opened, output_name
from tornio.storage import documents
from tornio.storage.port import ObjectStore

PREDICTIONS = "predictions"
"""Folder of a run with what the model says of each part."""
PREDICTED = "predicted"
"""Folder of a run with the files that it writes."""
Pair = tuple[Mapping[str, Any], Answer]


def output_key(args: PredictArgs, plan: RunPlan, file: int) -> str:
    """Return the key of what is written for a file."""
    return plan.run_keys.folder(PREDICTED) + output_name(args, file)


def check_layout(args: PredictArgs, source: Source) -> None:
    """Raises InvalidInput and InvalidFile for columns that cannot be written, before anything is computed."""
    _layout(args, source).check_for(Path(output_name(args, 0)), escape=args.escape_formulas)


def missing_files(args: PredictArgs, plan: RunPlan, store: ObjectStore) -> list[int]:
    """Return the numbers of the files that are not written yet."""
    return [file for file in range(files_of(args)) if store.head(output_key(args, plan, file)) is None]


class WriteFile:
    """Writes a file, when all of its parts are predicted."""

    def __init__(self, plan: RunPlan, store: ObjectStore, loader: Loader) -> None:
        self._plan = plan
        self._args = PredictArgs.model_validate(plan.args)
        self._store = store
        self._version = model_name(self._args, store)

    def do(self, file: int) -> None:
        args, store = self._args, self._store
        staged = documents.load(store, self._plan.run_keys.input, ScoreInput)[0]
        with opened(args, self._plan, file, store) as source, TemporaryDirectory(prefix="tornio-") as folder:
            path = Path(folder) / output_name(args, file)
            write_predicted(self._rows(source, file, staged), path, _layout(args, source), escape=args.escape_formulas)
            check_unchanged(args.files[file : file + 1])
            store.upload(path, output_key(args, self._plan, file))

    def _rows(self, source: Source, file: int, staged: ScoreInput) -> Iterator[Pair]:
        def pairs() -> Iterator[Pair]:
            return _joined(source.rows(), self._answers(file, staged))

        if not self._args.least_certain_first:
            return pairs()
        return in_order_of(pairs, array("d", (answer.certainty for _, answer in pairs())))

    def _answers(self, file: int, staged: ScoreInput) -> Iterator[tuple[int, Answer]]:
        """Yield the answers to the rows of a file, each with the place of the row in it."""
        args, names = self._args, self._args.labels
        format, shown = predictions_table(len(names)), _shown(args)
        starts = accumulate((part.rows + part.rejected for part in staged.parts), initial=0)
        mine = [number for number, part in enumerate(staged.parts) if part.file == file]
        first = list(starts)[mine[0]] if mine else 0
        for number in mine:
            key = self._plan.run_keys.part(PREDICTIONS, number)
            table = format.decode(self._store.get(key).body, key)
            columns = (table.column(name).to_pylist() for name in ("row", "labels", "probabilities", "truncated"))
            for row, labels, probabilities, truncated in zip(*columns, strict=True):
                by_name = dict(zip(names, probabilities, strict=True))
                yield (
                    row - first,
                    answer_of(
                        self._version, labels, by_name, several=args.multi_label, truncated=truncated, shown=shown
                    ),
                )


def _joined(rows: Iterator[tuple[int, Mapping[str, Any]]], answers: Iterator[tuple[int, Answer]]) -> Iterator[Pair]:
    """Yield the rows with the answers to them. A row that was deleted since is left out, and so is its answer."""
    answer = next(answers, None)
    for place, values in rows:
        while answer is not None and answer[0] < place:
            answer = next(answers, None)
        if answer is not None and answer[0] == place:
            yield values, answer[1]


def _shown(args: PredictArgs) -> Shown:
    return Shown(args.probabilities, args.top_k)


def _layout(args: PredictArgs, source: Source) -> Layout:
    types = source.types() if args.format == "parquet" else {}
    return Layout(source.columns, types, args.multi_label, args.labels, _shown(args), args.prefix)
