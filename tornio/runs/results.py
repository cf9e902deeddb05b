"""What users get of a finished run: its first rows, and its files as they are stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tornio.api import FILE_BYTES, RunFileOut, RunFiles, RunRows
from tornio.errors import Changed, Conflict, NotFound
from tornio.runs.record import RunRecord
from tornio.schemas.runs import RunTop
from tornio.storage import documents
from tornio.storage.port import ObjectStore


def first_rows(store: ObjectStore, record: RunRecord, most: int) -> RunRows:
    """Return the first rows of a result. Raises Conflict for a run that is not done."""
    _check_done(record)
    stored = documents.find(store, record.plan.run_keys.top, RunTop)
    if stored is None:
        return RunRows()
    return RunRows(columns=list(stored[0].columns), rows=[list(row) for row in stored[0].rows[:most]])


def files_of(store: ObjectStore, record: RunRecord, offered: Sequence[str]) -> RunFiles:
    """Return the files of a result. ``offered``: names relative to the run's folder; folders end with '/'.

    Raises Conflict for a run that is not done.
    """
    _check_done(record)
    return RunFiles(files=[file for one in offered for file in _below(store, record, one)])


def read_file(
    store: ObjectStore, record: RunRecord, offered: Sequence[str], name: str, etag: str, start: int = 0
) -> bytes:
    """Return at most ``FILE_BYTES`` bytes of a file as it was listed, from ``start`` on.

    Raises NotFound, and Changed if it is another file by now.
    """
    _check_done(record)
    folder, dash, rest = name.partition("-")
    inner = f"{folder}/{rest}" if dash and f"{folder}/" in offered else name
    if inner not in offered and f"{inner.partition('/')[0]}/" not in offered:
        raise NotFound(f"The result of {record.plan.run} has no file {name}. List its files.")
    try:
        stored = store.get_range(record.plan.run_keys.root + inner, start, FILE_BYTES)
    except NotFound:
        raise NotFound(f"The result of {record.plan.run} has no file {name}. List its files.") from None
    if stored.etag != etag:
        raise Changed(f"{name} of {record.plan.run} is not the file that was listed. List the files again.")
    return stored.body


def _below(store: ObjectStore, record: RunRecord, offered: str) -> Iterator[RunFileOut]:
    root = record.plan.run_keys.root
    for info in store.list(root + offered):
        name = info.key.removeprefix(root)
        if offered.endswith("/") or name == offered:
            yield RunFileOut(name=name.replace("/", "-"), size=info.size, etag=info.etag)


def _check_done(record: RunRecord) -> None:
    if record.result is None:
        raise Conflict(f"run {record.plan.run} is {record.state}, and has no result before it is done")
