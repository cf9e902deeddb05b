"""How much two models agree beyond chance."""

from __future__ import annotations

from collections.abc import Sequence


def cohen_kappa(first: Sequence[str], second: Sequence[str]) -> float:
    """Cohen's kappa of two models' predictions on the same texts, a string each.

    Source: Cohen (1960), "A Coefficient of Agreement for Nominal Scales". Equal predictions agree wholly: 1.0, also
    where all are one class, for which the formula is 0/0 (small-text has it so, too). Raises ValueError for
    sequences of different length.
    """
    from sklearn.metrics import cohen_kappa_score  # seconds that every start of a job would wait

    if len(first) != len(second):
        raise ValueError(f"{len(first)} predictions against {len(second)}: give both models the same texts")
    return 1.0 if list(first) == list(second) else float(cohen_kappa_score(list(first), list(second)))
