"""Read the rows of a labelled data set of any size and format, and cut them into parts."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np

from tornio.files.cells import Skip, check_separator, labels_of, record_id_of, text_of
from tornio.files.rows import Columns, RowStream, stream_rows
from tornio.files.sources import on_disk
from tornio.files.tables import Options, Row
from tornio.records import default_record_id, text_digest
from tornio.schemas.keys import RunKeys
from tornio.schemas.scoring import InputFile, ScoreArgs, ScoreInput
from tornio.scoring.cutting import Cut, FoundRow, stage_rows, staged_once
from tornio.storage.port import ObjectStore

_SHOWN = 20
"""Labels that the reason of a rejected row lists."""


class Contradictions:
    """Counts the texts that have different labels in different rows. 16 bytes a row."""

    def __init__(self) -> None:
        self._texts = array("Q")
        self._labelled = array("Q")

    def add(self, rows: Sequence[Mapping[str, object]]) -> None:
        for row in rows:
            digest = text_digest(str(row["text"]))
            labels = json.dumps(sorted(cast("list[str]", row["given"])))
            self._texts.append(int(digest[:16], 16))
            self._labelled.append(int(hashlib.sha256(f"{digest}{labels}".encode()).hexdigest()[:16], 16))

    def count(self) -> int:
        """Return the number of such texts."""
        pairs = np.unique(np.stack([np.array(self._texts), np.array(self._labelled)]), axis=1)
        _, labellings = np.unique(pairs[0], return_counts=True)
        return int(np.sum(labellings > 1))


def stage_input(args: ScoreArgs, keys: RunKeys, store: ObjectStore, report: Callable[[int], None]) -> ScoreInput:
    """Return the parts of the input, from an earlier attempt or cut now. ``report``: called with the rows read so far.

    A row without text, or with a label that the run does not have, goes to ``rejected/`` with the reason. Raises
    Changed for a file that is not the one that the run was planned with. Raises InvalidFile for a file that cannot be
    read, for a rejected row of a strict run, and if no row is left.
    """
    contradictions = Contradictions()

    def cut() -> ScoreInput:
        staged = stage_rows(_rows(args), Cut(args.part_rows, args.strict), keys, store, report, contradictions.add)
        return staged.evolve(labels=args.labels, contradictions=contradictions.count())

    return staged_once(args.files, keys, store, cut, "Check --text-column and --label-column")


def _rows(args: ScoreArgs) -> Iterator[FoundRow]:
    """Each row of the files in order, with its usable values, or the reason why it has none."""
    place = 0
    for number, (file, stream) in enumerate(_streams(args)):
        for row in stream.rows:
            yield FoundRow(place, number, file.uri, row.line, usable(row, stream, args))
            place += 1


def _streams(args: ScoreArgs) -> Iterator[tuple[InputFile, RowStream]]:
    check_separator(args.separator)
    columns = Columns(args.text_column, args.id_column, args.label_column)
    options = Options(encoding=args.encoding, delimiter=args.delimiter, wanted=columns.named, header_is_optional=False)
    for file in args.files:
        with on_disk(file) as path:
            yield file, stream_rows(path, columns, options, file.uri)


def label_cells(args: ScoreArgs) -> Iterator[tuple[tuple[str, ...] | None, list[str] | str]]:
    """Yield the names of a ClassLabel column if it is one, and the labels of each row, or why it has none."""
    for file, stream in _streams(args):
        for row in stream.rows:
            try:
                yield stream.class_names, _labels(_values(row), stream, args)
            except Skip as reason:
                yield stream.class_names, f"{file.uri}, line {row.line}: {reason}"


def usable(row: Row, stream: RowStream, args: ScoreArgs) -> dict[str, object] | str:
    """Return record id, text and given labels of a row, or the reason why it cannot be used."""
    try:
        values = _values(row)
        text = text_of(values, stream.used.text)
        given = _labels(values, stream, args)
        record_id = _record_id(values, stream, args) or default_record_id(text)
    except Skip as reason:
        return str(reason)
    unknown = next((name for name in given if name not in args.labels), None)
    if unknown is not None:
        return f"the label {unknown!r} is none of {_some(args.labels)}"
    return {"record_id": record_id, "text": text, "given": given}


def _values(row: Row) -> Mapping[str, Any]:
    if isinstance(row.values, str):
        raise Skip(row.values)
    return row.values


def _labels(values: Mapping[str, Any], stream: RowStream, args: ScoreArgs) -> list[str]:
    given = labels_of(values.get(stream.used.label or ""), args.multi_label, args.separator, stream.class_names)
    return [args.labels[int(number)] for number in given] if args.numbered else given


def _record_id(values: Mapping[str, Any], stream: RowStream, args: ScoreArgs) -> str | None:
    """The id of a row. A column that only has the name of an id column may hold something else."""
    try:
        return record_id_of(values, stream.used.record_id)
    except Skip:
        if args.id_column is not None:
            raise
        return None


def _some(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - _SHOWN:,} more" if len(labels) > _SHOWN else ""
    return ", ".join(labels[:_SHOWN]) + more
