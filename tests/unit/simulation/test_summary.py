"""What replays show: labels saved, points gained, and stops."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornio.schemas.simulation import Arm, Point, ReplayResult
from tornio.simulation.page import SimulationPage, render
from tornio.simulation.summary import (
    conclusion,
    curves,
    failures,
    isotonic,
    labels_saved,
    needed,
    points_gained,
    savings,
    stops,
)

pytestmark = pytest.mark.unit

RANDOM = Arm(name="random", strategy="random", cold_start="random", kind="few-shot", batch_size=20)
TIES = RANDOM.evolve(name="breaking-ties", strategy="breaking-ties")
scores = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def replayed(arm: Arm, values: Sequence[float], seed: int = 0, **more: object) -> ReplayResult:
    points = tuple(Point(labels=20 * (n + 1), micro_f1=score, macro_f1=score / 2) for n, score in enumerate(values))
    return ReplayResult.model_validate({"arm": arm, "seed": seed, "judged": 50, "points": points, **more})


def test_a_strategy_saves_the_labels_that_random_needs_more_for_the_same_score() -> None:
    own, random = replayed(TIES, [0.5, 0.7, 0.8]), replayed(RANDOM, [0.5, 0.6, 0.7])
    assert labels_saved(own, random) == pytest.approx(20)
    assert points_gained(own, random) == pytest.approx(0.2 / 3)


def test_between_two_batches_the_curve_is_a_straight_line() -> None:
    assert needed([20, 40], np.array([0.5, 0.7]), 0.6) == pytest.approx(30)
    assert needed([20, 40, 60], np.array([0.5, 0.7, 0.7]), 0.7) == pytest.approx(40)
    assert needed([20, 40], np.array([0.5, 0.7]), 0.5) == 20


@given(scores, scores)
def test_what_one_saves_the_other_loses(ours: list[float], theirs: list[float]) -> None:
    first, second = replayed(TIES, ours), replayed(RANDOM, theirs)
    assert labels_saved(first, second) == pytest.approx(-labels_saved(second, first))
    assert abs(labels_saved(first, second)) <= 20 * max(len(ours), len(theirs))


@given(scores)
def test_equal_curves_save_nothing(values: list[float]) -> None:
    assert labels_saved(replayed(TIES, values), replayed(RANDOM, values)) == 0


@given(scores)
def test_a_curve_that_never_falls_has_the_same_mean(values: list[float]) -> None:
    found = isotonic(values)
    assert (np.diff(found) >= -1e-12).all()
    assert found.mean() == pytest.approx(np.mean(values))


def test_arms_are_paired_by_seed_and_compared_with_the_random_one_alike() -> None:
    large = RANDOM.evolve(name="random, batches of 50", batch_size=50)
    results = [
        replayed(RANDOM, [0.5, 0.6], seed=0), replayed(RANDOM, [0.4, 0.6], seed=1), replayed(large, [0.1], seed=0),
        replayed(TIES, [0.6, 0.7], seed=0), replayed(TIES, [0.6, 0.8], seed=1),
    ]  # fmt: skip
    (saved,) = savings(results)
    assert (saved.arm, saved.against, saved.seeds) == ("breaking-ties", "random", 2)
    assert saved.points.mean == pytest.approx(0.15)
    assert saved.labels.mean == pytest.approx(20)
    assert "breaking-ties saves 20" in conclusion([saved])
    rows = {(row.arm, row.labels): row.micro_f1.mean for row in curves(results)}
    assert rows["random", 20] == pytest.approx(0.45)


def test_a_failed_replay_counts_nowhere_and_is_named() -> None:
    broken = ReplayResult(arm=TIES, seed=0, error="it is broken")
    assert savings([replayed(RANDOM, [0.5]), broken]) == ()
    assert failures([broken, broken]) == {"breaking-ties": ("it is broken",)}
    assert "Nothing can be said" in conclusion([])


def test_what_cannot_be_told_apart_from_random_is_said_so() -> None:
    results = [
        *(replayed(RANDOM, values, seed) for seed, values in enumerate([[0.5, 0.6], [0.5, 0.7], [0.6, 0.6]])),
        *(replayed(TIES, values, seed) for seed, values in enumerate([[0.6, 0.6], [0.4, 0.7], [0.6, 0.7]])),
    ]
    assert "cannot tell it apart" in conclusion(savings(results))
    worse = [*results[:3], *(replayed(TIES, [0.1, 0.2], seed) for seed in range(3))]
    assert conclusion(savings(worse)).startswith("No strategy saves labels")


def test_of_strategies_that_save_nothing_the_least_bad_is_named_without_praise() -> None:
    worse = [replayed(RANDOM, [0.5, 0.6]), replayed(TIES, [0.4, 0.6])]
    said = conclusion(savings(worse))
    assert said.startswith("No strategy saves labels")
    assert "micro F1 is -5.0 points against it" in said
    assert "better" not in said


def test_stops_tell_in_how_many_seeds_and_where() -> None:
    def watched(seed: int, stopped: dict[str, int]) -> ReplayResult:
        one = replayed(TIES, [0.5, 0.7], seed, stops=stopped)
        points = (one.points[0], one.points[1].evolve(signals={"kappa-average": 0.9, "other": 0.1}))
        return one.evolve(points=points)

    first, second = stops([watched(0, {"kappa-average": 40}), watched(1, {})])
    assert (first.criterion, first.stopped, first.seeds) == ("kappa-average", 1, 2)
    assert first.labels is not None
    assert (first.labels.mean, second.labels) == (40, None)


def test_the_page_shows_everything_and_escapes_what_users_named() -> None:
    results = [replayed(RANDOM, [0.5, 0.6]), replayed(TIES.evolve(name="<b>"), [0.6, 0.7], stops={"kappa-average": 40})]
    saved = savings(results)
    page = render(
        SimulationPage("<data>", "Judged by 5.", curves(results), saved, stops(results), {"<b>": ("&",)},
                       conclusion(saved), 1)
    )  # fmt: skip
    assert "<b>" not in page
    assert "&lt;b&gt;" in page
    assert len(re.findall("<polyline", page)) == 2
