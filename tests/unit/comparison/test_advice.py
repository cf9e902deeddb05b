"""Bands, the recommendation, and what more labels would bring."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tornio.comparison.advice import band, next_labels, summarise, use_now
from tornio.comparison.page import ComparisonPage, render
from tornio.schemas.comparison import Cell, CellResult, Contender

pytestmark = pytest.mark.unit


def cell(name: str, size: int, seed: int, score: float | None, seconds: float = 1.0, error: str = "") -> CellResult:
    return CellResult(
        cell=Cell(contender=Contender(name=name, method="m"), size=size, seed=seed),
        texts=size,
        judged=100,
        micro_f1=score,
        macro_f1=score,
        seconds=seconds,
        error=error or None,
    )


def curve(name: str, scores: dict[int, list[float]], seconds: float = 1.0) -> list[CellResult]:
    return [cell(name, size, seed, s, seconds) for size, each in scores.items() for seed, s in enumerate(each)]


def test_the_band_is_student_s() -> None:
    values = [0.7, 0.8, 0.75, 0.72]
    low, high = stats.t.interval(0.9, 3, np.mean(values), stats.sem(values))
    found = band(values)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert (band([0.7]).low, band([0.5, 1.0]).high) == (None, 1.0)


def test_the_best_is_used_and_it_is_said_when_intervals_tell_it_apart() -> None:
    results = [*curve("good", {8: [0.8, 0.82, 0.81]}, 9.0), *curve("bad", {8: [0.5, 0.52, 0.53]})]
    assert use_now(results).startswith("Use good now: micro F1 0.810")
    assert "differences to the others exclude 0" in use_now(results)


def test_those_that_cannot_be_told_apart_are_named_and_how_much_faster_they_are() -> None:
    results = [*curve("slow", {8: [0.8, 0.7, 0.78]}, 60.0), *curve("fast", {8: [0.75, 0.74, 0.77]}, 1.0)]
    assert use_now(results).startswith("Use slow now")
    assert "cannot tell it apart from: fast (0.753, 60 times as fast)" in use_now(results)


def test_wide_intervals_do_not_make_the_cheapest_the_best() -> None:
    results = [*curve("good", {8: [0.95, 0.7]}, 9.0), *curve("majority", {8: [0.4, 0.4]}, 0.1)]
    assert use_now(results).startswith("Use good now")


def test_one_lucky_seed_is_not_the_best() -> None:
    lucky = [cell("lucky", 8, 0, 0.9), cell("lucky", 8, 1, None, error="no"), cell("lucky", 8, 2, None, error="no")]
    assert use_now([*lucky, *curve("steady", {8: [0.8, 0.8, 0.8]})]).startswith("Use steady now")


def test_contenders_that_failed_with_a_seed_are_named_and_nothing_is_said_of_them() -> None:
    failed = [cell("A", 8, 0, 0.8), cell("A", 8, 1, 0.7), cell("A", 8, 2, None, error="no")]
    dead = [cell("dead", 8, seed, None, error="no") for seed in range(3)]
    said = use_now([*failed, *dead, *curve("majority", {8: [0.3, 0.3, 0.3]})])
    assert said.startswith("Use majority now: micro F1 0.300")
    assert said.endswith("Left out, because fewer of their trainings succeeded: A (2 of 3), dead (0 of 3).")
    assert "others" not in said, "there is none that is compared"
    said = use_now([*failed, *curve("majority", {8: [0.3, 0.3, 0.3]}), *curve("bad", {8: [0.1, 0.12, 0.11]})])
    assert "differences to the others exclude 0. Left out" in said


def test_a_failure_with_fewer_labels_leaves_nobody_out() -> None:
    early = [cell("A", 4, seed, None, error="no") for seed in range(2)]
    assert "Left out" not in use_now([*early, *curve("A", {8: [0.8, 0.7]}), *curve("B", {8: [0.3, 0.3]})])


def test_contenders_that_failed_with_different_seeds_cannot_be_told_apart() -> None:
    a = [cell("A", 8, 0, 0.8), cell("A", 8, 1, 0.82), cell("A", 8, 2, None, error="no")]
    b = [cell("B", 8, 0, None, error="no"), cell("B", 8, 1, 0.5), cell("B", 8, 2, 0.5)]
    said = use_now([*a, *b])
    assert said.startswith("Use A now")
    assert "cannot tell it apart from: B (0.500)" in said


def test_one_seed_shows_nothing_for_sure() -> None:
    results = [cell("slow", 8, 0, 0.8, 60.0), cell("fast", 8, 0, 0.3)]
    assert "Use slow now" in use_now(results)
    assert "One seed" in use_now(results)


def test_labels_bring_a_teacher_nothing() -> None:
    results = [cell("teacher", 0, seed, 0.9).evolve(texts=0) for seed in range(2)]
    results += curve("weak", {8: [0.5, 0.5], 16: [0.6, 0.6], 32: [0.7, 0.7]})
    assert use_now(results).startswith("Use teacher now")
    assert "teacher learns from no label" in next_labels(results)


def test_without_a_result_nothing_is_recommended() -> None:
    results = [cell("a", 8, 0, None, error="out of memory")]
    assert use_now(results).startswith("Nothing can be recommended")
    assert "no training succeeded" in next_labels(results)
    (row,) = summarise(results)
    assert (row.micro_f1, row.errors) == (None, ("out of memory",))


def test_a_power_law_is_continued() -> None:
    sizes = (50, 100, 200, 400)
    results = curve("a", {size: [1 - 2 * size**-0.5] * 2 for size in sizes})
    gain = 100 * (2 * 400**-0.5 - 2 * 500**-0.5)
    assert f"by {gain:+.1f} points (90 %: {gain:+.1f} to {gain:+.1f})" in next_labels(results)


def test_two_sizes_are_no_curve() -> None:
    assert "cannot be said" in next_labels(curve("a", {8: [0.5], 16: [0.6]}))


def test_the_page_shows_each_contender_and_escapes_their_names() -> None:
    results = [
        *curve("<b>a</b>", {8: [0.5, 0.6], 16: [0.7, 0.8]}),
        cell("teacher", 0, 0, 0.4),
        cell("x", 8, 0, None, error="no <i>"),
    ]
    rows = summarise(results)
    page = render(ComparisonPage("w/t", "Judged.", rows, use_now(results), next_labels(results), True, 2))
    assert "<b>a</b>" not in page
    assert "&lt;b&gt;a&lt;/b&gt;" in page
    assert page.count("<svg") == 1
    assert "x, 8: no &lt;i&gt;" in page
    assert "0.750 ±" in page


def test_a_baseline_is_never_what_to_use_and_is_named_where_it_is_better() -> None:
    def neighbours(seed: int, score: float) -> CellResult:
        one = cell("5-NN", 8, seed, score, seconds=0.1)
        return one.evolve(cell=one.cell.evolve(contender=Contender(name="5-NN", baseline="nearest-neighbours")))

    results = [cell("a", 8, seed, 0.8) for seed in range(3)]
    alike = use_now([*results, *(neighbours(seed, 0.8) for seed in range(3))])
    assert alike.startswith("Use a now")
    assert "cannot tell it apart from: 5-NN" in alike
    better = use_now([*results, *(neighbours(seed, 0.9) for seed in range(3))])
    assert better.startswith("Use a now")
    assert "no training method makes it: 5-NN (0.900)" in better
