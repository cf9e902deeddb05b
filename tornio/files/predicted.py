"""Write the rows of a file with what a model predicts for them. All columns of the file are kept."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import islice
from pathlib import Path
from typing import Any

from tornio.errors import InvalidFile, InvalidInput
from tornio.files.labelled import SUFFIXES, digits
from tornio.files.spreadsheets import ESCAPED, write_csv
from tornio.files.whole import check_folder, writing
from tornio.files.write import need_pyarrow

_BATCH = 10_000
"""Rows of Parquet that are in memory at once."""
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Shown:
    """Which probabilities are written beside the label: those of all labels, the ``top`` most probable, or none."""

    all: bool = False
    top: int = 0

    def __str__(self) -> str:
        return "all probabilities" if self.all else f"the {self.top} most probable labels" if self.top else "the label"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says of one text, as far as it is written.

    ``score``: how probable the label is; of several the least one; None for a text without a label. ``certainty``: how
    sure the model is. Of one label it is its probability. Where a text may have several, it is that of the decision,
    yes or no, about the label that the model is least sure of. ``probabilities``: those to write, most probable first
    where they are the top ones.
    """

    version: str
    labels: tuple[str, ...]
    several: bool
    score: float | None
    truncated: bool
    certainty: float
    probabilities: Mapping[str, float]


def answer_of(
    version: str,
    labels: Sequence[str],
    probabilities: Mapping[str, float],
    *,
    several: bool,
    truncated: bool,
    shown: Shown,
) -> Answer:
    """Return the answer with those of the probabilities (by label) that are to be written."""
    score = min((probabilities[name] for name in labels if name in probabilities), default=None)
    if several:
        certainty = min((max(one, 1 - one) for one in probabilities.values()), default=0.0)
    else:
        certainty = max(probabilities.values(), default=0.0)
    kept = probabilities if shown.all else {}
    if shown.top:
        kept = dict(sorted(probabilities.items(), key=lambda pair: -pair[1])[: shown.top])
    return Answer(
        version,
        tuple(labels),
        several,
        None if score is None else digits(score),
        truncated,
        digits(certainty),
        {name: digits(one) for name, one in kept.items()},
    )


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of the output.

    ``kept``: those of the input. ``types``: their pyarrow types where the input has types. ``several``: a text may have
    several labels. ``names``: all labels whose probabilities are written. ``prefix``: begins the names of new columns.
    """

    kept: tuple[str, ...]
    types: Mapping[str, Any]
    several: bool
    names: tuple[str, ...]
    shown: Shown
    prefix: str = ""

    @property
    def label(self) -> str:
        return self.prefix + ("labels" if self.several else "label")

    @property
    def new(self) -> tuple[str, ...]:
        """The columns that a table has beside those of the input."""
        first = (self.label, *(self.prefix + name for name in _NEW))
        if self.shown.all:
            return (*first, *(f"{self.prefix}p({name})" for name in self.names))
        places = range(1, self.shown.top + 1)
        return (*first, *(f"{self.prefix}{name}_{place}" for place in places for name in ("label", "score")))

    def check(self) -> None:
        """Raises InvalidInput if a new column has the name of one of the input."""
        check_names(self.kept, self.new, self.prefix)

    def check_for(self, path: Path, *, escape: bool) -> None:
        """Raises InvalidInput as ``check`` does, and for a column that the format of the path adds itself."""
        self.check()
        if escape and path.suffix.lower() in _DELIMITERS and ESCAPED in self.kept:
            raise InvalidInput(f"the file has a column {ESCAPED!r}: rename it, or give --no-escape-formulas")


_NEW = ("score", "version", "truncated")


def check_names(kept: Sequence[str], new: Sequence[str], prefix: str) -> None:
    """Raises InvalidInput if a new column has the name of one of the input."""
    if both := [name for name in new if name in kept]:
        other = f"another --prefix than {prefix}" if prefix else "--prefix predicted_"
        raise InvalidInput(
            f"the file has a column {both[0]!r}, and the output gets a column of that name. Give {other}, which begins "
            "the names of the new columns"
        )


def check_predicted(path: Path) -> None:
    """Raises InvalidFile for a path that cannot be written. Check it before a long run."""
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidFile(f"{path}: the ending {path.suffix!r} says no format. Use one of {', '.join(SUFFIXES)}")
    check_folder(path)
    if path.suffix.lower() == ".parquet":
        need_pyarrow()


def write_predicted(rows: Iterable[tuple[Row, Answer]], path: Path, layout: Layout, *, escape: bool = True) -> None:
    """Write rows and their answers in the format that the path's ending names.

    The file appears only when it is whole. ``escape``: see ``write_csv``. Raises InvalidFile, InvalidInput.
    """
    suffix = path.suffix.lower()
    layout.check_for(path, escape=escape)
    with writing(path) as part:
        if suffix == ".parquet":
            _write_parquet(rows, part, layout)
        elif suffix in _DELIMITERS:
            cells = ([*(_cell(row.get(name)) for name in layout.kept), *_new_cells(one, layout)] for row, one in rows)
            names = [*layout.kept, *layout.new]
            write_csv(part, names, cells, delimiter=_DELIMITERS[suffix], escape=escape)
        else:
            with part.open("w", encoding="utf-8") as out:
                for row, answer in rows:
                    line = {name: plain(cell) for name, cell in row.items()} | _new_values(answer, layout)
                    out.write(json.dumps(line, ensure_ascii=False) + "\n")


def _new_cells(answer: Answer, layout: Layout) -> list[Any]:
    """The cells of a CSV in the order of ``layout.new``. A list is a cell of labels."""
    label, *rest = _new_row(answer, layout)
    return [label, *("true" if cell is True else "false" if cell is False else cell for cell in rest)]


def _new_row(answer: Answer, layout: Layout) -> list[Any]:
    """What a table has in the columns ``layout.new``."""
    first = [_label(answer, layout), answer.score, answer.version, answer.truncated]
    if layout.shown.all:
        return first + [answer.probabilities.get(name) for name in layout.names]
    top: list[Any] = [one for pair in answer.probabilities.items() for one in pair]
    return first + top + [None] * (2 * layout.shown.top - len(top))


def _label(answer: Answer, layout: Layout) -> list[str] | str | None:
    if layout.several:
        return list(answer.labels)
    return answer.labels[0] if answer.labels else None


def _new_values(answer: Answer, layout: Layout) -> dict[str, Any]:
    values = dict(zip((layout.label, *(layout.prefix + name for name in _NEW)), _new_row(answer, layout), strict=False))
    if layout.shown.all:
        values[f"{layout.prefix}probabilities"] = dict(answer.probabilities)
    elif layout.shown.top:
        pairs = answer.probabilities.items()
        values[f"{layout.prefix}top"] = [{"label": name, "score": score} for name, score in pairs]
    return values


def _write_parquet(rows: Iterable[tuple[Row, Answer]], path: Path, layout: Layout) -> None:
    pa, pq = need_pyarrow()
    number, kinds = pa.float32(), {"version": pa.string(), "truncated": pa.bool_()}
    new = [(layout.label, pa.list_(pa.string()) if layout.several else pa.string())]
    new += [(layout.prefix + name, kinds.get(name, number)) for name in _NEW]
    if layout.shown.all:
        new += [(name, number) for name in layout.new[len(new) :]]
    else:
        new += [(name, (pa.string(), number)[place % 2]) for place, name in enumerate(layout.new[len(new) :])]
    schema = pa.schema([(name, layout.types[name] if layout.types else pa.string()) for name in layout.kept] + new)
    text = [pa.types.is_string(field.type) for field in schema][: len(layout.kept)]
    with pq.ParquetWriter(path, schema, compression="zstd") as out:
        left = iter(rows)
        while batch := list(islice(left, _BATCH)):
            columns = [
                [_cell(row.get(name)) if is_text else row.get(name) for row, _ in batch]
                for name, is_text in zip(layout.kept, text, strict=True)
            ]
            columns += [list(column) for column in zip(*(_new_row(one, layout) for _, one in batch), strict=True)]
            arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
            out.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))


# Cells of the input


def _cell(value: Any) -> Any:
    """A cell of a CSV: text, a number, or nothing. Other values are written as JSON."""
    value = plain(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def plain(value: Any) -> Any:
    """Return a cell as JSON can hold it: dates in ISO 8601, bytes in base64, numbers that are none as null."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return value if value.isascii() else value.encode(errors="replace").decode()  # no halves of surrogate pairs
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {str(plain(name)): plain(one) for name, one in value.items()}
    if isinstance(value, Sequence):
        return [plain(one) for one in value]
    return str(value)


