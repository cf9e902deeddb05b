"""Choose the rows of a run that are shown to annotators. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tornio.scoring.scored_run import ScoredRow


@dataclass(frozen=True, slots=True)
class Chosen:
    """The chosen rows.

    ``rows``: all rows that are shown, earlier ones first. ``left_out``: number of rows that must not be shown;
    ``same_id``: number of rows whose record id belongs to another text. ``gone``: rows that were shown before and must
    not be shown any more.
    """

    rows: tuple[ScoredRow, ...]
    left_out: int
    same_id: int
    gone: tuple[ScoredRow, ...]


def choose(
    candidates: Iterable[ScoredRow],
    limit: int | None,
    barred: Callable[[str], bool],
    shown: Sequence[ScoredRow] = (),
) -> Chosen:
    """Return the first ``limit`` candidates (None: all) that may be shown; rows that were shown earlier count too.

    Each record id and each text is shown once, by the row that comes first. Its answer applies to all rows with the
    same text. ``candidates``: most suspicious first; read only as far as needed. ``barred``: whether the text with this
    digest must not be shown.
    """
    gone = tuple(row for row in shown if barred(row.digest))
    rows = [row for row in shown if row not in gone]
    left_out, same_id = len(gone), 0
    ids, texts = {row.record_id for row in shown}, {row.digest for row in shown}
    for row in candidates:
        if limit is not None and len(rows) >= limit:
            break
        if row.digest in texts:
            continue
        if row.record_id in ids:
            same_id += 1
            continue
        ids.add(row.record_id)
        texts.add(row.digest)
        if barred(row.digest):
            ids.discard(row.record_id)
            left_out += 1
        else:
            rows.append(row)
    return Chosen(tuple(rows), left_out, same_id, gone)
