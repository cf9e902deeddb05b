"""Consistency training: it learns, resumes, spreads, and gives way to a supervised training where it collapses."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from tests.groups import Interrupted, Interrupting, Threads
from tests.learning import NAMES, accuracy, examples, logits, next_folder
from tornio.errors import InvalidInput
from tornio.schemas.registry import EncoderUse
from tornio.spec import ClassifierSpec
from tornio.storage.memory import MemoryStore
from tornio.training.checkpoints import StoredCheckpoints
from tornio.training.consistency.settings import OBJECTIVES, ConsistencySettings
from tornio.training.hooks import Hooks, Progress
from tornio.training.methods import METHODS
from tornio.training.methods.port import Unlabelled
from tornio.training.targets import Labelled

pytestmark = pytest.mark.model

METHOD: Any = METHODS.get("consistency")


# Training

QUICK = {"epochs": 12, "batch_size": 16, "head_learning_rate": 1e-2}
SETTINGS = {
    "steps": 40,
    "learning_rate": 2e-3,
    "batch_size": 8,
    "ratio": 2,
    "augmentations": {"word-dropout": {"share": 0.1}},
}


@dataclass
class Given:
    """The inputs of a training: 18 labelled texts and 60 others, and no store behind them."""

    base: Path
    use: EncoderUse
    settings: ConsistencySettings = field(default_factory=lambda: ConsistencySettings.model_validate(SETTINGS))
    classifier: ClassifierSpec = field(
        default_factory=lambda: ClassifierSpec.model_validate({"kind": "fine-tuned", "fine_tuning": QUICK})
    )
    labelled: Labelled = field(default_factory=lambda: Labelled.of(*examples(18), NAMES, False))
    texts: tuple[str, ...] = tuple(f"{text} or {i}" for i, text in enumerate(examples(60, seed=1)[0]))
    seed: int = 0
    label_names = NAMES
    multi_label = False
    precision = "float32"

    @property
    def unlabelled(self) -> Unlabelled:
        return Unlabelled(tuple(map(str, range(len(self.texts)))), self.texts)

    def set(self, **settings: Any) -> Given:
        return replace(self, settings=ConsistencySettings.model_validate({**SETTINGS, **settings}))


@pytest.fixture
def given(tiny_base: Path, use: EncoderUse) -> Given:
    return Given(tiny_base, use)


@pytest.fixture
def fit(tmp_path: Path) -> Any:
    def run(inputs: Any, hooks: Hooks | None = None, method: str = "consistency") -> Any:
        out = next_folder(tmp_path)
        return METHODS.get(method).fit(inputs, out, hooks or Hooks())

    return run


@pytest.mark.parametrize("objective", list(OBJECTIVES))
def test_it_learns_and_is_calibrated(given: Given, fit: Any, objective: str) -> None:
    reports: list[Progress] = []
    settings = {"objective": objective, "steps": 95, "weight": 0.1, "tsa": "none", "guard": 0}
    inputs = replace(given.set(**settings), labelled=Labelled.of(*examples(48), NAMES, False))
    model = fit(inputs, Hooks(report=reports.append))
    assert accuracy(model) > 0.8
    assert model.chosen is None
    metrics = model.head.metrics
    assert metrics["steps"] == 100, "rounded up"
    assert {"temperature", "held_out_log_loss"} <= metrics.keys()
    assert 0 < metrics["unlabelled_used"] <= 1
    assert metrics["predicted_entropy"] > 0
    assert [one.step for one in reports] == list(range(10, 101, 10))


def test_the_same_input_makes_the_same_model(given: Given, fit: Any) -> None:
    first = logits(fit(given))
    np.testing.assert_array_equal(first, logits(fit(given)))
    assert np.abs(first - logits(fit(replace(given, seed=1)))).max() > 1e-3
    assert np.abs(first - logits(fit(given.set(weight=5)))).max() > 1e-3


@pytest.mark.parametrize("validated", [False, True])
def test_killed_in_the_middle_it_ends_as_undisturbed(given: Given, fit: Any, validated: bool) -> None:
    if validated:
        tuning = {**QUICK, "validation_from": 20, "validation_share": 0.2}
        given = replace(
            given,
            classifier=ClassifierSpec.model_validate({"kind": "fine-tuned", "fine_tuning": tuning}),
            labelled=Labelled.of(*examples(24), NAMES, False),
        )
    undisturbed = fit(given)
    for step in (1, 17, 40):
        checkpoints = StoredCheckpoints(MemoryStore(), "training/")
        interrupting: Any = Interrupting(checkpoints, step)
        with pytest.raises(Interrupted):
            fit(given, Hooks(checkpoints=interrupting, checkpoint_seconds=0))
        resumed = fit(given, Hooks(checkpoints=checkpoints))
        np.testing.assert_array_equal(logits(undisturbed), logits(resumed))
        assert undisturbed.head.metrics == resumed.head.metrics
    assert ("validation_f1" in undisturbed.head.metrics) == validated


def test_two_workers_make_the_model_of_one(given: Given, fit: Any, without_dropout: Path, tmp_path: Path) -> None:
    """Without dropout, because threads share the random numbers that it is drawn from."""
    inputs = replace(given.set(batch_size=20, steps=20), base=without_dropout)
    alone = fit(inputs)
    barrier, shared = Barrier(2), dict[int, list[Tensor]]()
    groups: Any = [Threads(rank, 2, barrier, shared) for rank in range(2)]
    outs = [tmp_path / "first", tmp_path / "second"]
    for out in outs:
        out.mkdir()

    def work(rank: int) -> Any:
        return METHOD.fit(inputs, outs[rank], Hooks(group=groups[rank]))

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(work, range(2))
    assert second is None
    np.testing.assert_allclose(logits(first), logits(alone), atol=2e-3)
    for name, value in alone.head.metrics.items():
        assert first.head.metrics[name] == pytest.approx(value, rel=0.01, abs=1e-3)


def test_where_predictions_collapse_the_supervised_model_is_kept(given: Given, fit: Any) -> None:
    """A guard that asks for more than any prediction has: the labels of the labelled texts are perfectly balanced."""
    given = replace(given, texts=tuple(f"about the dog {i}" for i in range(60))).set(guard=1)
    store = MemoryStore()
    model = fit(given, Hooks(checkpoints=StoredCheckpoints(store, "training/"), checkpoint_seconds=0))
    kind, why = model.chosen
    assert kind == "fine-tuned"
    assert "consistency was stopped in step" in why
    assert "a supervised model takes its place" in why
    np.testing.assert_array_equal(logits(model), logits(fit(given, method="supervised")))
    assert fit(given.set(guard=0)).chosen is None


# What it refuses


def test_inputs_from_which_no_training_can_succeed_are_said(given: Given, fit: Any) -> None:
    for inputs, said in (
        (replace(given, texts=()), "needs 16 different ones.*There are 0, among 0 texts"),
        (replace(given, texts=("a", "b")), "There are 2, among 2"),
        (replace(given, texts=("alike",) * 50), "There are 1, among 50"),
        (replace(given, labelled=Labelled.of(["a", "b"], [("money",)] * 2, NAMES, False)), "are 'money'"),
        (given.set(augmentations={"language-model": {}}), "without a masked-language head"),
    ):
        with pytest.raises(InvalidInput, match=said):
            fit(inputs)
    with pytest.raises(InvalidInput, match="There are 0"):
        METHOD.spreads(replace(given, texts=()))
    assert METHOD.spreads(given)
