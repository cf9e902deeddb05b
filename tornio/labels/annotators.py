"""How annotators agree: each with the others, each two of them, and label by label. Pure functions of the label log."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations

from tornio.labels.agreement import krippendorff_alpha
from tornio.labels.events import EventKind, LabelEvent
from tornio.labels.resolve import by_record, majority, standing

Given = Mapping[str, tuple[str, ...]]
"""The labels that each annotator gave one record, sorted, by the annotator's id."""
_GIVEN = (EventKind.ANSWER, EventKind.DISCARD)


@dataclass(frozen=True, slots=True)
class AnnotatorWork:
    """One annotator's valid ``answers`` and ``discards``.

    ``compared``: answers for records on which a majority of the others agrees. ``agrees``: those that are equal to it.
    ``times``: when each answer and discard was given, by the annotation tool's clock, as far as it is known.
    """

    annotator: str
    answers: int
    discards: int
    compared: int
    agrees: int
    times: tuple[datetime, ...] = ()

    def since(self, moment: datetime) -> int:
        """Return how many answers and discards were given after this moment."""
        return sum(time > moment for time in self.times)


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Two annotators, and the ``records`` that both answered. ``agrees``: those with equal answers. ``kappa``: Cohen's.

    Source: Cohen (1960), "A Coefficient of Agreement for Nominal Scales". 1 where all answers of both are one value.
    """

    first: str
    second: str
    records: int
    agrees: int
    kappa: float


@dataclass(frozen=True, slots=True)
class LabelAgreement:
    """Krippendorff's ``alpha`` of one label against all others. ``records``: those with several answers, of which at
    least one has the label."""

    label: str
    alpha: float
    records: int


@dataclass(frozen=True, slots=True)
class AnnotatorReport:
    """``annotators`` by id, ``pairs`` with a common record by ids, ``labels`` in the task's order."""

    annotators: tuple[AnnotatorWork, ...]
    pairs: tuple[PairAgreement, ...]
    labels: tuple[LabelAgreement, ...]


def annotator_report(events: Iterable[LabelEvent], label_order: Sequence[str], multi_label: bool) -> AnnotatorReport:
    """Return how the annotators of a label log agree.

    Drafts and withdrawn answers never count. Corrections are left out, because who corrects has seen an answer. A set
    of labels is one value, so only equal sets agree; label by label, each label is a value of its own.
    """
    given: list[Given] = []
    discards: Counter[str] = Counter()
    times: dict[str, list[datetime]] = defaultdict(list)
    for of_record in by_record(events).values():
        valid = standing(of_record)
        for who, event in valid.items():
            if event.event in _GIVEN and event.response_updated_at is not None:
                times[who].append(event.response_updated_at)
        discards.update(who for who, event in valid.items() if event.event is EventKind.DISCARD)
        answers = {who: event for who, event in valid.items() if event.event is EventKind.ANSWER}
        if answers:
            given.append({who: tuple(sorted(event.labels)) for who, event in answers.items()})
    return AnnotatorReport(
        tuple(_work(given, discards, times, multi_label)), tuple(_pairs(given)), tuple(_labels(given, label_order))
    )


def _work(
    given: Sequence[Given], discards: Counter[str], times: Mapping[str, Sequence[datetime]], multi_label: bool
) -> Iterator[AnnotatorWork]:
    answers: Counter[str] = Counter()
    compared: Counter[str] = Counter()
    agrees: Counter[str] = Counter()
    for answered in given:
        answers.update(answered.keys())
        for who, labels in answered.items():
            others = [theirs for other, theirs in answered.items() if other != who]
            consensus = majority(others, multi_label) if others else None
            if consensus is not None:
                compared[who] += 1
                agrees[who] += sorted(consensus) == list(labels)
    for who in sorted(answers.keys() | discards.keys()):
        yield AnnotatorWork(
            who, answers[who], discards[who], compared[who], agrees[who], tuple(sorted(times.get(who, ())))
        )


def _pairs(given: Sequence[Given]) -> Iterator[PairAgreement]:
    shared: dict[tuple[str, str], list[tuple[object, object]]] = defaultdict(list)
    for answered in given:
        for first, second in combinations(sorted(answered), 2):
            shared[first, second].append((answered[first], answered[second]))
    for (first, second), values in sorted(shared.items()):
        agrees = sum(one == other for one, other in values)
        yield PairAgreement(first, second, len(values), agrees, _kappa(values))


def _kappa(values: Sequence[tuple[object, object]]) -> float:
    n = len(values)
    first, second = Counter(one for one, _ in values), Counter(other for _, other in values)
    chance = sum(count * second[value] for value, count in first.items()) / n**2
    return 1.0 if chance == 1 else (sum(one == other for one, other in values) / n - chance) / (1 - chance)


def _labels(given: Sequence[Given], label_order: Sequence[str]) -> Iterator[LabelAgreement]:
    several = [list(answered.values()) for answered in given if len(answered) >= 2]
    for label in label_order if several else ():
        units = [[label in labels for labels in answers] for answers in several]
        yield LabelAgreement(label, krippendorff_alpha(units), sum(any(unit) for unit in units))
