"""Label sets of a task: what becomes of a label, and of an answer, when the labels change. Pure functions.

The label log is never rewritten. Each event names the label set that it was given under, and is translated to the
wanted label set when it is read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from tornio.labels.events import EventKind, LabelEvent
from tornio.labels.resolve import resolve

_GIVES_LABELS = (EventKind.ANSWER, EventKind.CORRECTION, EventKind.IMPORT, EventKind.AUTO)


@dataclass(frozen=True, slots=True)
class LabelSet:
    """One of the label sets that a task has had, oldest first.

    ``becomes``: each label of the set before, with its name in this one; None for a label that was removed. Empty for
    the first label set. ``generation``: the generation of the task that began with it.
    """

    rev: int
    generation: int = 1
    becomes: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LabelView:
    """The label log up to ``seq``, with every event translated to one label set.

    ``lapsed``: the records that have no label because theirs was removed. They are asked again.
    """

    seq: int
    events: tuple[LabelEvent, ...]
    lapsed: frozenset[str] = frozenset()


def translate_label(name: str, sets: Sequence[LabelSet], since: int) -> str | None:
    """Return what a label of the label set ``since`` is called in the last of ``sets``; None if it was removed."""
    now: str | None = name
    for one in sets:
        if one.rev > since and now is not None:
            now = one.becomes.get(now)
    return now


def translate_labels(names: Iterable[str], sets: Sequence[LabelSet], since: int) -> tuple[str, ...]:
    """Return what labels of the label set ``since`` are called in the last of ``sets``, without removed ones."""
    now = (translate_label(name, sets, since) for name in names)
    return tuple(dict.fromkeys(name for name in now if name is not None))


def former_names(sets: Sequence[LabelSet]) -> dict[str, str | None]:
    """Return what each label that the task has had is called in the last of ``sets``; None if it was removed.

    Of two labels that had the same name, the later one counts.
    """
    return {name: translate_label(name, sets, before.rev) for before, one in pairwise(sets) for name in one.becomes}


def translate(
    events: Iterable[LabelEvent], sets: Sequence[LabelSet], multi_label: bool, min_submitted: int, seq: int = 0
) -> LabelView:
    """Return the events with the labels of the last of ``sets``, which are in the order of their revisions.

    A renamed or merged label has its new name. A removed label takes an answer's label away, and the answer then counts
    as if it had not been given (``LabelEvent.lapsed``); where several labels are allowed, this holds for an answer of
    which no label is left. If the record's resolved label was removed, all its answers lapse: what others had said
    before is not the truth that was agreed on. Purposes stay, so a record of the hold-out stays in the hold-out.
    """
    translated, lapsed = tuple(events), set[str]()
    for one in sets[1:]:
        translated, gone = _step(translated, one, multi_label, min_submitted)
        lapsed |= gone
    return LabelView(seq, translated, _without_label(translated, lapsed, multi_label, min_submitted))


def _step(
    events: tuple[LabelEvent, ...], to: LabelSet, multi_label: bool, min_submitted: int
) -> tuple[tuple[LabelEvent, ...], set[str]]:
    """Return the events under the label set ``to``, and the records of which an answer lapsed."""
    removed = {name for name, now in to.becomes.items() if now is None}
    agreed = _agreed_on(removed, [one for one in events if one.label_set_rev < to.rev], multi_label, min_submitted)
    moved, gone = list[LabelEvent](), set[str]()
    for event in events:
        if event.label_set_rev >= to.rev or event.event not in _GIVES_LABELS or event.lapsed:
            moved.append(event)
            continue
        labels = tuple(dict.fromkeys(now for name in event.labels if (now := to.becomes.get(name)) is not None))
        lapses = event.record_id in agreed or bool(event.labels and not labels)
        if lapses:
            gone.add(event.record_id)
        moved.append(replace(event, labels=() if lapses else labels, label_set_rev=to.rev, lapsed=lapses))
    return tuple(moved), gone


def _agreed_on(removed: set[str], events: list[LabelEvent], multi_label: bool, min_submitted: int) -> set[str]:
    """Return the records whose resolved labels are all among the removed ones."""
    touched = {one.record_id for one in events if removed.intersection(one.labels)}
    resolved = resolve((one for one in events if one.record_id in touched), (), multi_label, min_submitted)
    return {name for name, one in resolved.items() if one.labels and removed.issuperset(one.labels)}


def _without_label(
    events: tuple[LabelEvent, ...], records: Collection[str], multi_label: bool, min_submitted: int
) -> frozenset[str]:
    """Return those of the records that have no label, and that nobody has discarded or deleted."""
    resolved = resolve((one for one in events if one.record_id in records), (), multi_label, min_submitted)
    return frozenset(name for name, one in resolved.items() if one.labels is None and one.kind is None)
