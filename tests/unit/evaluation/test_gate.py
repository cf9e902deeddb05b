"""The gate: who is refused, who is not, and how often each is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.gate_errors import refused
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
    verdict = judge(None, None, {}, GATES, integrity_error="a blob is not what its digest says")
    assert not verdict.promoted
    assert not verdict.integrity
    assert verdict.reasons == ("a blob is not what its digest says",)


def test_the_first_version_has_nobody_to_be_worse_than() -> None:
    assert judge(answers(60, 50), None, {}, GATES, None).promoted


def test_few_labels_only_warn() -> None:
    verdict = judge(answers(49, 30), answers(49, 0), {"v1": answers(49, 0)}, GATES, None)
    assert verdict.promoted
    assert verdict.integrity
    assert len(verdict.warnings) == 2
    assert "49 hold-out labels" in verdict.reasons[0]


def test_no_label_at_all_only_warns() -> None:
    nothing = np.zeros(0, dtype=bool)
    assert judge(None, None, {}, GATES, None).promoted
    assert judge(nothing, nothing, {"v1": nothing}, GATES, None).promoted


def test_from_fifty_on_a_significant_loss_refuses() -> None:
    verdict = judge(answers(50, 4), answers(50, 0), {}, GATES, None)
    assert not verdict.promoted
    assert verdict.integrity
    assert "4 hold-out answers lost, 0 won" in verdict.reasons[0]
    assert judge(answers(50, 3), answers(50, 0), {}, GATES, None).promoted  # p = 1/16


def test_the_level_is_shared_with_the_comparisons_with_former_versions() -> None:
    """4 lost, 0 won has p 1/32: below 5 %, and above the half of it that current has beside former versions."""
    same = answers(50, 4)
    assert not judge(same, answers(50, 0), {}, GATES, None).promoted
    assert judge(same, answers(50, 0), {"v1": same}, GATES, None).promoted
    assert not judge(answers(50, 5), answers(50, 0), {"v1": same}, GATES, None).promoted


def test_small_losses_do_not_add_up() -> None:
    """Each a point and a half below the last, none significantly. What was promoted first is a good deal better."""
    n = 200
    steps = {f"v{i}": answers(n, 20 + 3 * i) for i in range(3)}
    assert judge(answers(n, 29), steps["v2"], {"v0": steps["v0"], "v1": steps["v1"]}, GATES, None).reasons == (
        "accuracy 0.855 is more than 0.02 below 0.900, that of promoted version v0, and this is no chance "
        "(one-sided McNemar test, p 0.0010 < 0.0125)",
    )
    assert judge(answers(n, 25), steps["v2"], {"v0": steps["v0"], "v1": steps["v1"]}, GATES, None).promoted


def test_a_significant_loss_within_max_drop_of_a_former_version_passes() -> None:
    n = 2000
    assert judge(answers(n, 240), answers(n, 240), {"v1": answers(n, 200)}, GATES, None).promoted  # exactly 2 points
    assert not judge(answers(n, 242), answers(n, 242), {"v1": answers(n, 200)}, GATES, None).promoted


def test_a_gap_that_may_be_chance_passes_however_large_it_looks() -> None:
    """Eight points of accuracy on 50 texts, but two won beside six lost."""
    candidate, other = answers(50, 6), np.ones(50, dtype=bool)
    other[-2:] = False
    verdict = judge(candidate, other, {"v1": other}, GATES, None)
    assert verdict.promoted
    assert mcnemar_p(candidate, other) > 0.05


def test_the_score_of_several_labels_is_called_an_exact_match() -> None:
    verdict = judge(answers(200, 40), None, {"v1": answers(200, 0)}, GATES, None, multi_label=True)
    assert verdict.reasons[0].startswith("exact match 0.800 is more than 0.02 below 1.000")


@pytest.mark.parametrize(
    ("lost", "won", "p"), [(0, 0, 1.0), (5, 0, 1 / 64), (0, 5, 63 / 64), (3, 1, 1 / 16 + 4 / 32), (2, 2, 1 / 2)]
)
def test_mcnemar_by_hand(lost: int, won: int, p: float) -> None:
    candidate, current = np.ones(20, dtype=bool), np.ones(20, dtype=bool)
    candidate[:lost] = False
    current[lost : lost + won] = False
    assert mcnemar_p(candidate, current) == pytest.approx(p)


@pytest.mark.parametrize("former", [0, 10])
def test_equally_good_candidates_are_refused_no_more_often_than_stated(former: int) -> None:
    for n in (50, 400):
        assert refused(n, 0.0, former, trials=300) <= GATES.significance + 0.03


def test_a_disaster_is_stopped_at_fifty_labels_and_five_points_at_four_hundred() -> None:
    assert refused(50, 0.2, former=3, trials=300) > 0.8
    assert refused(100, 0.2, former=3, trials=100) > 0.95
    assert refused(400, 0.05, former=3, trials=300) > 0.75
