"""Effect sizes, estimates and alarms, on data whose drift is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from tornio.drift.accuracy import estimated_accuracy
from tornio.drift.counts import Counts, count
from tornio.drift.distances import chance, farthest, shares, total_variation, wasserstein
from tornio.drift.label_shift import estimated_mix
from tornio.drift.reference import Reference, reference
from tornio.drift.report import MIN_HOLDOUT, MIN_TEXTS, compare
from tornio.models.port import Reading
from tornio.schemas.live import LiveReference

pytestmark = pytest.mark.unit
LABELS = ("a", "b", "c")
MIX = (0.5, 0.3, 0.2)
histograms = arrays(np.int64, 6, elements=st.integers(0, 50)).filter(lambda one: one.sum() > 0)


class World:
    """Texts of three labels. A model that is right in eight of ten, and knows how sure it may be."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def texts(
        self, n: int, mix: tuple[float, ...] = MIX, length: int = 50, cut: float = 0.0, sure: float = 1.0
    ) -> tuple[Counts, Reference]:
        """``sure``: factor of the confidence above one third, and of being right."""
        stated = 1 / 3 + sure * (self.random.beta(4, 1, n) * 2 / 3)
        truth = self.random.choice(3, n, p=mix)
        right = self.random.random(n) < stated
        given = np.where(right, truth, (truth + self.random.integers(1, 3, n)) % 3)
        texts = ["x" * int(size) for size in self.random.poisson(length, n)]
        truncated = self.random.random(n) < cut
        reading = Reading(np.full(n, 9), truncated, truncated)
        chosen, true = [(LABELS[i],) for i in given], [(LABELS[i],) for i in truth]
        counts = count(LABELS, chosen, stated, texts, truncated, reading)
        return counts, reference(counts, stated, right, chosen, true, multi_label=False)


def alarms(live: Counts, held: Reference) -> set[str]:
    drift = compare(live, held)
    assert drift is not None
    return {effect.measure for effect in drift.alarms}


@given(histograms, histograms)
def test_distances_equal_their_definitions(one: NDArray[np.int64], other: NDArray[np.int64]) -> None:
    p, q = shares(one), shares(other)
    assert total_variation(p, q) == pytest.approx(1 - np.minimum(p, q).sum())
    # the earth mover's distance is that between quantiles
    n, m = int(one.sum()), int(other.sum())
    ours, theirs = np.repeat(np.repeat(np.arange(6), one), m), np.repeat(np.repeat(np.arange(6), other), n)
    assert wasserstein(p, q) == pytest.approx(np.abs(ours - theirs).mean())


@given(histograms)
def test_equal_histograms_have_no_distance(one: NDArray[np.int64]) -> None:
    assert total_variation(shares(one), shares(3 * one)) == pytest.approx(0)
    assert wasserstein(shares(one), shares(3 * one)) == pytest.approx(0)
    assert chance(total_variation, one, one) >= 0


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("texts", [100, 1000, 100_000])
def test_the_same_texts_are_no_alarm(seed: int, texts: int) -> None:
    world = World(seed)
    _, held = world.texts(300)
    live, _ = world.texts(texts)
    assert not alarms(live, held)


@pytest.mark.parametrize("seed", range(5))
def test_each_drift_is_seen_by_its_measure(seed: int) -> None:
    world = World(seed)
    _, held = world.texts(300)
    assert "label-mix" in alarms(world.texts(500, mix=(0.2, 0.3, 0.5))[0], held)
    assert alarms(world.texts(500, length=200)[0], held) == {"length"}
    assert {"confidence", "accuracy"} <= alarms(world.texts(500, sure=0.6)[0], held)
    assert alarms(world.texts(500, cut=0.4)[0], held) == {"truncated", "unknown"}


def test_a_small_effect_is_no_alarm_however_many_texts_there_are() -> None:
    world = World(1)
    _, held = world.texts(100_000)
    drift = compare(world.texts(100_000, mix=(0.45, 0.33, 0.22))[0], held)
    assert drift is not None
    mix = next(effect for effect in drift.effects if effect.measure == "label-mix")
    assert mix.size > mix.chance
    assert not mix.alarm


