"""The gate: whether a candidate may serve."""

from __future__ import annotations

import numpy as np
from scipy.stats import binomtest

from tornio.arrays import BoolVector
from tornio.schemas.task import GateVerdict
from tornio.spec import GateSpec


def judge(
    candidate_correct: BoolVector | None,
    current_correct: BoolVector | None,
    best_rival: tuple[str, float] | None,
    gates: GateSpec,
    integrity_error: str | None,
) -> GateVerdict:
    """The verdict on a candidate from its hold-out answers.

    ``candidate_correct``, ``current_correct``: bool [n], which hold-out records each answers rightly, in one order;
    ``current`` is None where nothing serves yet. ``best_rival``: the version, of ``current`` and the last that have
    been promoted (not of all that ever were: each is loaded to be judged), with the highest accuracy on the same
    records. A broken candidate is always refused. Below ``gates.min_holdout``
    labels what would refuse is a warning.
    """
    if integrity_error is not None:
        return GateVerdict(promoted=False, integrity=False, reasons=(integrity_error,))
    candidate = np.zeros(0, dtype=bool) if candidate_correct is None else candidate_correct
    findings = [_significantly_worse(candidate, current_correct, gates), _too_far_below(candidate, best_rival, gates)]
    objections = tuple(finding for finding in findings if finding is not None)
    if len(candidate) < gates.min_holdout:
        few = f"{len(candidate)} hold-out labels, {gates.min_holdout} asked: too few to refuse a candidate by its score"
        return GateVerdict(promoted=True, integrity=True, reasons=(few,), warnings=objections)
    if objections:
        return GateVerdict(promoted=False, integrity=True, reasons=objections)
    passed = f"{candidate.mean():.3f} right of {len(candidate)} hold-out labels, and not worse than what served"
    return GateVerdict(promoted=True, integrity=True, reasons=(passed,))


def mcnemar_p(candidate_correct: BoolVector, current_correct: BoolVector) -> float:
    """One-sided exact p-value that the candidate is no worse than current; 1.0 where they never differ.

    Of the records that only one of them answers rightly, each falls to current with chance 1/2 if the two are equally
    good. Source: McNemar (1947), with the exact binomial distribution of its discordant pairs.
    """
    lost = int((current_correct & ~candidate_correct).sum())
    won = int((candidate_correct & ~current_correct).sum())
    return float(binomtest(lost, lost + won, alternative="greater").pvalue) if lost + won else 1.0


def _significantly_worse(candidate: BoolVector, current: BoolVector | None, gates: GateSpec) -> str | None:
    if current is None:
        return None
    p = mcnemar_p(candidate, current)
    if p >= gates.significance:
        return None
    lost, won = int((current & ~candidate).sum()), int((candidate & ~current).sum())
    return (
        f"significantly worse than current: {lost} hold-out answers lost, {won} won "
        f"(one-sided exact McNemar test, p {p:.4f} < {gates.significance})"
    )


def _too_far_below(candidate: BoolVector, rival: tuple[str, float] | None, gates: GateSpec) -> str | None:
    if rival is None or not len(candidate):
        return None
    name, best = rival
    mine = float(candidate.mean())
    if mine >= best - gates.max_drop - 1e-9:  # a drop of exactly max_drop passes, whatever floats make of it
        return None
    return f"accuracy {mine:.3f} is more than {gates.max_drop} below {best:.3f}, which promoted version {name} reaches"
