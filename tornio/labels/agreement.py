"""Agreement between several annotators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tornio.labels.events import EventKind, LabelEvent
from tornio.labels.resolve import by_record, standing


@dataclass(frozen=True, slots=True)
class Agreement:
    """Krippendorff's ``alpha`` (1: perfect, 0: chance), over the ``records`` labelled by at least two annotators."""

    alpha: float
    records: int


def agreement(events: Iterable[LabelEvent]) -> Agreement | None:
    """Return Krippendorff's alpha over the annotators' latest answers; None while no record has two answers.

    Discards are missing values. Where several labels are allowed, a set of labels is one value: only equal sets
    agree.
    """
    units = []
    for of_record in by_record(events).values():
        answers = [event for event in standing(of_record).values() if event.event is EventKind.ANSWER]
        if len(answers) >= 2:
            units.append([tuple(sorted(answer.labels)) for answer in answers])
    return Agreement(krippendorff_alpha(units), len(units)) if units else None


def krippendorff_alpha(units: Sequence[Sequence[object]]) -> float:
    """Return the nominal alpha of units with at least two values each. Who gave the values does not matter.

    Source: Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", part C. If all values are equal, no
    disagreement is expected; the source leaves alpha undefined then, and this function returns 1.
    """
    totals = Counter(value for unit in units for value in unit)
    n = totals.total()
    observed = sum(_unequal_pairs(Counter(unit)) / (len(unit) - 1) for unit in units)
    expected = _unequal_pairs(totals)
    return 1.0 if expected == 0 else 1 - (n - 1) * observed / expected


def _unequal_pairs(counts: Counter[object]) -> int:
    return counts.total() ** 2 - sum(count**2 for count in counts.values())