# Types of columns that have none


def note_kinds(row: Row, kinds: dict[str, set[str]]) -> None:
    """Add the kinds of a row's values to those that the columns have had before."""
    for name, value in row.items():
        if value is not None:
            kinds.setdefault(name, set()).add(_kind(value))


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, float):
        return "number"
    if isinstance(value, int):
        return "whole" if abs(value) < 2**53 else "text"  # a larger one may be mixed with numbers that are not whole
    return "text"


def types_of(kinds: Mapping[str, set[str]], columns: Sequence[str]) -> dict[str, Any]:
    """Return the pyarrow type of each column: text, unless all values are truth values or numbers."""
    pa, _ = need_pyarrow()
    by_kinds: dict[frozenset[str], Any] = {
        frozenset({"truth"}): pa.bool_(),
        frozenset({"whole"}): pa.int64(),
        frozenset({"number"}): pa.float64(),
        frozenset({"number", "whole"}): pa.float64(),
    }
    return {name: by_kinds.get(frozenset(kinds.get(name, ())), pa.string()) for name in columns}


def check_types(types: Mapping[str, Any]) -> None:
    """Raises InvalidFile for a column of a type that cannot be written again."""
    pa, _ = need_pyarrow()
    for name, kind in types.items():
        try:
            pa.array([None], kind)
        except pa.ArrowException as error:
            raise InvalidFile(
                f"the column {name!r} has the type {kind}, which cannot be written: {error}. Write .jsonl or .csv"
            ) from error