def several(rows: list[tuple[str, ...]]) -> tuple[Counts, Reference]:
    n = len(rows)
    counts = count(LABELS, rows, np.full(n, 0.9), ["hello"] * n, np.zeros(n, dtype=bool), None)
    return counts, reference(counts, np.full(n, 0.9), np.ones(n, dtype=bool), rows, rows, multi_label=True)


ROWS: dict[str, tuple[list[tuple[str, ...]], list[tuple[str, ...]], float]] = {
    "together": ([("a",), ("b",)], [("a", "b")], 0.5),
    "more": ([LABELS, *[()] * 9], [LABELS, *[()] * 4], 0.1),
    "one": ([("a",), ("b",)], [("a",), ("b", "c")], 0.5),
    "none": ([("a", "b"), ("a", "b")], [("a", "b"), ()], 0.5),
}


@pytest.mark.parametrize(("before", "now", "size"), ROWS.values(), ids=ROWS)
def test_where_texts_have_several_labels_the_share_of_texts_counts(
    before: list[tuple[str, ...]], now: list[tuple[str, ...]], size: float
) -> None:
    drift = compare(several(now * 500)[0], several(before * 200)[1])
    assert drift is not None
    (mix,) = drift.alarms
    assert mix.measure == "label-mix"
    assert mix.size == pytest.approx(size)
    assert not alarms(several(now * 500)[0], several(now * 200)[1])


@pytest.mark.parametrize("together", [True, False])
def test_the_same_texts_with_several_labels_are_no_alarm(together: bool) -> None:
    random, found = np.random.default_rng(0), 0
    for _ in range(100):
        draws = random.random((180, 1 if together else len(LABELS))) < 0.3
        rows = [tuple(name for name, has in zip(LABELS, np.broadcast_to(row, 3), strict=True) if has) for row in draws]
        found += bool(alarms(several(rows[:120])[0], several(rows[120:])[1]))
    assert found <= 3


def test_chance_of_a_label_is_that_of_two_binomials() -> None:
    """Of one label, the difference of two shares: mean and deviation of a folded normal distribution."""
    one, other = np.array([[700, 300]]), np.array([[140, 60]])
    deviation = np.sqrt(0.3 * 0.7 * (1 / 1000 + 1 / 200))
    folded = np.sqrt(2 / np.pi) + 3 * np.sqrt(1 - 2 / np.pi)
    assert chance(farthest, one, other) == pytest.approx(deviation * folded, rel=0.15)


def test_words_name_the_share_of_texts_with_each_label() -> None:
    drift = compare(several([("a", "b")] * 200)[0], several([("a",), ("b",)] * 200)[1])
    assert drift is not None
    assert drift.effects[0].says == "label mix: a 0.50 -> 1.00, b 0.50 -> 1.00"


def test_too_few_texts_are_not_compared() -> None:
    world = World(0)
    assert compare(world.texts(MIN_TEXTS - 1)[0], world.texts(300)[1]) is None
    assert compare(world.texts(MIN_TEXTS)[0], world.texts(MIN_HOLDOUT - 1)[1]) is None
    assert compare(world.texts(MIN_TEXTS)[0], world.texts(MIN_HOLDOUT)[1]) is not None


def test_words_name_the_labels_that_moved_most() -> None:
    world = World(3)
    _, held = world.texts(3000)
    drift = compare(world.texts(3000, mix=(0.2, 0.3, 0.5))[0], held)
    assert drift is not None
    moved = list(drift.effects[0].says.removeprefix("label mix: ").split(", "))
    assert {one.split(" 0.")[0] for one in moved[:2]} == {"a", "c"}
    assert "no label" not in drift.effects[0].says


def test_tokens_that_nobody_counted_are_not_compared() -> None:
    world = World(0)
    live, held = replace(world.texts(500)[0], read=0, unknown=0), world.texts(300)[1]
    drift = compare(live, held)
    assert drift is not None
    assert "unknown" not in {effect.measure for effect in drift.effects}


