"""Which texts of a run may be shown to people together with a prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tornio.records import Purpose
from tornio.scoring.scored_run import ScoredRow, ScoredRun
from tornio.tasks.holdout import reserve_rule


def showable(run: ScoredRun) -> Iterator[ScoredRow]:
    """The rows, most suspicious first, without those that are ``barred``."""
    forbidden = barred(run)
    return (row for row in run.most_suspicious() if not forbidden(row.digest))


def barred(run: ScoredRun) -> Callable[[str], bool]:
    """Says of a text, by its digest, that a review must not show it: the task holds it out, has ever shown it as
    hold-out, or has deleted it."""
    task = run.task
    if task is None:
        return lambda _digest: False
    view, events = task.pool.read(), task.labels.read().events
    judged = {event.record_id for event in events if event.purpose is Purpose.HOLDOUT}
    judged |= {item.record_id for batch in task.batches() for item in batch.items if item.purpose is Purpose.HOLDOUT}
    digests = {view.text_digests[row] for one in judged if (row := view.row(one)) is not None} | run.deleted
    held = reserve_rule(view, events, task.document.holdout_key, task.spec.loop.holdout_share)
    return lambda digest: digest in digests or held(digest)
