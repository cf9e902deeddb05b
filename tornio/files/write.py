"""Write labelled records to a file, in the format that its name tells. The file appears only when it is whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TextIO

from tornio.api import LabelledRecord
from tornio.errors import InvalidFile
from tornio.files.spreadsheets import write_csv
from tornio.files.whole import check_folder, writing

Write = Callable[[Iterable[LabelledRecord]], None]

COLUMNS = ("record_id", "text", "label", "purpose", "source", "annotators", "given_by", "version", "probability")


def writer_for(path: Path, *, escape: bool = True) -> Write:
    """Return the function that writes this path, by its ending: .csv, .tsv, .jsonl or .parquet. Raises InvalidFile.

    ``escape``: make cells of CSV and TSV harmless that a spreadsheet would take for formulas.
    """
    writers: dict[str, Callable[[Iterable[LabelledRecord], Path], None]] = {
        ".csv": lambda records, part: _write_csv(records, part, ",", escape),
        ".tsv": lambda records, part: _write_csv(records, part, "\t", escape),
        ".jsonl": _write_jsonl,
        ".ndjson": _write_jsonl,
        ".parquet": _write_parquet,
    }
    write = writers.get(path.suffix.lower())
    if write is None:
        raise InvalidFile(f"{path}: the ending {path.suffix!r} says no format. Use one of {', '.join(writers)}")
    check_folder(path)
    if write is _write_parquet:
        need_pyarrow()

    def whole(records: Iterable[LabelledRecord]) -> None:
        with writing(path) as part:
            write(records, part)

    return whole


def write_lines(records: Iterable[LabelledRecord], out: TextIO) -> None:
    """Write JSON lines, one record per line, with ``labels`` as a list."""
    for record in records:
        out.write(record.model_dump_json() + "\n")


def _write_jsonl(records: Iterable[LabelledRecord], path: Path) -> None:
    with path.open("w", encoding="utf-8") as out:
        write_lines(records, out)


def _write_csv(records: Iterable[LabelledRecord], path: Path, delimiter: str, escape: bool) -> None:
    rows = (
        (
            one.record_id,
            one.text,
            one.labels,
            one.purpose or "",
            one.source,
            one.annotators,
            one.given_by,
            one.version or "",
            "" if one.probability is None else one.probability,
        )
        for one in records
    )
    write_csv(path, COLUMNS, rows, delimiter=delimiter, escape=escape)


def _write_parquet(records: Iterable[LabelledRecord], path: Path) -> None:
    pa, pq = need_pyarrow()
    rows = [record.model_dump(mode="json") for record in records]
    schema = pa.schema(
        [
            ("record_id", pa.string()),
            ("text", pa.string()),
            ("labels", pa.list_(pa.string())),
            ("purpose", pa.string()),
            ("source", pa.string()),
            ("annotators", pa.int32()),
            ("given_by", pa.string()),
            ("version", pa.string()),
            ("probability", pa.float32()),
        ]
    )
    pq.write_table(pa.Table.from_pylist(rows, schema), path, compression="zstd")


def need_pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise InvalidFile("writing Parquet needs pyarrow. Run: pip install pyarrow; or write .csv or .jsonl") from error
    return pa, pq
