"""The outcome of a review for each text. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from tornio.labels.events import LabelEvent
from tornio.labels.resolve import by_record, resolve, standing
from tornio.scoring.ranking import Precision

Labels = tuple[str, ...]


class Outcome(StrEnum):
    """What a review means for the given label of a row."""

    UNREVIEWED = "unreviewed"
    CONFIRMED = "confirmed"
    CHANGED = "changed"
    DISCARDED = "discarded"
    """No label fits. The given label is kept, and the reader of the corrected set decides."""
    DISPUTED = "disputed"
    """Reviewers disagree and no answer has the most votes. The given label is kept."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The reviewers' decision on a text.

    ``labels``: the right labels; None if the reviewers discarded the text or disagree. ``who``: the reviewers whose
    answers count; ``when``: the latest of their answers, by the annotation tool's clock.
    """

    labels: Labels | None
    disputed: bool
    who: tuple[str, ...]
    when: datetime | None

    def outcome(self, given: Collection[str]) -> Outcome:
        if self.labels is None:
            return Outcome.DISPUTED if self.disputed else Outcome.DISCARDED
        return Outcome.CONFIRMED if set(self.labels) == set(given) else Outcome.CHANGED


def verdicts(
    events: Iterable[LabelEvent], dataset: str, digest_of: Mapping[str, str], labels: Sequence[str], multi_label: bool
) -> dict[str, Verdict]:
    """Return the reviewers' verdict on each text of a data set, by digest. Texts without an answer are absent.

    ``events``: events of a log, in its order. ``digest_of``: digests of the records in them. Majority and ties are
    decided as in ``labels.resolve``: the label with the most votes, or, multi-label, each label that more than half of
    the answers name.
    """
    ours = [
        replace(event, record_id=digest_of[event.record_id])
        for event in events
        if event.dataset == dataset and event.record_id in digest_of
    ]
    events_of = by_record(ours)
    decided: dict[str, Verdict] = {}
    for digest, resolved in resolve(ours, labels, multi_label).items():
        votes = [vote for vote in standing(events_of[digest]).values() if vote.event is resolved.kind]
        if votes:
            who = tuple(sorted({vote.annotator or vote.source for vote in votes}))
            when = max((vote.response_updated_at for vote in votes if vote.response_updated_at), default=None)
            decided[digest] = Verdict(resolved.labels, resolved.disputed, who, when)
    return decided


def precision(shown: Mapping[str, Labels], found: Mapping[str, Verdict]) -> Precision:
    """Count the outcomes. ``shown``: given labels of the shown texts, by digest; ``found``: the verdicts, by digest."""
    counts = Counter(found[digest].outcome(given) for digest, given in shown.items() if digest in found)
    return Precision(
        shown=len(shown),
        reviewed=counts[Outcome.CONFIRMED] + counts[Outcome.CHANGED],
        changed=counts[Outcome.CHANGED],
        discarded=counts[Outcome.DISCARDED],
        disputed=counts[Outcome.DISPUTED],
    )
