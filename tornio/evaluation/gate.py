"""The gate: decide whether a candidate may be deployed.

A candidate is compared with each version that was deployed on the same hold-out texts, and is refused on evidence that
it is worse, never because of its score alone. ``bench/gate_errors.py`` measures how often that is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from scipy.stats import binom

from tornio.arrays import BoolVector
from tornio.metricnames import main_metric, shown
from tornio.schemas.task import GateVerdict
from tornio.spec import GateSpec


def judge(
    candidate_correct: BoolVector | None,
    current_correct: BoolVector | None,
    former: Mapping[str, BoolVector],
    gates: GateSpec,
    integrity_error: str | None,
    multi_label: bool = False,
) -> GateVerdict:
    """Return the verdict on a candidate from its predictions on the hold-out.

    ``candidate_correct``, ``current_correct``: bool [n], which hold-out records each predicts correctly, in the same
    order; ``current_correct`` is None if no version is deployed yet. ``former``: the same of each version that was
    promoted before, by its name (of the last ones, because each is loaded to be evaluated). A broken candidate is
    always refused. With fewer than ``gates.min_holdout`` labels, reasons to refuse are only warnings.

    ``gates.significance`` is the chance, at most, that a candidate as good as all the others is refused. Half of it
    goes to ``current``, and half is shared by the former versions (Bonferroni); without these, ``current`` has it all.
    """
    if integrity_error is not None:
        return GateVerdict(promoted=False, integrity=False, reasons=(integrity_error,))
    candidate = np.zeros(0, dtype=bool) if candidate_correct is None else candidate_correct
    objections = tuple(_objections(candidate, current_correct, former, gates, shown(main_metric(multi_label))))
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


def mcnemar_p(candidate_correct: BoolVector, other_correct: BoolVector) -> float:
    """Return the one-sided mid-p value of "the candidate is no worse than the other"; 1.0 if they never differ.

    Of the records that only one of them predicts correctly, each is the other's with probability 1/2 if the two are
    equally good. Sources: McNemar (1947), with the binomial distribution of its discordant pairs; Fagerland, Lydersen
    and Laake (2013), "The McNemar test for binary matched-pairs data": the mid-p version keeps its level in practice,
    where the exact one is far below it with few pairs, and so misses real drops.
    """
    lost, won = _discordant(candidate_correct, other_correct)
    if not lost + won:
        return 1.0
    return float(binom.sf(lost, lost + won, 0.5) + 0.5 * binom.pmf(lost, lost + won, 0.5))


def _objections(
    candidate: BoolVector, current: BoolVector | None, former: Mapping[str, BoolVector], gates: GateSpec, metric: str
) -> Iterator[str]:
    level = gates.significance / 2 if former else gates.significance
    if current is not None and (p := mcnemar_p(candidate, current)) < level:
        lost, won = _discordant(candidate, current)
        yield (
            f"significantly worse than current: {lost} hold-out answers lost, {won} won "
            f"(one-sided McNemar test, p {p:.4f} < {level:g})"
        )
    level = gates.significance / 2 / max(1, len(former))
    # Sorted by score: the reason names the best version that it is too far below.
    for name, correct in sorted(former.items(), key=lambda item: -item[1].sum()):
        drop = float(correct.mean() - candidate.mean()) if len(candidate) else 0.0
        too_far = drop > gates.max_drop + 1e-9  # a drop of exactly max_drop passes despite floating-point error
        if too_far and (p := mcnemar_p(candidate, correct)) < level:
            yield (
                f"{metric} {candidate.mean():.3f} is more than {gates.max_drop} below {correct.mean():.3f}, that of "
                f"promoted version {name}, and this is no chance (one-sided McNemar test, p {p:.4f} < {level:.4f})"
            )
            return


def _discordant(candidate: BoolVector, other: BoolVector) -> tuple[int, int]:
    """Return how many records only the other, and how many only the candidate predicts correctly."""
    return int((other & ~candidate).sum()), int((candidate & ~other).sum())
