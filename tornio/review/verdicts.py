"""What annotators say of reviewed texts. Pure."""

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
    """What a review means for the label that a row was given."""

    UNREVIEWED = "unreviewed"
    CONFIRMED = "confirmed"
    CHANGED = "changed"
    DISCARDED = "discarded"
    """No label fits: the given one stays, for the reader of the corrected set to decide."""
    DISPUTED = "disputed"
    """Reviewers disagree, none has most votes: the given label stays."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``labels``: the right ones, None where the reviewers discard or disagree. ``who``: whose answers stand;
    ``when``: the latest of them, by the annotation tool's clock."""

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
    """What the reviewers in a data set say of each text, by its digest; texts of which nobody says anything are absent.

    ``events``: of a log, in its order. ``digest_of``: of the records that they speak of. Majority and ties as in
    ``labels.resolve``: one label that has most votes, or each of several that more than half of the answers name.
    """
    ours = [
        replace(event, record_id=digest_of[event.record_id])
        for event in events
        if event.dataset == dataset and event.record_id in digest_of
    ]
    said = by_record(ours)
    found: dict[str, Verdict] = {}
    for digest, resolved in resolve(ours, labels, multi_label).items():
        votes = [vote for vote in standing(said[digest]).values() if vote.event is resolved.kind]
        if votes:
            who = tuple(sorted({vote.annotator or vote.source for vote in votes}))
            when = max((vote.response_updated_at for vote in votes if vote.response_updated_at), default=None)
            found[digest] = Verdict(resolved.labels, resolved.disputed, who, when)
    return found


def precision(shown: Mapping[str, Labels], found: Mapping[str, Verdict]) -> Precision:
    """Of the shown texts: their given labels by digest, and what is said of them."""
    counts = Counter(found[digest].outcome(given) for digest, given in shown.items() if digest in found)
    return Precision(
        shown=len(shown),
        reviewed=counts[Outcome.CONFIRMED] + counts[Outcome.CHANGED],
        changed=counts[Outcome.CHANGED],
        discarded=counts[Outcome.DISCARDED],
        disputed=counts[Outcome.DISPUTED],
    )
