"""Objectives: soft targets and weights, and an objective of the test's own that the loop runs unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.learning import NAMES, WORDS, accuracy, examples, next_folder
from tornio.schemas.registry import EncoderUse
from tornio.spec import FineTuningSpec
from tornio.storage.memory import MemoryStore
from tornio.training.batches import Rows
from tornio.training.checkpoints import StoredCheckpoints
from tornio.training.data import Data
from tornio.training.hooks import Hooks, Progress
from tornio.training.network import Network
from tornio.training.objective import CrossEntropy, Verdict
from tornio.training.supervised import fit
from tornio.training.targets import Labelled

pytestmark = pytest.mark.model
QUICK = FineTuningSpec(epochs=12, batch_size=16, learning_rate=2e-3, head_learning_rate=1e-2, head_start="random")


@dataclass(frozen=True, eq=False)
class Consistency:
    """Soft cross-entropy, and the same answer for two dropouts of an unlabelled text. Held-out examples are judged by
    their loss alone."""

    data: Data
    strength: float

    score_name = "log_likelihood"
    sums = 2

    @property
    def name(self) -> str:
        return f"test-consistency-{self.strength}"

    @property
    def lengths(self) -> Sequence[int]:
        return self.data.train.lengths

    @property
    def held_out_lengths(self) -> Sequence[int]:
        return self.data.held_out.lengths if self.data.held_out else []

    def loss(self, network: Network, rows: Rows, done: float) -> Tensor:
        assert 0 <= done < 1
        supervised = CrossEntropy.of(self.data).loss(network, rows, done)
        drawn = torch.randint(len(self.data.unlabelled), (len(rows),)).tolist()
        texts = [self.data.unlabelled[row] for row in drawn]
        with torch.no_grad():
            target = network(texts).softmax(1)
        return supervised + self.strength * done * functional.mse_loss(network(texts).softmax(1), target) * len(rows)

    def weight(self, rows: Rows) -> float:
        return float(len(rows))

    def judge(self, network: Network, rows: Rows) -> Tensor:
        assert self.data.held_out is not None
        examples = self.data.held_out
        logits = network([examples.ids[row] for row in rows])
        return torch.stack([CrossEntropy.of(self.data).loss_of(logits, examples, rows), torch.tensor(float(len(rows)))])

    def verdict(self, sums: Sequence[float]) -> Verdict:
        loss, count = sums
        return Verdict(score=-loss / count, loss=loss / count)


@pytest.fixture
def train(tiny_base: Path, use: EncoderUse, tmp_path: Path) -> Any:
    def run(labelled: Labelled, settings: FineTuningSpec = QUICK, hooks: Hooks | None = None, **options: Any) -> Any:
        out = next_folder(tmp_path)
        return fit(
            labelled, NAMES, False, tiny_base, use, out, settings, 0, precision="float32", hooks=hooks, **options
        )

    return run


def of(count: int) -> Labelled:
    texts, labels = examples(count)
    return Labelled.of(texts, labels, NAMES, False)


def test_the_loop_runs_an_objective_that_it_does_not_know(train: Any) -> None:
    reports: list[Progress] = []
    model = train(
        of(48),
        QUICK.model_copy(update={"validation_from": 40, "patience": 12}),
        Hooks(report=reports.append),
        objective=partial(Consistency, strength=5.0),
        unlabelled=examples(30, seed=5)[0],
    )
    assert accuracy(model) > 0.8
    assert reports[0].validation is not None
    assert set(reports[0].validation) == {"log_likelihood", "loss"}
    metrics = model.head.metrics
    assert metrics["validation_log_likelihood"] == max(r.validation["log_likelihood"] for r in reports if r.validation)
    plain = train(of(48), QUICK.model_copy(update={"validation_from": 40, "patience": 12}))
    assert metrics["train_loss"] != plain.head.metrics["train_loss"], "the second term counts"


class Interrupted(Exception):
    pass


def test_an_interrupted_objective_continues_and_another_one_begins_anew(train: Any) -> None:
    texts, store = examples(30, seed=5)[0], MemoryStore()
    checkpoints = StoredCheckpoints(store, "training/")

    def interrupt(progress: Progress) -> None:
        if progress.step == 15:
            raise Interrupted

    def consistent(strength: float, hooks: Hooks | None = None) -> Any:
        return train(of(48), hooks=hooks, objective=partial(Consistency, strength=strength), unlabelled=texts)

    def first_step(strength: float) -> tuple[int, Any]:
        reports: list[Progress] = []
        model = consistent(strength, Hooks(report=reports.append, checkpoints=checkpoints, checkpoint_seconds=3600))
        return reports[0].step, model.score(texts).logits

    with pytest.raises(Interrupted):
        consistent(5.0, Hooks(report=interrupt, checkpoints=checkpoints, checkpoint_seconds=0))
    step, logits = first_step(5.0)
    assert step == 15
    np.testing.assert_array_equal(logits, consistent(5.0).score(texts).logits)
    assert first_step(2.0)[0] == 3


def test_soft_targets_are_learned_as_probabilities(train: Any) -> None:
    texts = [f"about the {word}" for words in WORDS.values() for word in words] * 4
    targets = np.tile(np.array([[0.7, 0.2, 0.1]], np.float32), (len(texts), 1))
    targets[: len(texts) // 2] = [0.1, 0.2, 0.7]
    same = Labelled(tuple(texts), tuple(texts), targets[::-1].copy(), np.ones(len(texts), np.float32))
    probabilities = train(same, QUICK.model_copy(update={"epochs": 40})).predict_proba(["about the refund"])
    assert np.abs(probabilities - [[0.4, 0.2, 0.4]]).max() < 0.1


def test_an_example_of_weight_zero_teaches_nothing(train: Any) -> None:
    data = of(48)
    wrong = Labelled.of(data.texts, [(NAMES[(NAMES.index(n) + 1) % 3],) for (n,) in examples(48)[1]], NAMES, False)
    both = Labelled(
        tuple(map(str, range(96))),
        data.texts + wrong.texts,
        np.concatenate([data.targets, wrong.targets]),
        np.concatenate([data.weights, 0 * wrong.weights]),
    )
    model = train(both)
    assert model.head.metrics["examples"] == 48
    assert accuracy(model) > 0.95
