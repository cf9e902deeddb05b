"""Fine-tuning: learns, the same again, the same by several workers, and as if never interrupted."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.groups import Interrupted, Interrupting, Threads
from tests.learning import NAMES, accuracy, examples, logits, next_folder
from tornio.errors import InvalidInput
from tornio.models.finetuned import FineTunedModel
from tornio.schemas.registry import EncoderUse
from tornio.spec import FineTuningSpec
from tornio.storage.memory import MemoryStore
from tornio.training.checkpoints import StoredCheckpoints
from tornio.training.hooks import Hooks, Progress
from tornio.training.supervised import HELD_OUT_LOSS, fit
from tornio.training.targets import Labelled

pytestmark = pytest.mark.model

QUICK = FineTuningSpec(epochs=12, batch_size=16, learning_rate=2e-3, head_learning_rate=1e-2, head_start="random")
SHORT = QUICK.model_copy(update={"epochs": 4})
HOOKS = ("report", "checkpoints", "checkpoint_seconds", "group")


@dataclass
class Bench:
    """``train(...)``: a model of 48 examples, in a folder of its own."""

    base: Path
    use: EncoderUse
    folder: Path
    reports: list[Progress] = field(default_factory=list)

    def train(self, count: int = 48, settings: FineTuningSpec = QUICK, seed: int = 0, **options: Any) -> FineTunedModel:
        model = self.work(count, settings, seed, **options)
        assert model is not None
        return model

    def work(
        self, count: int = 48, settings: FineTuningSpec = QUICK, seed: int = 0, **options: Any
    ) -> FineTunedModel | None:
        out = next_folder(self.folder)
        texts, labels = options.pop("data", examples(count))
        names, multi_label = options.pop("names", NAMES), options.pop("multi_label", False)
        hooks = {name: options.pop(name) for name in HOOKS if name in options}
        labelled = options.pop("labelled", None) or Labelled.of(texts, labels, names, multi_label)
        return fit(
            labelled, names, multi_label, self.base, self.use, out, settings, seed,
            **{"precision": "float32", "hooks": Hooks(**{"report": self.reports.append, **hooks}), **options},
        )  # fmt: skip


@pytest.fixture
def bench(tiny_base: Path, use: EncoderUse, tmp_path: Path) -> Bench:
    return Bench(tiny_base, use, tmp_path)


def test_it_learns_and_tells_how_it_goes(bench: Bench) -> None:
    model = bench.train()
    assert accuracy(model) > 0.95
    assert model.head.metrics["steps"] == 36
    assert [(one.step, one.epoch) for one in bench.reports[:3]] == [(3, 1), (6, 2), (9, 3)]
    assert bench.reports[-1].loss < bench.reports[0].loss / 1.5
    assert model.head.metrics["train_loss"] == bench.reports[-1].loss
    rates = [one.learning_rate for one in bench.reports]
    assert max(rates) <= QUICK.learning_rate
    assert rates[-1] == min(rates)


def test_the_same_input_makes_the_same_model_and_leaves_no_trace(bench: Bench) -> None:
    torch.manual_seed(1)
    first = logits(bench.train())
    after = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), after)
    np.testing.assert_array_equal(first, logits(bench.train()))
    assert np.abs(first - logits(bench.train(seed=1))).max() > 1e-3


@pytest.mark.parametrize("start", ["random", "logistic-regression"])
def test_both_starts_of_the_head_learn(bench: Bench, start: str) -> None:
    assert accuracy(bench.train(settings=QUICK.model_copy(update={"head_start": start}))) > 0.95


def test_several_labels_a_text(bench: Bench) -> None:
    texts, single = examples(48)
    labels = [(*label, "always") if i % 4 else ("always",) for i, label in enumerate(single)]
    texts = [text if i % 4 else "about nothing at all" for i, text in enumerate(texts)]
    names = (*NAMES, "always", "never")
    settings = QUICK.model_copy(update={"epochs": 30})
    model = bench.train(data=(texts, labels), names=names, multi_label=True, settings=settings)
    said = model.predict_proba(texts) >= 0.5
    truth = [[name in row for name in names] for row in labels]
    assert (said == truth).mean() > 0.95


def test_a_label_without_an_example_has_a_column_and_is_not_predicted(bench: Bench) -> None:
    model = bench.train(names=("unseen", *NAMES))
    probabilities = model.predict_proba(["about the refund", "about the dog"])
    assert probabilities.shape == (2, 4)
    assert probabilities[:, 0].max() < 1e-6
    assert accuracy(model) > 0.95


def test_labels_that_do_not_suffice_are_refused(bench: Bench) -> None:
    texts = ["one", "two"]
    for data, multi_label, said in (
        (([], []), False, "no training label yet"),
        ((texts, [("money",)] * 2), False, "at least one other class"),
        ((texts, [("money",)] * 2), True, "label records that differ"),
        ((texts, [("money",), ("other",)]), False, "'other' is not one of the task's"),
        ((texts, [("money",), ("money", "place")]), False, "exactly one each"),
    ):
        with pytest.raises(InvalidInput, match=said):
            bench.train(data=data, multi_label=multi_label)


def test_a_loss_that_explodes_is_told(bench: Bench) -> None:
    with pytest.raises(InvalidInput, match=r"lower classifier\.fine_tuning\.learning_rate"):
        bench.train(
            data=(["one", "two"], [("money",), ("place",)]),
            settings=QUICK.model_copy(
                update={"learning_rate": 1e30, "head_learning_rate": 1e30, "epochs": 30, "max_gradient_norm": 1e30}
            ),
        )


def test_what_is_saved_is_an_encoder_that_any_tool_reads(bench: Bench, tmp_path: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    model = bench.train()
    copied = tmp_path / "copied"
    copied.mkdir()
    model.save(copied)
    loaded = FineTunedModel.load(copied, model.use, "float32")
    np.testing.assert_array_equal(logits(loaded), logits(model))
    text = "about the eagle"
    body, tokenizer = AutoModel.from_pretrained(copied), AutoTokenizer.from_pretrained(copied)
    with torch.no_grad():
        hidden = body(**tokenizer(text, return_tensors="pt")).last_hidden_state.mean(1).numpy()
    np.testing.assert_allclose(model.head.logits(hidden), model.score([text]).logits, atol=1e-4)
    assert str(bench.base) not in (copied / "config.json").read_text()


def test_words_that_did_not_occur_stay_as_they_were(bench: Bench) -> None:
    from transformers import AutoModel

    model = bench.train()
    before = AutoModel.from_pretrained(bench.base).get_input_embeddings().weight
    after = AutoModel.from_pretrained(model._folder).get_input_embeddings().weight
    changed = (before != after).any(1)
    assert before.shape == after.shape
    assert 10 < changed.sum() < 40  # as many as there are words in the examples


# Early stopping


def test_few_labels_all_train_and_many_tell_when_to_stop(bench: Bench) -> None:
    settings = QUICK.model_copy(update={"validation_from": 60, "patience": 2, "epochs": 20})
    few = bench.train(count=48, settings=settings).head.metrics
    assert (few["examples"], few["epochs"]) == (48, 20)
    texts, labels = examples(60)
    np.random.default_rng(0).shuffle(labels)
    many = bench.train(data=(texts, labels), settings=settings).head.metrics
    assert (many["examples"], many["validation_examples"]) == (54, 6)
    assert many["epochs"] == many["best_epoch"] + 2 < 20, "labels at random: there is nothing to learn for long"


def test_the_best_weights_are_kept(bench: Bench) -> None:
    settings = QUICK.model_copy(update={"validation_from": 60, "patience": 40, "epochs": 40})
    model = bench.train(count=60, settings=settings)
    best = int(model.head.metrics["best_epoch"])
    assert 1 < best <= model.head.metrics["epochs"] == 40
    validations = [(one.validation["f1"], -one.validation["loss"]) for one in bench.reports if one.validation]
    assert validations[best - 1] == max(validations)
    assert accuracy(model) > 0.9


# Calibrated


def test_a_rehearsal_changes_how_sure_the_model_is_and_nothing_else(bench: Bench) -> None:
    plain, told = bench.train(settings=SHORT), bench.reports.copy()
    bench.reports.clear()
    calibrated = bench.train(settings=SHORT, rehearse=True)
    assert bench.reports == told, "a rehearsal reports nothing"
    temperature = calibrated.head.metrics["temperature"]
    assert temperature != 1.0
    np.testing.assert_allclose(logits(calibrated) * temperature, logits(plain), atol=1e-4)
    assert "temperature" not in plain.head.metrics
    assert calibrated.head.metrics[HELD_OUT_LOSS] > 0
    np.testing.assert_array_equal(logits(bench.train(settings=SHORT, rehearse=True)), logits(calibrated))


def test_labels_at_random_make_an_unsure_model(bench: Bench) -> None:
    texts, labels = examples(60)
    np.random.default_rng(0).shuffle(labels)
    settings = QUICK.model_copy(update={"epochs": 30})
    plain = bench.train(data=(texts, labels), settings=settings)
    calibrated = bench.train(data=(texts, labels), settings=settings, rehearse=True)
    sure = [model.predict_proba(examples(30, seed=9)[0]).max(axis=1).mean() for model in (plain, calibrated)]
    assert sure[1] < 0.6 < sure[0]


def test_examples_that_validate_calibrate_without_a_rehearsal(bench: Bench) -> None:
    settings = SHORT.model_copy(update={"validation_from": 40})
    model, again = (bench.train(settings=settings, rehearse=rehearse) for rehearse in (False, True))
    assert model.head.metrics == again.head.metrics
    assert {"temperature", HELD_OUT_LOSS, "validation_f1"} <= model.head.metrics.keys()


@pytest.mark.parametrize("validation_from", [40, 1000])
def test_several_labels_a_text_get_thresholds(bench: Bench, validation_from: int) -> None:
    texts, single = examples(48)
    labels = [(*label, "always", "often") if i % 4 else (*label, "always") for i, label in enumerate(single)]
    names = (*NAMES, "always", "often", "never")
    settings = SHORT.model_copy(update={"validation_from": validation_from})
    model = bench.train(data=(texts, labels), names=names, multi_label=True, settings=settings, rehearse=True)
    assert model.thresholds.keys() == set(names)
    assert all(0 < least < 1 for least in model.thresholds.values())
    probabilities = model.predict_proba(texts)
    assert probabilities[:, names.index("always")].min() > 0.99
    assert probabilities[:, names.index("never")].max() < 0.01


def test_two_examples_are_too_few_to_rehearse(bench: Bench) -> None:
    model = bench.train(data=(["the refund", "the dog"], [("money",), ("animal",)]), settings=SHORT, rehearse=True)
    assert "temperature" not in model.head.metrics


# Interrupted


@pytest.mark.parametrize("validated", [False, True])
def test_interrupted_and_resumed_is_as_undisturbed(bench: Bench, validated: bool) -> None:
    """In the first step, in the middle of an epoch, at its end, in the last step."""
    settings = SHORT.model_copy(update={"validation_from": 40 if validated else 1000, "patience": 12})
    undisturbed = bench.train(settings=settings)
    told = bench.reports.copy()
    for step in (1, 5, 9, 12):
        bench.reports.clear()
        checkpoints = StoredCheckpoints(MemoryStore(), "training/")
        with pytest.raises(Interrupted):
            bench.train(settings=settings, checkpoints=Interrupting(checkpoints, step), checkpoint_seconds=0)
        resumed = bench.train(settings=settings, checkpoints=checkpoints)
        assert bench.reports == told, "something was done twice, or not at all"
        np.testing.assert_array_equal(logits(undisturbed), logits(resumed))
        assert undisturbed.head.metrics == resumed.head.metrics


def test_one_checkpoint_is_kept_and_half_a_checkpoint_is_none(tmp_path: Path) -> None:
    store = MemoryStore()
    checkpoints = StoredCheckpoints(store, "run/training/")
    assert not checkpoints.fetch(tmp_path)
    (tmp_path / "state.safetensors").write_bytes(b"weights")
    (tmp_path / "state.json").write_text("{}")
    for step in (5, 10):
        checkpoints.put(step, tmp_path)
    store.put("run/training/0000000015/state.safetensors", b"cut off before its JSON")
    found = tmp_path / "found"
    found.mkdir()
    assert checkpoints.fetch(found)
    assert (found / "state.safetensors").read_bytes() == b"weights"
    assert "run/training/0000000005/state.json" not in {info.key for info in store.list("")}
    checkpoints.clear()
    assert not list(store.list(""))


@pytest.mark.parametrize("spoil", ["seed", "damage", "garble", "schema"])
def test_a_checkpoint_that_does_not_fit_is_left_alone(bench: Bench, spoil: str) -> None:
    store = MemoryStore()
    checkpoints = StoredCheckpoints(store, "training/")
    seed = 3 if spoil == "seed" else 0
    with pytest.raises(Interrupted):
        bench.train(settings=SHORT, checkpoints=Interrupting(checkpoints, 5), checkpoint_seconds=0, seed=seed)
    if spoil == "damage":
        store.put("training/0000000005/state.safetensors", b"damaged")
    elif spoil in ("garble", "schema"):
        key = "training/0000000005/state.json"
        values = json.loads(store.get(key).body)
        store.put(key, b"{" if spoil == "garble" else json.dumps(values | {"schema": 99}).encode())
    anew = bench.train(settings=SHORT, checkpoints=checkpoints)
    np.testing.assert_array_equal(logits(anew), logits(bench.train(settings=SHORT)))


# Several workers


@pytest.mark.parametrize(("size", "rehearse"), [(2, False), (3, False), (2, True)])
def test_several_workers_make_the_model_of_one(
    without_dropout: Path, use: EncoderUse, tmp_path: Path, size: int, rehearse: bool
) -> None:
    """A batch of 32 has two micro-batches, the last of an epoch one: three workers do not all have work."""
    settings = QUICK.model_copy(
        update={
            "batch_size": 32,
            "validation_from": 1000 if rehearse else 40,
            "class_weights": "balanced",
            "head_start": "logistic-regression",
        }
    )
    (tmp_path / "alone").mkdir()
    alone = Bench(without_dropout, use, tmp_path / "alone").train(count=52, settings=settings, rehearse=rehearse)
    barrier, given = Barrier(size), dict[int, list[Tensor]]()

    def work(rank: int) -> tuple[FineTunedModel | None, list[Progress]]:
        folder = tmp_path / str(rank)
        folder.mkdir()
        bench = Bench(without_dropout, use, folder)
        group = Threads(rank, size, barrier, given)
        return bench.work(count=52, settings=settings, group=group, rehearse=rehearse), bench.reports

    with ThreadPoolExecutor(size) as pool:
        (first, reports), *others = pool.map(work, range(size))
    assert first is not None
    np.testing.assert_allclose(logits(first), logits(alone), atol=2e-3)
    assert reports
    assert others == [(None, [])] * (size - 1)


def test_bfloat16_learns_the_same(bench: Bench) -> None:
    assert accuracy(bench.train(precision="bfloat16")) > 0.95
