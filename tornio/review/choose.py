"""Which rows of a run are shown to annotators. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tornio.scoring.scored_run import ScoredRow


@dataclass(frozen=True, slots=True)
class Chosen:
    """``rows``: all that are shown, those of earlier times first. ``left_out``: how many were skipped because they may
    not be shown; ``same_id``: because another text has their record id. ``gone``: shown before, and may not be any
    more."""

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
    """The first ``limit`` candidates (None: all) that may be shown, those of earlier times counted.

    A record id and a text are shown once, by the row that comes first: what is said of it goes for all rows with its
    text. ``candidates``: most suspicious first; read no further than needed. ``barred``: says of the digest of a text
    that it must not be shown.
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
