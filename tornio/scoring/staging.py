"""Cut a data set of any size and format into parts of one format, by the positions of the rows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from tornio.errors import InvalidFile
from tornio.files.rows import Columns, RowStream, Skip, Used, labels_of, record_id_of, stream_rows, text_of
from tornio.files.sources import check_unchanged, class_names, on_disk
from tornio.files.tables import Options, Row
from tornio.records import default_record_id
from tornio.schemas.jobs import InputFile, PartCount, ScoreArgs, ScoreInput
from tornio.schemas.keys import RunKeys
from tornio.schemas.tables import REJECTED, SCORE_INPUT
from tornio.storage import documents
from tornio.storage.port import ObjectStore

PART_BYTES = 64 << 20
"""UTF-8 bytes of text after which a part ends, however few its rows, to bound the memory of a worker."""


@dataclass
class _Part:
    rows: list[dict[str, object]] = field(default_factory=list)
    rejected: list[dict[str, object]] = field(default_factory=list)
    size: int = 0

    def full(self, rows: int) -> bool:
        return len(self.rows) + len(self.rejected) >= rows or self.size >= PART_BYTES


def stage_input(args: ScoreArgs, keys: RunKeys, store: ObjectStore, report: Callable[[int], None]) -> ScoreInput:
    """Return the parts of the input, from an earlier attempt or cut now. ``report``: called with the rows read so far.

    A row without text, or with a label that the run does not have, goes to ``rejected/`` with the reason. Raises
    Changed for a file that is not the one that the run was planned with. Raises InvalidFile for a file that cannot be
    read, for a rejected row of a strict run, and if no row is left.
    """
    staged = documents.find(store, keys.input, ScoreInput)
    if staged is not None:
        return staged[0]
    check_unchanged(args.files)
    counts: list[PartCount] = []
    for number, part in enumerate(_parts(args)):
        if args.strict and part.rejected:
            first = part.rejected[0]
            raise InvalidFile(
                f"{first['file']}, line {first['line']}: {first['reason']}. Without --strict such rows are put aside"
            )
        if part.rejected:
            table = pa.Table.from_pylist(part.rejected, schema=REJECTED.columns)
            store.put(keys.part("rejected", number), REJECTED.encode(table))
        table = pa.Table.from_pylist(part.rows, schema=SCORE_INPUT.columns)
        store.put(keys.part("input", number), SCORE_INPUT.encode(table))
        counts.append(PartCount(rows=len(part.rows), rejected=len(part.rejected)))
        report(sum(count.rows + count.rejected for count in counts))
    check_unchanged(args.files)  # nor did they change while they were read
    staged_now = ScoreInput(parts=tuple(counts), labels=args.labels)
    if not staged_now.rows:
        why = "" if not counts else f" Part 0 of {keys.folder('rejected')} has the reasons."
        raise InvalidFile(f"no row of {args.files[0].uri} can be scored.{why} Check --text-column and --label-column")
    return documents.create_or_get(store, keys.input, staged_now)


def _parts(args: ScoreArgs) -> Iterator[_Part]:
    part = _Part()
    for row, (file, line, usable) in enumerate(_rows(args)):
        if isinstance(usable, str):
            part.rejected.append({"row": row, "file": file.uri, "line": line, "reason": usable})
        else:
            part.rows.append({"row": row, **usable})
            part.size += len(str(usable["text"]).encode())
        if part.full(args.part_rows):
            yield part
            part = _Part()
    if part.rows or part.rejected:
        yield part


def _rows(args: ScoreArgs) -> Iterator[tuple[InputFile, int, dict[str, object] | str]]:
    """Each row of the files in order: the file, the line, and its usable values, or the reason why it has none."""
    for file, stream, names in _streams(args):
        for row in stream.rows:
            yield file, row.line, usable(row, stream.used, args, names)


def _streams(args: ScoreArgs) -> Iterator[tuple[InputFile, RowStream, tuple[str, ...] | None]]:
    """Each file with its rows, and the names that the numbers of a ClassLabel column stand for."""
    columns = Columns(args.text_column, args.id_column, args.label_column)
    options = Options(encoding=args.encoding, delimiter=args.delimiter, wanted=columns.named, header_is_optional=False)
    for file in args.files:
        with on_disk(file) as path:
            stream = stream_rows(path, columns, options, file.uri)
            yield file, stream, stream.class_names or class_names(file, stream.used.label or "")


def label_cells(args: ScoreArgs) -> Iterator[tuple[tuple[str, ...] | None, list[str]]]:
    """Yield the labels of each row, with the names of a ClassLabel column if it is one. Unusable rows are left out."""
    for _, stream, names in _streams(args):
        for row in stream.rows:
            if isinstance(row.values, dict):
                with contextlib.suppress(Skip):
                    cell = _named(row.values.get(stream.used.label or ""), names)
                    yield names, labels_of(cell, args.multi_label, args.separator)


def usable(row: Row, used: Used, args: ScoreArgs, names: tuple[str, ...] | None) -> dict[str, object] | str:
    """Return record id, text and given labels of a row, or the reason why it cannot be used.

    ``names``: what the numbers of a ClassLabel column stand for.
    """
    if isinstance(row.values, str):
        return row.values
    try:
        text = text_of(row.values, used)
        given = labels_of(_named(row.values.get(used.label or ""), names), args.multi_label, args.separator)
        record_id = _record_id(row.values, used, args) or default_record_id(text)
    except Skip as reason:
        return str(reason)
    unknown = next((name for name in given if name not in args.labels), None)
    if unknown is not None:
        return f"the label {unknown!r} is none of {', '.join(args.labels)}"
    return {"record_id": record_id, "text": text, "given": given}


def _record_id(values: Mapping[str, Any], used: Used, args: ScoreArgs) -> str | None:
    """The id of a row. A column that only has the name of an id column may hold something else."""
    try:
        return record_id_of(values, used)
    except Skip:
        if args.id_column is not None:
            raise
        return None


def _named(value: object, names: tuple[str, ...] | None) -> object:
    if names is None:
        return value
    if isinstance(value, list):
        return [_named(item, names) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return names[value] if 0 <= value < len(names) else None  # datasets writes -1 for "no label"
    return value
