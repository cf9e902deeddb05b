"""The gate: decide whether a candidate may be deployed."""

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
    """Return the verdict on a candidate from its predictions on the hold-out.

    ``candidate_correct``, ``current_correct``: bool [n], which hold-out records each predicts correctly, in the same
    order; ``current_correct`` is None if no version is deployed yet. ``best_rival``: the version with the highest
    accuracy on the same records, among ``current`` and the last promoted ones (not all that ever were, because each is
    loaded to be evaluated). A broken candidate is always refused. With fewer than ``gates.min_holdout`` labels,
    reasons to refuse are only warnings.
    """
    if integrity_error is not None:
        return GateVerdict(promoted=False, integrity=False, reasons=(integrity_error,))
    candidate = np.zeros(0, dtype=bool) if candidate_correct is None else candidate_correct
    findings = [_significantly_worse(candidate, current_correct, gates), _too_far_below(candidate, best_rival, gates)]
    objections = tuple(finding for finding in findings if finding is not None)
    if len(candidate) < gates.min_holdout:
        few = (
            f"only {len(candidate)} hold-out labels of the {gates.min_holdout} that are needed to refuse a candidate "
            "by its score"
        )
        return GateVerdict(promoted=True, integrity=True, reasons=(few,), warnings=objections)
    if objections:
        return GateVerdict(promoted=False, integrity=True, reasons=objections)
    passed = f"{candidate.mean():.3f} of {len(candidate)} hold-out labels are correct, not worse than what was deployed"
    return GateVerdict(promoted=True, integrity=True, reasons=(passed,))


def mcnemar_p(candidate_correct: BoolVector, current_correct: BoolVector) -> float:
    """Return the one-sided exact p-value of "the candidate is no worse than current"; 1.0 if they never differ.

    Of the records that only one of them predicts correctly, each is current's with probability 1/2 if the two are
    equally good. Source: McNemar (1947), with the exact binomial distribution of its discordant pairs.
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
    accuracy = float(candidate.mean())
    if accuracy >= best - gates.max_drop - 1e-9:  # a drop of exactly max_drop passes despite floating-point error
        return None
    return f"accuracy {accuracy:.3f} is more than {gates.max_drop} below {best:.3f}, that of promoted version {name}"
