"""Read a file with every row kept, for output that has a row for each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tornio.errors import InvalidFile
from tornio.files.cells import Skip, metadata_of, record_id_of, text_of
from tornio.files.rows import Columns, Read, Skipped, Used, choose
from tornio.files.tables import Reader, Row
from tornio.records import MetadataValue, default_record_id


@dataclass(frozen=True, slots=True)
class FileRow:
    """One row of a file. ``problem``: why its text cannot be used; None if it can.

    ``record_id``: the id in the file, or else that of the text; None for a row without either.
    """

    record_id: str | None
    text: str | None
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)
    problem: str | None = None


def read_every_row(reader: Reader, columns: Columns, where: str) -> Read[FileRow]:
    """Return all rows of a file in their order, those that cannot be used among them.

    ``skipped`` of the result names those again, each with its line. Raises InvalidFile if no column can be the text, or
    if no row can be used.
    """
    used = choose(reader, columns, where, label=False)
    rows: list[FileRow] = []
    skipped: list[Skipped] = []
    for row in reader.read(used.names):
        rows.append(_row(row, used))
        problem = rows[-1].problem
        if problem is not None:
            skipped.append(Skipped(row.line, problem))
    if len(rows) == len(skipped):
        first = f"; line {skipped[0].line}: {skipped[0].reason}" if skipped else ": it has nothing below the first line"
        raise InvalidFile(f"{where} has no row that can be used{first}")
    return Read(rows, skipped, reader.what)


def _row(row: Row, used: Used) -> FileRow:
    """Read what can be read of a row, and say what cannot."""
    if isinstance(row.values, str):
        return FileRow(None, None, problem=row.values)
    record_id: str | None = None
    try:
        record_id = record_id_of(row.values, used.record_id)
        text = text_of(row.values, used.text)
        return FileRow(record_id or default_record_id(text), text, metadata_of(row.values, used.metadata))
    except Skip as reason:
        return FileRow(record_id, _raw(row.values.get(used.text)), problem=str(reason))


def _raw(value: object) -> str | None:
    """The text of a row that cannot be used, as far as a file can hold it: without halves of surrogate pairs."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else None
