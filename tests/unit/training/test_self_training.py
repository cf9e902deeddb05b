"""Self-training: the best round is kept, an interrupted round continues, and two workers make the model of one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.checkpoints import change_config
from tests.learning import NAMES, examples, logits, next_folder
from tornio.errors import InvalidInput
from tornio.models.finetuned import FineTunedModel
from tornio.schemas.registry import EncoderUse
from tornio.spec import FineTuningSpec
from tornio.storage.memory import MemoryStore
from tornio.training import self_training
from tornio.training.checkpoints import CheckpointStore, StoredCheckpoints
from tornio.training.data import Data
from tornio.training.hooks import Hooks, Progress
from tornio.training.methods.self_training import SelfTrainingSettings
from tornio.training.self_training import fit
from tornio.training.supervised import Work
from tornio.training.supervised import fit as fit_supervised
from tornio.training.targets import Labelled

pytestmark = pytest.mark.model

QUICK = FineTuningSpec(epochs=8, batch_size=16, learning_rate=2e-3, head_learning_rate=1e-2, head_start="random")
SHORT = QUICK.model_copy(update={"epochs": 2})
SMALL = SelfTrainingSettings(rounds=3, sample_size=40, learn_size=24, mc_passes=3, epochs=3)


def pool(count: int = 70) -> list[str]:
    return [f"{text} again {number}" for number, text in enumerate(examples(count, seed=5)[0])]


@dataclass
class Bench:
    """``train(...)``: a model of 24 labels and 70 texts without, in a folder of its own."""

    base: Path
    use: EncoderUse
    folder: Path
    reports: list[Progress] = field(default_factory=list)

    def train(
        self,
        labels: int = 24,
        texts: Sequence[str] | None = None,
        tuning: FineTuningSpec = QUICK,
        settings: SelfTrainingSettings = SMALL,
        labelled: Labelled | None = None,
        **hooks: Any,
    ) -> FineTunedModel:
        out = next_folder(self.folder)
        given = labelled or Labelled.of(*examples(labels), NAMES, False)
        model = fit(
            given, NAMES, pool() if texts is None else texts, self.base, self.use, out, tuning, settings, 0,
            precision="float32", hooks=Hooks(**{"report": self.reports.append, **hooks}),
        )  # fmt: skip
        assert model is not None
        return model


@pytest.fixture
def bench(tiny_base: Path, use: EncoderUse, tmp_path: Path) -> Bench:
    return Bench(tiny_base, use, tmp_path)


@pytest.fixture
def losses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The held-out loss of each round, in place of the one that is measured. The rounds are made all the same."""
    said: list[float] = []
    judge = self_training._judge

    def judged(parts: Any, Y: Any, number: int) -> Any:
        return replace(judge(parts, Y, number), loss=said[number])

    monkeypatch.setattr(self_training, "_judge", judged)
    return said


def test_the_round_with_the_least_loss_on_held_out_labels_is_kept(bench: Bench) -> None:
    metrics = bench.train(labels=36).head.metrics
    measured = [metrics[f"round_{n}_held_out_log_loss"] for n in range(4) if f"round_{n}_held_out_log_loss" in metrics]
    assert 2 <= len(measured) <= 4
    assert metrics["round"] == np.argmin(measured)
    assert metrics["held_out_log_loss"] == min(measured)


def test_rounds_end_with_one_that_is_no_better_and_the_best_is_told(bench: Bench, losses: list[float]) -> None:
    losses += [0.9, 0.7, 0.8, 0.1]
    model = bench.train()
    metrics = model.head.metrics
    assert model.chosen is not None
    assert model.chosen[0] == "fine-tuned"
    assert model.chosen[1] == (
        "round 1 of self-training: log-loss on labels that were held out: supervised 0.900, round 1 0.700, "
        "round 2 0.800 (24 labelled texts, 70 without a label)"
    )
    assert (metrics["round"], metrics["examples"]) == (1, 24 + sum(metrics[f"round_1_texts_of_{n}"] for n in NAMES))
    assert max(metrics[f"round_1_texts_of_{name}"] for name in NAMES) <= SMALL.learn_size / 3
    assert 0 <= metrics["round_1_bald"] < np.log(3)
    assert "round_3_held_out_log_loss" not in metrics
    steps = [report.step for report in bench.reports]
    assert steps == sorted(set(steps))
    assert {report.steps for report in bench.reports} == {bench.reports[0].steps}
    assert steps[-1] <= bench.reports[0].steps


def test_where_no_round_is_better_the_model_is_the_supervised_one(bench: Bench, losses: list[float]) -> None:
    losses += [0.7, 0.7]
    model = bench.train()
    assert model.chosen is not None
    assert model.chosen[1].startswith("supervised, because no round of self-training is better: ")
    (bench.folder / "supervised").mkdir()
    plain = fit_supervised(
        Labelled.of(*examples(24), NAMES, False), NAMES, False, bench.base, bench.use, bench.folder / "supervised",
        QUICK, 0, precision="float32", rehearse=True,
    )  # fmt: skip
    assert plain is not None
    np.testing.assert_allclose(logits(model), logits(plain), atol=1e-4)
    assert model.head.metrics["temperature"] == pytest.approx(plain.head.metrics["temperature"], rel=1e-3)


