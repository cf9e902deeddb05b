"""Consistency training: its formulas against references in numpy, its cost, and the specs that it refuses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tornio.errors import InvalidSpec
from tornio.spec import TaskSpec
from tornio.training.consistency import formulas
from tornio.training.consistency.objectives import Batch
from tornio.training.consistency.sampling import drawn
from tornio.training.consistency.seen import Recalled, seen, size
from tornio.training.consistency.settings import OBJECTIVES, ConsistencySettings
from tornio.training.methods import METHODS, check_training

pytestmark = pytest.mark.unit

METHOD = METHODS.get("consistency")


def softmax(logits: Any) -> Any:
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_sharpening_is_the_softmax_of_scaled_logits() -> None:
    logits = np.random.default_rng(0).normal(size=(5, 4))
    given = formulas.sharpened(torch.from_numpy(softmax(logits)), 0.4)
    np.testing.assert_allclose(given, softmax(logits / 0.4), rtol=1e-6)
    certain = formulas.sharpened(torch.tensor([[1.0, 0.0]]), 0.4)
    assert certain.isfinite().all()


def test_annealing_rises_from_chance_to_one() -> None:
    for schedule in formulas.TSA:
        bounds = [formulas.annealed_bound(schedule, done / 10, 4) for done in range(11)]
        assert bounds == sorted(bounds)
        assert bounds[-1] > 0.99
    assert formulas.annealed_bound("linear", 0.5, 4) == pytest.approx(0.5 * 0.75 + 0.25)
    assert formulas.annealed_bound("exp", 0.5, 2) == pytest.approx(math.exp(-2.5) * 0.5 + 0.5)
    assert formulas.annealed_bound("log", 0.5, 2) == pytest.approx((1 - math.exp(-2.5)) * 0.5 + 0.5)


def test_alignment_moves_the_mean_towards_the_wanted_one() -> None:
    p = softmax(np.random.default_rng(1).normal(size=(200, 3)) + np.array([2.0, 0, 0])).astype(np.float32)
    wanted = np.array([0.2, 0.3, 0.5], dtype=np.float32)
    given = formulas.aligned(torch.from_numpy(p), torch.from_numpy(wanted), torch.from_numpy(p.mean(axis=0))).numpy()
    reference = p * wanted / p.mean(axis=0)
    np.testing.assert_allclose(given, reference / reference.sum(axis=1, keepdims=True), rtol=1e-5)
    assert np.abs(given.mean(axis=0) - wanted).sum() < np.abs(p.mean(axis=0) - wanted).sum() / 2


def test_the_weight_of_unlabelled_texts_rises_in_half_of_the_training() -> None:
    assert formulas.ramp(0) == 0
    assert formulas.ramp(0.25) == pytest.approx(0.5)
    assert formulas.ramp(0.5) == formulas.ramp(0.9) == pytest.approx(1)


@given(count=st.integers(1, 20), start=st.integers(0, 100), seed=st.integers(0, 5))
def test_each_text_comes_once_before_any_comes_again(count: int, start: int, seed: int) -> None:
    places = np.arange(start * count, (start + 3) * count)
    rows = drawn("texts", seed, count, places).reshape(3, count)
    np.testing.assert_array_equal(np.sort(rows, axis=1), np.tile(np.arange(count), (3, 1)))
    np.testing.assert_array_equal(drawn("texts", seed, count, places[::-1]), rows.ravel()[::-1])


def test_what_is_remembered_are_means() -> None:
    random = np.random.default_rng(2)
    labelled, unlabelled = (torch.from_numpy(softmax(random.normal(size=(n, 3)))).float() for n in (4, 6))
    used = torch.tensor([True, False, True, False, False, False])
    assert Recalled(torch.zeros(size(3))).labelled.tolist() == pytest.approx([1 / 3] * 3)
    assert float(Recalled(torch.zeros(size(3))).confidence) == 1
    # The second step counts four times: the first has faded.
    recalled = Recalled(0.25 * seen(labelled, unlabelled, used) + seen(labelled.flip(1), unlabelled.flip(1), used))
    np.testing.assert_allclose(recalled.labelled, 0.2 * labelled.mean(0) + 0.8 * labelled.flip(1).mean(0), rtol=1e-5)
    np.testing.assert_allclose(
        recalled.unlabelled, 0.2 * unlabelled.mean(0) + 0.8 * unlabelled.flip(1).mean(0), rtol=1e-5
    )
    shares = np.bincount(unlabelled.argmax(1), minlength=3) / 6
    np.testing.assert_allclose(recalled.predicted, 0.2 * shares + 0.8 * shares[::-1], rtol=1e-5)
    assert float(recalled.confidence) == pytest.approx(float(labelled.max(1).values.mean()))
    assert recalled.used == pytest.approx(2 / 6)
    assert recalled.texts == pytest.approx(7.5)


@dataclass
class Answers:
    """A network that returns prepared logits: one call after the other."""

    logits: list[Tensor]

    def __call__(self, texts: Any) -> Tensor:
        given = self.logits.pop(0)
        assert len(given) == len(texts)
        return given


def batch(done: float, targets: Tensor, unlabelled: int) -> Batch:
    ids = np.array([1], dtype=np.int64)
    count = len(targets)
    return Batch(
        np.arange(count), [ids] * count, targets, [ids] * unlabelled, lambda texts, random: list(texts), done,
        np.random.default_rng(5),
    )  # fmt: skip


def cross_entropy(logits: Any, targets: Any) -> Any:
    return -(targets * np.log(softmax(logits))).sum(axis=1)


def test_adamatch_against_a_reference_in_numpy() -> None:
    random = np.random.default_rng(3)
    targets = np.eye(3)[[0, 2]]
    weak_u, strong_u = random.normal(size=(2, 6, 3)) * 2
    first, second = random.normal(size=(2, 4, 3))  # of two labelled texts and then their views
    labelled_then, unlabelled_then = softmax(random.normal(size=(9, 3))), softmax(random.normal(size=(20, 3)))
    before = [torch.from_numpy(p).float() for p in (labelled_then, unlabelled_then)]
    memory = seen(before[0], before[1], torch.ones(20).bool())

    def label_loss(logits: Tensor, rows: Any) -> Tensor:
        return torch.nn.functional.cross_entropy(logits, torch.from_numpy(targets)[rows], reduction="sum")

    network = Answers([torch.from_numpy(weak_u), torch.from_numpy(np.concatenate([first, second, strong_u]))])
    settings = ConsistencySettings(threshold=0.8)
    losses = OBJECTIVES["adamatch"].compute(
        network, batch(0.25, torch.from_numpy(targets), 6), label_loss, Recalled(memory), settings
    )

    share = np.random.default_rng(5).random((4, 3), dtype=np.float32)
    known = share * first + (1 - share) * second
    p = softmax(weak_u) * labelled_then.mean(axis=0) / unlabelled_then.mean(axis=0)
    p /= p.sum(axis=1, keepdims=True)
    mask = p.max(axis=1) >= 0.8 * labelled_then.max(axis=1).mean()
    assert 0 < mask.sum() < 6, "the example decides nothing"
    np.testing.assert_array_equal(losses.used, mask)
    np.testing.assert_allclose(losses.labelled, cross_entropy(known, np.tile(targets, (2, 1))).sum(), rtol=1e-5)
    np.testing.assert_allclose(losses.unlabelled, 0.5 * (cross_entropy(strong_u, p) * mask).sum(), rtol=1e-5)
    np.testing.assert_allclose(losses.labelled_probabilities, softmax(known[:2]), rtol=1e-5)
    np.testing.assert_allclose(losses.unlabelled_probabilities, softmax(weak_u), rtol=1e-5)


def test_uda_against_a_reference_in_numpy() -> None:
    random = np.random.default_rng(4)
    targets = np.eye(3)[[0, 2, 1]]
    weak_u, strong_u = random.normal(size=(2, 6, 3)) * 2
    known = np.array([[4.0, 0, 0], [0, 0, 0.5], [0, 1, 1]])

    def label_loss(logits: Tensor, rows: Any) -> Tensor:
        return torch.nn.functional.cross_entropy(logits, torch.from_numpy(targets)[rows], reduction="sum")

    network = Answers([torch.from_numpy(weak_u), torch.from_numpy(np.concatenate([known, strong_u]))])
    settings = ConsistencySettings(objective="uda", threshold=0.7, temperature=0.5, tsa="linear")
    losses = OBJECTIVES["uda"].compute(
        network, batch(0.5, torch.from_numpy(targets), 6), label_loss, Recalled(torch.zeros(size(3))), settings
    )

    trains = (softmax(known) * targets).sum(axis=1) < 0.5 * (2 / 3) + 1 / 3
    assert trains.tolist() == [False, True, True]
    np.testing.assert_allclose(losses.labelled, cross_entropy(known, targets)[trains].sum(), rtol=1e-5)
    p = softmax(weak_u)
    mask = p.max(axis=1) > 0.7
    assert 0 < mask.sum() < 6, "the example decides nothing"
    q = softmax(weak_u / 0.5)
    kl = (q * (np.log(q) - np.log(softmax(strong_u)))).sum(axis=1)
    np.testing.assert_allclose(losses.unlabelled, (kl * mask).sum(), rtol=1e-5)


def spec(**changes: Any) -> TaskSpec:
    values = {"workspace": "w", "name": "t", "labels": ["a", "b"], "training": {"method": "consistency"}}
    return TaskSpec.model_validate({**values, "classifier": {"kind": "fine-tuned"}, **changes})


def test_specs_that_do_not_fit_are_refused() -> None:
    check_training(spec())
    with pytest.raises(InvalidSpec, match="gives each text one label"):
        check_training(spec(multi_label=True))
    with pytest.raises(InvalidSpec, match="makes fine-tuned only"):
        check_training(spec(classifier={"kind": "few-shot"}))
    for settings, said in (
        ({"augmentations": {}}, "at least 1 item"),
        ({"augmentations": {"synonyms": {}}}, "no augmentation 'synonyms'"),
        ({"objective": "fixmatch"}, "'adamatch' or 'uda'"),
    ):
        with pytest.raises(InvalidSpec, match=said):
            check_training(spec(training={"method": "consistency", "settings": settings}))


@dataclass
class Counted:
    spec: TaskSpec
    pool: int = 5000
    not_embedded: int = 70
    labels: int = 40


def test_the_cost_follows_the_steps_and_not_the_labels() -> None:
    cost = METHOD.cost(Counted(spec()))
    assert cost == 100 * 8 * (4 * 3 + 3 * 4) * 2
    assert METHOD.cost(Counted(spec(), labels=4000)) == cost / 2
