"""Contrastive training: learns, serves what it measured, the same by several workers, and as if never interrupted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import permutations
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.groups import Interrupted, Interrupting, Threads
from tests.learning import NAMES, accuracy, examples, logits, next_folder
from tornio.arrays import FloatMatrix
from tornio.errors import InvalidInput, InvalidSpec
from tornio.models.finetuned import FineTunedModel
from tornio.models.head import LinearHead
from tornio.schemas.registry import EncoderUse
from tornio.spec import FineTuningSpec, TaskSpec
from tornio.storage.memory import MemoryStore
from tornio.training.checkpoints import StoredCheckpoints
from tornio.training.contrastive import PairLoss, Tuning, contrastive_loss, fit
from tornio.training.fewshot import fit_few_shot
from tornio.training.hooks import Hooks, Progress
from tornio.training.methods import METHODS, check_training
from tornio.training.methods.contrastive import ContrastiveSettings
from tornio.training.supervised import HELD_OUT_LOSS
from tornio.training.targets import Labelled

pytestmark = pytest.mark.model

QUICK = Tuning(pairs=4, most_pairs=1000, batch_size=16, learning_rate=2e-3)


@dataclass
class Bench:
    """``train(...)``: a model of 36 examples, in a folder of its own."""

    base: Path
    use: EncoderUse
    folder: Path
    reports: list[Progress] = field(default_factory=list)

    def train(self, count: int = 36, tuning: Tuning = QUICK, seed: int = 0, **options: Any) -> FineTunedModel:
        model = self.work(count, tuning, seed, **options)
        assert model is not None
        return model

    def work(self, count: int = 36, tuning: Tuning = QUICK, seed: int = 0, **options: Any) -> FineTunedModel | None:
        out = next_folder(self.folder)
        names = options.pop("names", NAMES)
        texts, labels = options.pop("data", examples(count))
        labelled = options.pop("labelled", None) or Labelled.of(texts, labels, names, False)
        hooks = Hooks(**{"report": self.reports.append, **options})
        return fit(
            labelled, names, self.base, self.use, out, tuning, FineTuningSpec(), seed, precision="float32", hooks=hooks
        )


@pytest.fixture
def bench(tiny_base: Path, use: EncoderUse, tmp_path: Path) -> Bench:
    return Bench(tiny_base, use, tmp_path)


# The loss


def test_the_loss_is_the_error_of_the_similarities() -> None:
    vectors = functional.normalize(torch.randn(8, 5, generator=torch.Generator().manual_seed(0)), dim=1)
    classes = [0, 0, 0, 1, 1, 2, 2, 2]
    near: list[float] = []
    far: list[float] = []
    for i, j in permutations(range(8), 2):
        similarity = float(vectors[i] @ vectors[j])
        (near if classes[i] == classes[j] else far).append((similarity - (classes[i] == classes[j])) ** 2)
    found = float(contrastive_loss(vectors, torch.tensor(classes)))
    assert found == pytest.approx((np.mean(near) + np.mean(far)) / 2, rel=1e-5)


def test_a_micro_batch_of_one_class_has_nothing_to_be_told_from() -> None:
    vectors = functional.normalize(torch.tensor([[1.0, 0.0], [1.0, 1.0]]), dim=1).requires_grad_()
    loss = contrastive_loss(vectors, torch.tensor([0, 0]))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx((1 - 0.5**0.5) ** 2 / 2)
    assert vectors.grad is not None
    assert torch.isfinite(vectors.grad).all()


def test_pairs_know_their_lengths() -> None:
    ids = [np.arange(n) for n in (3, 5, 9)]
    goal = PairLoss(ids, np.array([0, 0, 1]), np.array([[0, 1], [2, 2]]))
    assert goal.lengths == [8, 18]
    assert goal.weight(np.array([0, 1])) == 2


# The model


def test_it_learns_and_tells_how_it_goes(bench: Bench) -> None:
    model = bench.train()
    assert accuracy(model) > 0.95
    metrics = model.head.metrics
    assert (metrics["examples"], metrics["pairs"], metrics["steps"]) == (36, 144, 9)
    assert metrics["train_loss"] == bench.reports[-1].loss
    assert metrics[HELD_OUT_LOSS] > 0
    assert [one.step for one in bench.reports] == [9], "a rehearsal reports nothing"


def test_it_serves_the_vectors_that_the_head_learned_from(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    learned: list[FloatMatrix] = []

    def noted(vectors: FloatMatrix, *rest: Any) -> LinearHead:
        learned.append(vectors)
        return fit_few_shot(vectors, *rest)

    monkeypatch.setattr("tornio.training.contrastive.fit_few_shot", noted)
    model = bench.train()
    np.testing.assert_allclose(model.embed(examples(36)[0]), learned[-1], atol=1e-5)
    assert model.use.normalise
    assert model.use.layer == -1
    copied = bench.folder / "copied"
    copied.mkdir()
    model.save(copied)
    loaded = FineTunedModel.load(copied, model.use, "float32")
    np.testing.assert_array_equal(logits(loaded), logits(model))


def test_the_same_input_makes_the_same_model(bench: Bench) -> None:
    first = logits(bench.train())
    np.testing.assert_array_equal(first, logits(bench.train()))
    assert np.abs(first - logits(bench.train(seed=1))).max() > 1e-3


def test_labels_at_random_make_an_unsure_model(bench: Bench) -> None:
    """Its head tells the texts apart that the encoder learned by heart; the rehearsals know better."""
    texts, labels = examples(60)
    np.random.default_rng(0).shuffle(labels)
    model = bench.train(data=(texts, labels), tuning=replace(QUICK, pairs=20))
    assert model.predict_proba(examples(30, seed=9)[0]).max(axis=1).mean() < 0.6


def test_a_class_with_one_text_and_a_label_without_any(bench: Bench) -> None:
    texts, labels = examples(24)
    data = ([*texts, "about nothing at all"], [*labels, ("alone",)])
    model = bench.train(data=data, names=("unseen", "alone", *NAMES))
    probabilities = model.predict_proba(["about the refund", "about the dog", "about nothing at all"])
    assert np.isfinite(probabilities).all()
    assert probabilities[:, 0].max() < 1e-3
    assert accuracy(model) > 0.9


def test_two_texts_are_too_few_to_rehearse_and_fewer_than_a_batch(bench: Bench) -> None:
    model = bench.train(data=(["the refund", "the dog"], [("money",), ("animal",)]))
    assert HELD_OUT_LOSS not in model.head.metrics
    assert model.head.metrics["pairs"] == 8


def test_labels_that_do_not_suffice_are_refused(bench: Bench) -> None:
    for data, said in (
        (([], []), "no training label yet"),
        ((["one", "two"], [("money",)] * 2), "at least one other class"),
    ):
        with pytest.raises(InvalidInput, match=said):
            bench.train(data=data)


def test_examples_of_weight_0_are_left_out(bench: Bench) -> None:
    texts, labels = examples(36)
    whole = Labelled.of([*texts, "wrong"], [*labels, ("place",)], NAMES, False)
    weights = np.append(np.ones(36), 0).astype(np.float32)
    model = bench.train(labelled=replace(whole, weights=weights))
    np.testing.assert_array_equal(logits(model), logits(bench.train()))


def test_there_is_a_most_of_pairs(bench: Bench) -> None:
    assert bench.train(tuning=replace(QUICK, most_pairs=40)).head.metrics["pairs"] == 40


def test_a_loss_that_explodes_is_told(bench: Bench) -> None:
    with pytest.raises(InvalidInput, match=r"lower .*learning_rate"):
        bench.train(tuning=replace(QUICK, learning_rate=1e30))


# Interrupted, and several workers


def test_interrupted_and_resumed_is_as_undisturbed(bench: Bench) -> None:
    """In the first step, in the middle, in the last step."""
    undisturbed = bench.train()
    told = bench.reports.copy()
    for step in (1, 5, 9):
        bench.reports.clear()
        checkpoints = StoredCheckpoints(MemoryStore(), "training/")
        with pytest.raises(Interrupted):
            bench.train(checkpoints=Interrupting(checkpoints, step), checkpoint_seconds=0)
        resumed = bench.train(checkpoints=checkpoints)
        assert bench.reports == told, "something was done twice, or not at all"
        np.testing.assert_array_equal(logits(undisturbed), logits(resumed))
        assert undisturbed.head.metrics == resumed.head.metrics


def test_two_workers_make_the_model_of_one(without_dropout: Path, use: EncoderUse, tmp_path: Path) -> None:
    tuning = replace(QUICK, batch_size=32)
    (tmp_path / "alone").mkdir()
    alone = Bench(without_dropout, use, tmp_path / "alone").train(tuning=tuning)
    barrier, given = Barrier(2), dict[int, list[Tensor]]()

    def work(rank: int) -> FineTunedModel | None:
        (tmp_path / str(rank)).mkdir()
        bench = Bench(without_dropout, use, tmp_path / str(rank))
        return bench.work(tuning=tuning, group=Threads(rank, 2, barrier, given))

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(work, range(2))
    assert first is not None
    assert second is None
    np.testing.assert_allclose(logits(first), logits(alone), atol=2e-3)


# The method


def spec(**values: Any) -> TaskSpec:
    return TaskSpec.model_validate(
        {
            "workspace": "w",
            "name": "t",
            "labels": ["a", "b"],
            "classifier": {"kind": "fine-tuned"},
            "training": {"method": "contrastive", **values.pop("training", {})},
            **values,
        }
    )


def test_a_spec_may_name_it() -> None:
    check_training(spec())
    with pytest.raises(InvalidSpec, match="multi_label is true: choose another method"):
        check_training(spec(multi_label=True))
    with pytest.raises(InvalidSpec, match=r"training\.settings\.pairs"):
        check_training(spec(training={"settings": {"pairs": 0}}))


def test_its_cost_is_that_of_its_pairs() -> None:
    method, settings = METHODS.get("contrastive"), ContrastiveSettings()

    @dataclass
    class Counted:
        spec: TaskSpec
        labels: int
        pool: int = 1
        not_embedded: int = 1

    assert method.cost(Counted(spec(), 30)) == 30 * settings.pairs * 2 * 3 * 2
    assert method.cost(Counted(spec(), 10**6)) == settings.most_pairs * 2 * 3 * 2
