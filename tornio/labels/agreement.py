"""How much several annotators agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tornio.labels.events import EventKind, LabelEvent
from tornio.labels.resolve import by_record, standing


@dataclass(frozen=True, slots=True)
class Agreement:
    """``alpha``: 1 is perfect, 0 is chance; ``records``: how many were labelled by at least two annotators."""

    alpha: float
    records: int


def agreement(events: Iterable[LabelEvent]) -> Agreement | None:
    """Krippendorff's alpha over the annotators' standing answers; None while no record has two.

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
    """Nominal alpha of units with at least two values each, whoever gave them.

    Source: Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", part C. One value throughout has no
    disagreement to expect: 1 by convention here, where the source leaves it undefined.
    """
    totals = Counter(value for unit in units for value in unit)
    n = totals.total()
    observed = sum(_unequal_pairs(Counter(unit)) / (len(unit) - 1) for unit in units)
    expected = _unequal_pairs(totals)
    return 1.0 if expected == 0 else 1 - (n - 1) * observed / expected


def _unequal_pairs(counts: Counter[object]) -> int:
    return counts.total() ** 2 - sum(count**2 for count in counts.values())