def test_balanced_classes_count_the_texts_of_the_student_and_not_the_labels_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, float]] = []
    real = Work.train

    def watched(work: Work, data: Data, *rest: Any) -> Any:
        counts = (data.train.targets * data.train.weights[:, None]).sum(0)
        seen.append((len(data.train), float((counts * data.class_weights).std())))
        return real(work, data, *rest)

    monkeypatch.setattr(Work, "train", watched)
    bench.train(tuning=QUICK.model_copy(update={"class_weights": "balanced"}))
    assert max(size for size, _ in seen) > 24, "a student has learned"
    assert max(spread for _, spread in seen) == pytest.approx(0, abs=1e-3), (
        "each class counts the same in each training"
    )


def test_texts_that_judge_may_have_words_that_no_other_text_has(bench: Bench, losses: list[float]) -> None:
    losses += [0.9, 0.7, 0.8]
    words = ["alpha", "beta", "gamma", "delta", "kappa", "sigma", "omega", "lambda", "theta", "iota", "zeta", "omicron"]
    texts, labels = examples(12)
    labelled = Labelled.of([f"{text} {word}" for text, word in zip(texts, words, strict=True)], labels, NAMES, False)
    assert bench.train(labelled=labelled, tuning=SHORT).head.metrics["round"] == 1


def test_labels_that_validate_judge(bench: Bench, losses: list[float]) -> None:
    losses += [0.9, 0.7, 0.6, 0.5]
    tuning = QUICK.model_copy(update={"validation_from": 20, "validation_share": 0.3})
    metrics = bench.train(labels=36, tuning=tuning).head.metrics
    assert metrics["round"] == 3
    assert metrics["validation_examples"] == 12
    assert metrics["examples"] == 24 + sum(metrics[f"round_3_texts_of_{name}"] for name in NAMES)


def test_too_few_labels_to_hold_some_out_are_told(bench: Bench) -> None:
    labelled = Labelled.of(["the refund", "the dog"], [("money",), ("animal",)], NAMES, False)
    model = bench.train(labelled=labelled)
    assert model.chosen is not None
    assert "2 labelled texts are too few to hold some out" in model.chosen[1]
    assert model.head.metrics["round"] == 0


def test_what_cannot_teach_is_refused(bench: Bench) -> None:
    one_class = Labelled.of(["one", "two"], [("money",)] * 2, NAMES, False)
    refused: list[tuple[str, dict[str, Any]]] = [
        ("has none that is neither labelled nor held out", {"texts": []}),
        ("at least 20 texts that have no label and are not held out, and the pool has 19", {"texts": pool(19)}),
        ("all 30 texts without a label are alike", {"texts": ["the dog"] * 30}),
        ("at least one other class", {"labelled": one_class}),
    ]
    for said, options in refused:
        with pytest.raises(InvalidInput, match=said):
            bench.train(**options)


