"""Cut the rows of a data set of any size into parts of one format, by their positions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from tornio.errors import InvalidFile
from tornio.files.sources import check_unchanged
from tornio.schemas.keys import RunKeys
from tornio.schemas.scoring import InputFile, PartCount, ScoreInput
from tornio.schemas.tables import REJECTED, SCORE_INPUT
from tornio.storage import documents
from tornio.storage.port import ObjectStore

PART_BYTES = 64 << 20
"""UTF-8 bytes of text after which a part ends, however few its rows, to bound the memory of a worker."""


@dataclass(frozen=True, slots=True)
class FoundRow:
    """A row of the data. ``row``: its place in the whole data. ``file``: the number of its file; ``name``: what it is
    called. ``usable``: its values of ``SCORE_INPUT``, or the reason why it cannot be used."""

    row: int
    file: int
    name: str
    line: int
    usable: Mapping[str, object] | str


@dataclass(frozen=True, slots=True)
class Cut:
    """How rows are cut. ``part_rows``: at most so many in a part. ``strict``: the first row that cannot be used is an
    error. ``by_file``: a part has rows of one file only."""

    part_rows: int
    strict: bool
    by_file: bool = False


@dataclass
class _Part:
    file: int = 0
    rows: list[dict[str, object]] = field(default_factory=list)
    rejected: list[dict[str, object]] = field(default_factory=list)
    size: int = 0

    def full(self, rows: int) -> bool:
        return len(self.rows) + len(self.rejected) >= rows or self.size >= PART_BYTES


def staged_once(
    files: tuple[InputFile, ...], keys: RunKeys, store: ObjectStore, cut: Callable[[], ScoreInput], hint: str
) -> ScoreInput:
    """Return the parts of an earlier attempt, or those that ``cut`` writes now. ``hint``: what to check if it has none.

    Raises Changed for files that are not those of the plan, and InvalidFile if no row can be used.
    """
    staged = documents.find(store, keys.input, ScoreInput)
    if staged is not None:
        return staged[0]
    check_unchanged(files)
    now = cut()
    check_unchanged(files)  # nor did they change while they were read
    if not now.rows:
        why = "It has no rows" if now.first_rejected is None else now.first_rejected
        where = files[0].uri if files else "the pool"
        raise InvalidFile(f"no row of {where} can be used. {why}. {hint}")
    return documents.create_or_get(store, keys.input, now)


def stage_rows(
    rows: Iterable[FoundRow],
    cut: Cut,
    keys: RunKeys,
    store: ObjectStore,
    report: Callable[[int], None],
    seen: Callable[[Sequence[Mapping[str, object]]], None] = lambda _rows: None,
) -> ScoreInput:
    """Write the rows to ``input/``, and those that cannot be used to ``rejected/``. Only one part is in memory.

    ``report``: called with the number of rows so far. ``seen``: called with the usable rows of each part. Raises
    InvalidFile for a rejected row of a strict run.
    """
    counts: list[PartCount] = []
    first_rejected: str | None = None
    for number, part in enumerate(_parts(rows, cut)):
        seen(part.rows)
        if part.rejected and first_rejected is None:
            first_rejected = "{file}, line {line}: {reason}".format(**part.rejected[0])
        if cut.strict and first_rejected is not None:
            raise InvalidFile(f"{first_rejected}. Without --strict such rows are put aside")
        if part.rejected:
            table = pa.Table.from_pylist(part.rejected, schema=REJECTED.columns)
            store.put(keys.part("rejected", number), REJECTED.encode(table))
        table = pa.Table.from_pylist(part.rows, schema=SCORE_INPUT.columns)
        store.put(keys.part("input", number), SCORE_INPUT.encode(table))
        counts.append(PartCount(rows=len(part.rows), rejected=len(part.rejected), file=part.file if cut.by_file else 0))
        report(sum(count.rows + count.rejected for count in counts))
    return ScoreInput(parts=tuple(counts), labels=(), first_rejected=first_rejected)


def _parts(rows: Iterable[FoundRow], cut: Cut) -> Iterator[_Part]:
    part = _Part()
    for found in rows:
        if part.full(cut.part_rows) or (cut.by_file and found.file != part.file):
            if part.rows or part.rejected:
                yield part
            part = _Part(found.file)
        if isinstance(found.usable, str):
            part.rejected.append({"row": found.row, "file": found.name, "line": found.line, "reason": found.usable})
        else:
            part.rows.append({"row": found.row, **found.usable})
            part.size += len(str(found.usable["text"]).encode())
    if part.rows or part.rejected:
        yield part
