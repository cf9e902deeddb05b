"""The gate: who is refused, who is not, and how often each is wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from tornio.evaluation import judge
from tornio.evaluation.gate import mcnemar_p
from tornio.spec import GateSpec

pytestmark = pytest.mark.unit

GATES = GateSpec()
Correct = NDArray[np.bool_]


def answers(n: int, wrong: int) -> Correct:
    """The first ``wrong`` of n records answered wrongly."""
    return np.arange(n) >= wrong


def test_a_broken_candidate_is_refused_whatever_its_score() -> None:
    verdict = judge(None, None, None, GATES, integrity_error="a blob is not what its digest says")
    assert not verdict.promoted
    assert not verdict.integrity
    assert verdict.reasons == ("a blob is not what its digest says",)


def test_the_first_version_has_nobody_to_be_worse_than() -> None:
    assert judge(answers(60, 50), None, None, GATES, None).promoted


def test_few_labels_only_warn() -> None:
    verdict = judge(answers(49, 30), answers(49, 0), ("v1", 1.0), GATES, None)
    assert verdict.promoted
    assert verdict.integrity
    assert len(verdict.warnings) == 2
    assert "49 hold-out labels" in verdict.reasons[0]


def test_no_label_at_all_only_warns() -> None:
    for nothing in (None, np.zeros(0, dtype=bool)):
        assert judge(nothing, nothing, None, GATES, None).promoted


def test_from_fifty_on_a_significant_loss_refuses() -> None:
    verdict = judge(answers(50, 5), answers(50, 0), None, GATES, None)
    assert not verdict.promoted
    assert verdict.integrity
    assert "5 hold-out answers lost, 0 won" in verdict.reasons[0]
    assert judge(answers(50, 4), answers(50, 0), None, GATES, None).promoted  # p = 1/16


def test_small_losses_do_not_add_up() -> None:
    """Each a point below the last, none significantly: two points below the best is the limit."""
    n, best = 200, ("v3", 0.90)
    assert judge(answers(n, 24), answers(n, 22), best, GATES, None).promoted  # .88: exactly at the limit
    verdict = judge(answers(n, 26), answers(n, 24), best, GATES, None)  # .87
    assert not verdict.promoted
    assert "v3" in verdict.reasons[0]
    assert "0.870" in verdict.reasons[0]


@pytest.mark.parametrize(("lost", "won", "p"), [(0, 0, 1.0), (5, 0, 1 / 32), (0, 5, 1.0), (3, 1, 5 / 16)])
def test_mcnemar_by_hand(lost: int, won: int, p: float) -> None:
    candidate, current = np.ones(20, dtype=bool), np.ones(20, dtype=bool)
    candidate[:lost] = False
    current[lost : lost + won] = False
    assert mcnemar_p(candidate, current) == pytest.approx(p)


@dataclass(frozen=True)
class Rates:
    """How often the gate refuses, and how often its test alone does."""

    gate: float
    test: float


def refusals(n: int, lost: float, won: float, trials: int = 500) -> Rates:
    """``lost``, ``won``: the chance that a record is one that only current, or only the candidate, answers rightly.

    Three of four records both answer rightly; current is also the best that was promoted.
    """
    random = np.random.default_rng(7)
    gate = test = 0
    for _ in range(trials):
        draw = random.random(n)
        candidate = (draw >= lost) & (draw < 0.75 + won + lost)
        current = (draw < lost) | ((draw >= lost + won) & (draw < 0.75 + won + lost))
        gate += not judge(candidate, current, ("best", float(current.mean())), GATES, None).promoted
        test += mcnemar_p(candidate, current) < GATES.significance
    return Rates(gate / trials, test / trials)


def test_rates_of_right_and_wrong_refusals(capsys: pytest.CaptureFixture[str]) -> None:
    """Two versions that disagree on 10 % of the records and are equally good, and one that is 8 points worse."""
    rates = {n: (refusals(n, 0.05, 0.05), refusals(n, 0.09, 0.01)) for n in (50, 100, 200, 400)}
    lines = [f"{'refusals':12}{'equal: gate':>12}{'test':>8}{'8 points worse: gate':>22}{'test':>8}"]
    for n, (equal, worse) in rates.items():
        lines.append(f"{n:5} labels{equal.gate:12.3f}{equal.test:8.3f}{worse.gate:22.3f}{worse.test:8.3f}")
    with capsys.disabled():
        print("", *lines, sep="\n")  # noqa: T201
    for n, (equal, worse) in rates.items():
        assert equal.test <= GATES.significance + 0.02  # the exact test keeps its level
        assert worse.gate > 0.85 if n >= 100 else worse.gate > 0.75
    assert rates[50][1].gate > rates[50][1].test + 0.3  # the two points refuse what the test cannot see yet
    assert rates[400][1].gate > 0.99
    assert rates[400][0].gate < rates[100][0].gate  # more labels, fewer wrong refusals
