"""Answers from the annotation tool into a label log. Polling is the truth, so all of it may be repeated."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from tornio.annotation.port import AnnotatedRecord, AnnotationTool
from tornio.labels.diff import diff_answers
from tornio.labels.events import EventKind, LabelEvent
from tornio.labels.log import LabelLog
from tornio.records import Purpose

COMPACT_EVERY = 64
"""Parts of the label log after which a snapshot is written, so that a new reader fetches few objects."""


def list_answers(
    annotation: AnnotationTool, workspace: str, dataset: str, answered: Collection[str]
) -> list[AnnotatedRecord]:
    """A complete listing: all records with responses, and those of ``answered`` that had one and are still there."""
    found = list(annotation.sweep(workspace, dataset))
    silent = set(answered) - {record.record_id for record in found}
    return [*found, *(annotation.read(workspace, dataset, sorted(silent)) if silent else ())]


def pull(
    log: LabelLog,
    read: Callable[[], Sequence[AnnotatedRecord]],
    *,
    purposes: Mapping[str, Purpose],
    label_set_rev: int,
    dataset: str,
    answer: EventKind = EventKind.ANSWER,
) -> int | None:
    """Bring the log up to what ``read`` shows, complete, of the records in ``purposes``.

    The log is read first: what is gone later is gone for sure. ``answer``: see ``diff_answers``. Returns the number of
    the part that was written, None where there was no news. Raises what ``read`` raises.
    """

    def missing() -> list[LabelEvent]:
        known = log.read()
        records = [record for record in read() if record.record_id in purposes]
        return diff_answers(
            known.events,
            records,
            purposes=purposes,
            label_set_rev=label_set_rev,
            dataset=dataset,
            complete=True,
            answer=answer,
        )

    after = log.last_seq()
    if not (events := missing()):
        return None
    seq = log.append(events, after=after, refresh=missing)
    if seq is not None and seq // COMPACT_EVERY > after // COMPACT_EVERY:
        log.compact(seq)
    return seq
