"""Strategies that ask where several models disagree."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tornio.arrays import DoubleArray
from tornio.models.decide import decide
from tornio.query.candidates import Candidates
from tornio.query.port import Selection
from tornio.query.strategies.uncertainty import chosen
from tornio.query.vectors import Bounded, drawn, highest, plogp
from tornio.spec import setting

Votes = NDArray[np.float32]


class CommitteeSettings(Bounded):
    """The settings of a committee of models."""

    members: int = setting(
        10, unit="models", change="live", ge=2, le=100, doc="How many models or passes disagree. Default 10."
    )


class BaldSettings(CommitteeSettings):
    """The settings of ``bald``."""

    source: Literal["committee", "dropout"] = setting(
        "committee",
        change="live",
        doc="What disagrees. committee: heads that each weigh the labelled texts otherwise. dropout: stochastic passes "
        "of the newest version. Default committee, since a linear head has no layers below it to drop out.",
    )


class QueryByCommitteeSettings(CommitteeSettings):
    """The settings of ``query-by-committee``."""

    measure: Literal["vote-entropy", "divergence"] = setting(
        "vote-entropy",
        change="live",
        doc="vote-entropy: the entropy of the members' labels. divergence: the mean Kullback-Leibler divergence of a "
        "member from the mean. Default vote-entropy.",
    )


class _Disagreement(ABC):
    """Picks the texts on which the members of a committee disagree most. Of equals, the first in the pool wins.

    Disagreement is float64 [m] of the members' probabilities, float32 [members, m, K].
    """

    reads_pool = True

    def select(self, candidates: Candidates, n: int, seed: int) -> Selection:
        positions = drawn(candidates, n, seed)
        return chosen(candidates, positions[highest(self.disagreement(candidates.take(positions), seed), n)])

    @abstractmethod
    def disagreement(self, candidates: Candidates, seed: int) -> DoubleArray: ...


class Bald(_Disagreement):
    """Picks by the mutual information of the label and the model: see ``mutual_information``.

    Source: Houlsby et al. (2011), "Bayesian Active Learning for Classification and Preference Learning", section 2.1;
    for networks, Gal, Islam and Ghahramani (2017), "Deep Bayesian Active Learning with Image Data", ICML. Unlike there,
    the models are by default heads that weigh the labelled texts otherwise (the Bayesian bootstrap, Rubin 1981).
    Dropout on the input of a linear head measures the length of the vector rather than what the labels leave open.
    """

    settings = BaldSettings

    def disagreement(self, candidates: Candidates, seed: int) -> DoubleArray:
        members = candidates.settings.members
        by_dropout = candidates.settings.source == "dropout"
        votes = candidates.samples(members, seed) if by_dropout else candidates.committee(members, seed)
        return mutual_information(votes, candidates.multi_label)


class QueryByCommittee(_Disagreement):
    """Picks by the disagreement of a committee: see ``vote_entropy``; ties, of which votes have many, are broken by the
    divergence.

    Source: Seung, Opper and Sompolinsky (1992), "Query by Committee", COLT; vote entropy: Dagan and Engelson (1995),
    "Committee-Based Sampling for Training Probabilistic Classifiers", ICML, section 4; divergence: McCallum and Nigam
    (1998), "Employing EM and Pool-Based Active Learning for Text Classification", ICML, section 3.
    """

    settings = QueryByCommitteeSettings

    def disagreement(self, candidates: Candidates, seed: int) -> DoubleArray:
        votes = candidates.committee(candidates.settings.members, seed)
        divergence = mutual_information(votes, candidates.multi_label)
        if candidates.settings.measure == "divergence":
            return divergence
        return vote_entropy(votes, candidates.multi_label) + 1e-6 * divergence


def mutual_information(votes: Votes, multi_label: bool) -> DoubleArray:
    """float64 [m]: the entropy of the mean prediction minus the mean entropy, in nats, of votes [members, m, K].

    It equals the mean Kullback-Leibler divergence of a member's prediction from the mean one. With several labels
    allowed it is the sum over the labels, each a yes-or-no question.
    """
    mean = np.zeros(votes.shape[1:])
    inner = np.zeros(votes.shape[1])
    for vote in votes:
        mean += vote
        inner += _nats(vote, multi_label)
    members = max(1, len(votes))
    return np.asarray(np.maximum(_nats(mean / members, multi_label) - inner / members, 0.0))


def vote_entropy(votes: Votes, multi_label: bool) -> DoubleArray:
    """float64 [m]: the entropy of the labels that the members choose, in nats. Summed over the labels where several are
    allowed, each of which is voted on with yes or no."""
    shares = np.mean([decide(vote, multi_label) for vote in votes], axis=0)
    return _nats(shares, multi_label)


def _nats(p: Votes | DoubleArray, multi_label: bool) -> DoubleArray:
    p = np.asarray(p, dtype=np.float64)
    summed = plogp(p) + plogp(1.0 - p) if multi_label else plogp(p)
    return np.asarray(summed.sum(axis=1))
