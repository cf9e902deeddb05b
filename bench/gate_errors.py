"""How often the gate is wrong: refusals of candidates that are as good as what was deployed, and missed real drops.

    python -m bench.gate_errors [--trials 2000]

Each version answers 85 % of the texts rightly, and two equally good versions disagree on about 12 % in whether they do.
The candidate's true score is lower by the drop. It is judged by the gate itself, with its default settings.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tornio.evaluation import judge
from tornio.spec import GateSpec

ACCURACY = 0.85
DISAGREE = 0.06
"""Share of the texts on which a version differs from what all versions have in common."""
SIZES = (50, 100, 200, 400)
DROPS = (0.0, 0.05, 0.1, 0.2)
FORMER = (0, 3, 10)

Correct = NDArray[np.bool_]


def refused(n: int, drop: float, former: int, trials: int, seed: int = 7) -> float:
    """Return the share of the trials in which the gate refuses a candidate whose true score is lower by ``drop``.

    ``n``: hold-out labels. ``former``: how many former versions it is compared with, beside ``current``.
    """
    random, gates, refusals = np.random.default_rng(seed), GateSpec(), 0
    for _ in range(trials):
        common = random.random(n) < ACCURACY
        candidate, current = _version(common, drop, random), _version(common, 0.0, random)
        others = {f"v{i}": _version(common, 0.0, random) for i in range(former)}
        refusals += not judge(candidate, current, others, gates, None).promoted
    return refusals / trials


def _version(common: Correct, drop: float, random: np.random.Generator) -> Correct:
    """Return which texts a version answers rightly: as all versions do, but for some that it loses and some it wins."""
    draw = random.random(len(common))
    loses = draw < (DISAGREE / 2 + drop) / ACCURACY
    wins = draw < DISAGREE / 2 / (1 - ACCURACY)
    return np.where(common, ~loses, wins)


def table(trials: int, former: Sequence[int] = FORMER) -> list[str]:
    """Return the table of ``docs/operating.md``."""
    head = " | ".join("equally good" if not drop else f"{round(100 * drop)} points worse" for drop in DROPS)
    lines = [f"| hold-out labels | former versions | {head} |", "|---" * (2 + len(DROPS)) + "|"]
    for n in SIZES:
        for count in former:
            cells = " | ".join(f"{100 * refused(n, drop, count, trials):.1f} %" for drop in DROPS)
            lines.append(f"| {n} | {count} | {cells} |")
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=2000, help="candidates per cell")
    print(*table(parser.parse_args().trials), sep="\n")
