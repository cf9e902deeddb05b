"""How often a trial on live traffic is wrong: refusals of versions as good as ``current``, and missed worse ones.

    python -m bench.trial_errors [--trials 300]

Live texts come at a steady rate for half an hour, and a verdict is asked for every ten seconds, with the default
settings. Each version answers 85 % of the texts rightly, and two equally good ones disagree on about 19 %. The
candidate's true accuracy is lower by the drop, on the live texts alone: the hold-out has not shown it. Its confidences
are lower too where it is wrong, as those of a calibrated version are. Versions state confidences that are up to 5
points too high, each by a number of its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from tornio.loop.live import judge_trial
from tornio.schemas.trial import AgainstCurrent, TrialCounts
from tornio.spec import GateSpec

START = datetime(2026, 1, 1, tzinfo=UTC)
LOOKS, EVERY_S = 180, 10
ACCURACY, LABELS = 0.85, 4
OVERSURE = 0.05
"""Most by which a version's confidences are too high."""
DROPS = (0.0, 0.03, 0.05, 0.1, 0.2)
HOLDOUTS = (100, 400)
RATES = (1, 10)
"""Compared texts a second."""

Numbers = NDArray[np.float64]
Rights = NDArray[np.bool_]


@dataclass(frozen=True)
class Texts:
    """What two versions say about the same texts: whether they are right, how sure they are, whether they agree."""

    right: Rights
    current_right: Rights
    sure: Numbers
    current_sure: Numbers
    agreed: Rights


def said(n: int, drop: float, oversure: tuple[float, float], random: np.random.Generator) -> Texts:
    """Draw texts, each with a difficulty that both versions share in part."""
    ease = random.beta(4.25, 0.75, n)  # mean .85
    chances = [np.clip(ease + random.normal(0, 0.05, n), 0.0, 1.0) for _ in range(2)]
    chances[0] = np.clip(chances[0] - drop, 0.0, 1.0)
    common = random.random(n)
    own = [np.where(random.random(n) < 0.7, common, random.random(n)) for _ in range(2)]
    right, current_right = (draw < chance for draw, chance in zip(own, chances, strict=True))
    wrong_alike = random.random(n) < 1 / (LABELS - 1)
    agreed = np.where(right & current_right, True, ~right & ~current_right & wrong_alike)
    sure, current_sure = (np.clip(chance + more, 0, 1) for chance, more in zip(chances, oversure, strict=True))
    return Texts(right, current_right, sure, current_sure, agreed)


def expected(texts: Texts) -> AgainstCurrent:
    """What the hold-out says about the two versions."""
    error = (texts.right - texts.sure) - (texts.current_right - texts.current_sure)
    n = len(error)
    return AgainstCurrent(
        version="v1", texts=n, agreed=int(texts.agreed.sum()), correction=float(error.mean()),
        variance=float(error.var(ddof=1) / n),
    )  # fmt: skip


def counted(texts: Texts, rate: int) -> Iterator[TrialCounts]:
    """Yield the counts at each look."""
    squares = (texts.sure - texts.current_sure) ** 2
    sums = [np.cumsum(one) for one in (texts.agreed, texts.sure, texts.current_sure, squares)]
    for look in range(1, LOOKS + 1):
        n = look * EVERY_S * rate
        agreed, sure, current_sure, square = (float(one[n - 1]) for one in sums)
        yield TrialCounts(
            texts=n, agreed=round(agreed), confident=n, confidence=sure, current_confidence=current_sure,
            squares=square, calls=n, current_calls=n,
        )  # fmt: skip


def refused(holdout: int, rate: int, drop: float, trials: int, seed: int = 7) -> tuple[float, float]:
    """Return the share of refused candidates, and after how many minutes in the median; NaN without any."""
    random, gates = np.random.default_rng(seed), GateSpec.model_validate({"shadow": True})
    minutes = list[float]()
    for _ in range(trials):
        oversure = (random.uniform(0, OVERSURE), random.uniform(0, OVERSURE))
        against = expected(said(holdout, 0.0, oversure, random))
        live = said(LOOKS * EVERY_S * rate, drop, oversure, random)
        for number, counts in enumerate(counted(live, rate), 1):
            spent = timedelta(seconds=number * EVERY_S)
            if (verdict := judge_trial(counts, against, gates, START, START + spent)) is not None:
                if not verdict.promoted:
                    minutes.append(spent.total_seconds() / 60)
                break
    return len(minutes) / trials, float(np.median(minutes)) if minutes else float("nan")


def table(trials: int) -> list[str]:
    """Return the table of ``docs/canary.md``."""
    head = " | ".join("equally good" if not drop else f"{round(100 * drop)} points worse" for drop in DROPS)
    lines = [f"| hold-out labels | texts a second | {head} |", "|---" * (2 + len(DROPS)) + "|"]
    for holdout in HOLDOUTS:
        for rate in RATES:
            found = [refused(holdout, rate, drop, trials) for drop in DROPS]
            cells = " | ".join(f"{100 * share:.1f} %" + (f", {when:.0f} min" if share else "") for share, when in found)
            lines.append(f"| {holdout} | {rate} | {cells} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=300)
    print("\n".join(table(parser.parse_args().trials)))


if __name__ == "__main__":
    main()