def test_a_base_without_dropout_is_refused(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> None:
    dry = tmp_path_factory.mktemp("dry") / "base"
    shutil.copytree(bench.base, dry)
    bench.base = change_config(dry, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    with pytest.raises(InvalidInput, match="the base model has no dropout"):
        bench.train(tuning=SHORT)


def test_a_pool_below_the_sample_is_read_whole(bench: Bench, losses: list[float]) -> None:
    losses += [0.9, 0.7, 0.8]
    settings = SMALL.model_copy(update={"sample_size": 1000, "learn_size": 900})
    metrics = bench.train(texts=pool(25), settings=settings).head.metrics
    assert sum(metrics[f"round_1_texts_of_{name}"] for name in NAMES) == 25


# Interrupted


class Interrupted(Exception):
    pass


@dataclass
class Interrupting:
    """Ends the training right after its n-th checkpoint, whatever it is of."""

    into: CheckpointStore
    left: list[int]

    def put(self, step: int, folder: Path) -> None:
        self.into.put(step, folder)
        self.left[0] -= 1
        if self.left[0] == 0:
            raise Interrupted

    def fetch(self, folder: Path) -> bool:
        return self.into.fetch(folder)

    def part(self, name: str) -> Interrupting:
        return Interrupting(self.into.part(name), self.left)

    def clear(self) -> None:
        self.into.clear()


def test_interrupted_and_resumed_is_as_undisturbed(bench: Bench, losses: list[float]) -> None:
    """In different rounds of the halves and of the chain that makes the version."""
    losses += [0.9, 0.8, 0.7, 0.75]
    undisturbed, told = bench.train(tuning=SHORT), bench.reports.copy()
    counting = Interrupting(StoredCheckpoints(MemoryStore(), "training/"), [10**6])
    bench.train(tuning=SHORT, checkpoints=counting, checkpoint_seconds=0)
    checkpoints = 10**6 - counting.left[0]
    for at in range(checkpoints // 4, checkpoints, checkpoints // 4):
        store = StoredCheckpoints(MemoryStore(), "training/")
        bench.reports.clear()
        with pytest.raises(Interrupted):
            bench.train(tuning=SHORT, checkpoints=Interrupting(store, [at]), checkpoint_seconds=0)
        resumed = bench.train(tuning=SHORT, checkpoints=store, checkpoint_seconds=3600)
        assert bench.reports == told, "something was done twice, or not at all"
        np.testing.assert_array_equal(logits(undisturbed), logits(resumed))
        assert undisturbed.head.metrics == resumed.head.metrics
        assert undisturbed.chosen == resumed.chosen


def test_a_finished_round_keeps_what_it_said_and_not_its_weights(bench: Bench, losses: list[float]) -> None:
    losses += [0.9, 0.9]
    objects = MemoryStore()
    bench.train(tuning=SHORT, checkpoints=StoredCheckpoints(objects, ""), checkpoint_seconds=0)
    kept = {key.rpartition("/")[0].rpartition("/")[0] for key in (info.key for info in objects.list(""))}
    assert kept == {"half-1-0", "half-1-1", "half-2-0", "half-2-1", "all-0/steps"}


def test_other_settings_do_not_continue(bench: Bench, losses: list[float]) -> None:
    losses += [0.9, 0.8, 0.85]
    store = StoredCheckpoints(MemoryStore(), "training/")
    bench.train(checkpoints=store)
    other = SMALL.model_copy(update={"mc_passes": 4})
    np.testing.assert_array_equal(
        logits(bench.train(settings=other, checkpoints=store)), logits(bench.train(settings=other))
    )


def test_parts_of_a_training_keep_checkpoints_apart(tmp_path: Path) -> None:
    store = MemoryStore()
    whole = StoredCheckpoints(store, "training/")
    (tmp_path / "state.safetensors").write_bytes(b"weights")
    (tmp_path / "state.json").write_text("{}")
    whole.part("half-1-2").put(3, tmp_path)
    found = tmp_path / "found"
    found.mkdir()
    assert not whole.fetch(found)
    assert not whole.part("half-1").fetch(found)
    whole.put(7, tmp_path)
    assert whole.part("half-1-2").fetch(found)
    whole.clear()
    assert not list(store.list(""))


# Several workers

WORKER = """
import json, sys
from pathlib import Path
import torch
from tornio.schemas.registry import EncoderUse
from tornio.spec import FineTuningSpec
from tornio.training.methods.self_training import SelfTrainingSettings
from tornio.training.self_training import fit
from tornio.training.targets import Labelled

base, out, store, rank, given = sys.argv[1:]
torch.set_num_threads(1)
torch.distributed.init_process_group("gloo", f"file://{store}", rank=int(rank), world_size=2)
given = json.loads(given)
names = tuple(given["names"])
labelled = Labelled.of(given["texts"], [tuple(row) for row in given["labels"]], names, False)
use = EncoderUse(digest="0" * 64, pooling="mean", normalise=True, max_length=32)
model = fit(
    labelled, names, given["pool"], Path(base), use, Path(out), FineTuningSpec(**given["tuning"]),
    SelfTrainingSettings(**given["settings"]), 0, precision="float32",
)
assert (model is None) == (int(rank) > 0)
if model is not None:
    result = [dict(model.head.metrics), model.score(given["asked"]).logits.tolist()]
    Path(out, "result.json").write_text(json.dumps(result))
torch.distributed.barrier()
torch.distributed.destroy_process_group()  # or the threads of gloo may abort the process at its end
"""


def test_two_workers_make_the_model_of_one(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Processes and not threads, because threads share the random numbers that dropout is drawn from."""
    texts, labels = examples(36)
    tuning, settings = SHORT.model_copy(update={"batch_size": 32}), SMALL.model_copy(update={"rounds": 1})
    given = {
        "names": NAMES, "texts": texts, "labels": labels, "pool": pool(), "asked": examples(30, seed=9)[0],
        "tuning": tuning.model_dump(), "settings": settings.model_dump(),
    }  # fmt: skip
    folder, workers = tmp_path_factory.mktemp("workers"), []
    for rank in range(2):
        out = folder / str(rank)
        out.mkdir()
        arguments = [bench.base, out, folder / "store", rank, json.dumps(given)]
        workers.append(subprocess.Popen([sys.executable, "-c", WORKER, *map(str, arguments)]))
    alone = bench.train(labels=36, tuning=tuning, settings=settings)
    assert [worker.wait(600) for worker in workers] == [0, 0]
    metrics, both = json.loads((folder / "0" / "result.json").read_text())
    assert metrics.keys() == alone.head.metrics.keys()
    assert metrics["round"] == alone.head.metrics["round"]
    np.testing.assert_allclose([*metrics.values()], [*alone.head.metrics.values()], rtol=2e-2, atol=1e-4)
    np.testing.assert_allclose(both, logits(alone), atol=2e-3)
