"""Pull answers from the annotation tool into a label log. Everything here may safely be repeated."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from tornio.annotation.port import AnnotatedRecord, AnnotationTool
from tornio.labels.accounts import Accounts
from tornio.labels.diff import diff_answers
from tornio.labels.events import EventKind, LabelEvent
from tornio.labels.log import LabelLog, LogView
from tornio.records import Purpose

COMPACT_EVERY = 64
"""A snapshot is written each time the log has grown by this many parts, so that a new reader fetches few objects."""


def list_answers(
    annotation: AnnotationTool, workspace: str, dataset: str, answered: Collection[str]
) -> list[AnnotatedRecord]:
    """Return a complete listing: all records with responses, and the records of ``answered`` that still exist."""
    responding = list(annotation.sweep(workspace, dataset))
    silent = set(answered) - {record.record_id for record in responding}
    return [*responding, *(annotation.read(workspace, dataset, sorted(silent)) if silent else ())]


def responding(records: Iterable[AnnotatedRecord]) -> set[str]:
    """Return the annotators who have a response to one of these records."""
    return {response.annotator for record in records for response in record.responses}


def pull(
    log: LabelLog,
    read: Callable[[], Sequence[AnnotatedRecord]],
    *,
    purposes: Mapping[str, Purpose],
    label_set_rev: int,
    dataset: str,
    accounts: Accounts,
    answer: EventKind = EventKind.ANSWER,
) -> int | None:
    """Bring the log up to date with ``read``, which returns the records in ``purposes`` with all their responses.

    The log is read before the tool, so that an answer that is missing in the tool has certainly been withdrawn, or was
    deleted together with its account. The answers of a deleted account stay: they were given.

    ``answer``: see ``diff_answers``. Returns the number of the part that was written, or None if nothing had changed.
    Raises what ``read`` raises.
    """

    def missing(logged: LogView) -> list[LabelEvent]:
        records = [record for record in read() if record.record_id in purposes]
        events = diff_answers(
            logged.events,
            records,
            purposes=purposes,
            label_set_rev=label_set_rev,
            dataset=dataset,
            complete=True,
            answer=answer,
        )
        withdrawn = {event.annotator for event in events if event.event is EventKind.WITHDRAW and event.annotator}
        gone = accounts.gone(withdrawn, responding(records))
        return [event for event in events if event.event is not EventKind.WITHDRAW or event.annotator not in gone]

    logged = log.read()
    if not (events := missing(logged)):
        return None
    seq = log.append(events, after=logged.seq, refresh=lambda: missing(log.read()))
    if seq is not None and seq // COMPACT_EVERY > logged.seq // COMPACT_EVERY:
        log.compact(seq)
    return seq
