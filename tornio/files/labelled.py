"""Write texts that a model has labelled to a file, each with the probability of every label."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from tornio.errors import InvalidFile, InvalidInput
from tornio.files.spreadsheets import ESCAPED, write_csv
from tornio.files.whole import check_folder, writing
from tornio.files.write import need_pyarrow
from tornio.records import MetadataValue

if TYPE_CHECKING:
    from tornio.arrays import FloatVector

COLUMNS = ("record_id", "text", "label", "probability", "source", "taught_by", "skipped")
"""Columns of a CSV or Parquet file, before those of the metadata and of the probabilities."""
SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
_BATCH = 10_000


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A row of the output. ``labels`` and ``probabilities`` (float32 [labels]) are None for a row that was skipped.

    ``source``: the model that labelled. ``taught_by``: its teacher; None for a teacher. ``skipped``: why it
    has no label.
    """

    record_id: str | None
    text: str | None
    labels: tuple[str, ...] | None
    probabilities: FloatVector | None
    source: str | None
    taught_by: str | None
    skipped: str | None
    metadata: Mapping[str, MetadataValue]


def check_labelled(path: Path, metadata: Sequence[str]) -> None:
    """Raises InvalidFile for a path that cannot be written, InvalidInput for metadata that has the name of a column.

    Check it before a long run.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidFile(f"{path}: the ending {path.suffix!r} says no format. Use one of {', '.join(SUFFIXES)}")
    check_folder(path)
    if path.suffix.lower() == ".parquet":
        need_pyarrow()
    taken = [name for name in metadata if name in (*COLUMNS, "probabilities", ESCAPED) or name.startswith("p(")]
    if taken:
        raise InvalidInput(
            f"--metadata-columns names {taken[0]!r}, and the output has a column of that name: rename it in the file"
        )


def write_labelled(
    rows: Iterable[ModelRow], path: Path, labels: Sequence[str], metadata: Sequence[str], *, escape: bool = True
) -> None:
    """Write the rows in the format that the path's ending names. The file appears only when it is whole.

    ``labels``: the names of the probabilities' columns. ``escape``: make cells of CSV and TSV harmless that a
    spreadsheet would take for formulas. Raises InvalidFile, InvalidInput.
    """
    check_labelled(path, metadata)
    suffix = path.suffix.lower()
    with writing(path) as part:
        if suffix == ".parquet":
            _write_parquet(rows, part, labels, metadata)
        elif suffix in (".csv", ".tsv"):
            names = [*COLUMNS, *metadata, *(f"p({label})" for label in labels)]
            cells = (_cells(row, labels, metadata) for row in rows)
            write_csv(part, names, cells, delimiter="\t" if suffix == ".tsv" else ",", escape=escape)
        else:
            with part.open("w", encoding="utf-8") as out:
                write_labelled_lines(rows, labels, out)


def write_labelled_lines(rows: Iterable[ModelRow], labels: Sequence[str], out: TextIO) -> None:
    """Write JSON lines, with ``labels`` as a list and ``probabilities`` by label."""
    for row in rows:
        values = {
            "record_id": row.record_id,
            "text": row.text,
            "labels": None if row.labels is None else list(row.labels),
            "probabilities": None if row.probabilities is None else dict(_named(row.probabilities, labels)),
            "source": row.source,
            "taught_by": row.taught_by,
            "skipped": row.skipped,
            "metadata": dict(row.metadata),
        }
        out.write(json.dumps(values, ensure_ascii=False) + "\n")


def probability(row: ModelRow, labels: Sequence[str]) -> float | None:
    """Return how probable the row's label is: of several the least one; None for a row without a label."""
    if not row.labels or row.probabilities is None:
        return None
    return min(digits(row.probabilities[labels.index(name)]) for name in row.labels)


def _cells(row: ModelRow, labels: Sequence[str], metadata: Sequence[str]) -> list[Any]:
    first = [row.record_id, row.text, None if row.labels is None else list(row.labels), probability(row, labels)]
    numbers = [None] * len(labels) if row.probabilities is None else [digits(one) for one in row.probabilities]
    extra = [row.metadata.get(name) for name in metadata]
    return [*first, row.source, row.taught_by, row.skipped, *extra, *numbers]


def _named(probabilities: FloatVector, labels: Sequence[str]) -> Iterator[tuple[str, float]]:
    return ((name, digits(one)) for name, one in zip(labels, probabilities, strict=True))


def digits(value: Any) -> float:
    """As many digits of a number as its 32 bits hold."""
    return float(f"{float(value):.7g}")


def _write_parquet(rows: Iterable[ModelRow], path: Path, labels: Sequence[str], metadata: Sequence[str]) -> None:
    pa, pq = need_pyarrow()
    kinds: Mapping[str, Any] = {"label": pa.list_(pa.string()), "probability": pa.float32()}
    schema = pa.schema(
        [(name, kinds.get(name, pa.string())) for name in (*COLUMNS, *metadata)]
        + [(f"p({label})", pa.float32()) for label in labels]
    )
    with pq.ParquetWriter(path, schema, compression="zstd") as out:
        left = iter(rows)
        while cells := [_cells(row, labels, metadata) for row in islice(left, _BATCH)]:
            columns = [list(column) for column in zip(*cells, strict=True)]
            for place in range(len(COLUMNS), len(COLUMNS) + len(metadata)):
                columns[place] = [None if value is None else str(value) for value in columns[place]]
            arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
            out.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