@pytest.mark.parametrize("sure", [1.0, 0.7])
def test_the_interval_of_the_estimated_accuracy_has_the_accuracy(sure: float) -> None:
    hits = 0
    for seed in range(100):
        world = World(seed)
        live, truth = world.texts(400, sure=sure)
        estimate = estimated_accuracy(live, world.texts(200)[1])
        assert estimate is not None
        assert estimate.low <= estimate.value <= estimate.high
        hits += estimate.low <= truth.score <= estimate.high
    assert hits >= 90


def test_the_estimated_accuracy_equals_a_plain_computation() -> None:
    stated, right = np.array([0.9, 0.6, 0.8, 0.7]), np.array([True, False, True, False])
    chosen, flags = [("a",)] * 4, np.zeros(4, dtype=bool)
    counts = count(LABELS, chosen, stated, ["x"] * 4, flags, None)
    held = reference(counts, stated, right, chosen, [("a",), ("b",), ("a",), ("b",)], multi_label=False)
    live_stated = np.array([0.5, 0.6, 0.55])
    live = count(LABELS, chosen[:3], live_stated, ["x"] * 3, flags[:3], None)
    gap = right - stated
    value = live_stated.mean() + gap.mean()
    half = 1.96 * np.sqrt((live_stated * (1 - live_stated)).sum() / 9 + gap.var() / 4)
    estimate = estimated_accuracy(live, held)
    assert estimate is not None
    assert (estimate.value, estimate.high) == pytest.approx((value, value + half))
    assert estimate.low == pytest.approx(max(value - half, 0))


def test_the_estimated_mix_is_the_true_one() -> None:
    """With many texts the regularisation vanishes, and a shift of labels is found exactly."""
    world = World(0)
    _, held = world.texts(200_000)
    wanted = (0.1, 0.2, 0.7)
    live, _ = world.texts(200_000, mix=wanted)
    assert held.confusion is not None
    assert np.abs(live.given / live.texts - wanted).max() > 0.05  # the predicted mix is not the true one
    assert estimated_mix(held.confusion, live.given) == pytest.approx(wanted, abs=0.01)


def test_the_estimated_mix_equals_bbse_where_counts_are_exact() -> None:
    confusion = np.array([[40, 10, 0], [5, 25, 5], [0, 5, 10]]) * 10**9
    predicted = np.array([20, 40, 40]) * 10**9
    joint = confusion.T / confusion.sum()
    weights = np.linalg.solve(joint, predicted / predicted.sum())
    expected = np.maximum(weights * joint.sum(axis=0), 0)
    assert estimated_mix(confusion, predicted) == pytest.approx(expected / expected.sum(), abs=1e-5)


@given(arrays(np.int64, (3, 3), elements=st.integers(0, 20)), arrays(np.int64, 3, elements=st.integers(0, 20)))
def test_an_estimated_mix_is_a_mix(confusion: NDArray[np.int64], predicted: NDArray[np.int64]) -> None:
    if confusion.sum() and predicted.sum():
        found = estimated_mix(confusion, predicted)
        assert (found >= 0).all()
        assert found.sum() == pytest.approx(1)


def test_without_hold_out_texts_of_a_label_its_share_is_not_made_up() -> None:
    """Live texts of such a label would count as those of others."""
    live, _ = World(0).texts(1_000)
    known = compare(live, World(0).texts(400)[1])
    unknown = compare(live, World(0).texts(400, mix=(0.6, 0.4, 0.0))[1])
    assert known is not None
    assert unknown is not None
    assert set(known.labels) == set(LABELS)
    assert unknown.labels == {}
    assert unknown.accuracy is not None


def test_a_reference_survives_the_store() -> None:
    _, held = World(0).texts(50)
    read = Reference.of(LiveReference.model_validate_json(held.part.model_dump_json()))
    assert read.part == held.part
    assert read.score == held.score
