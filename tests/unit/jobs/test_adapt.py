"""Domain adaptation as a job: an encoder with a name, made of the task's texts without its hold-out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from bench.swapping.workshop import tiny_encoder
from jobs.context import JobContext
from jobs.requests import plan_request
from jobs.running.execute import execute
from tests.checkpoints import tiny
from tornio.errors import InvalidInput
from tornio.models.sources import resolve_encoder
from tornio.models.tokens import Tokenizer
from tornio.records import Record
from tornio.registry import Encoders
from tornio.schemas.jobs import AdaptOutput
from tornio.schemas.registry import EncoderUse
from tornio.schemas.runs import RunPlan
from tornio.spec import TaskSpec
from tornio.storage.memory import MemoryStore
from tornio.tasks import Task, Tasks, adaptable_rows, reserve, unlabelled_rows
from tornio.training.adapting.adapt import Settings, adapt
from tornio.training.adapting.masked import HEADS, MaskedNetwork, loss_of
from tornio.training.adapting.masking import Masker
from tornio.training.adapting.texts import split_texts

pytestmark = pytest.mark.model
WORDS = [
    "river",
    "city",
    "mountain",
    "harbour",
    "horse",
    "dog",
    "eagle",
    "fish",
    "invoice",
    "refund",
    "price",
    "charge",
]
OPTIONS = {"epochs": 2, "batch_size": 32, "learning_rate": 2e-3, "max_length": 32}
USE = EncoderUse(digest="0" * 64, pooling="mean", normalise=True, max_length=32)


def sentences(count: int) -> list[str]:
    random = np.random.default_rng(0)
    return [f"the {' and the '.join(random.choice(WORDS, 3))} number {n}" for n in range(count)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobContext:
    monkeypatch.setenv("TORNIO_S3_BUCKET", "tornio")
    return JobContext.over(MemoryStore(), tmp_path / "cache", "float32")


def task_of(context: JobContext, base: Path, texts: list[str], **loop: Any) -> Task:
    spec = {"workspace": "w", "name": "t", "labels": ["a", "b"], "teacher": {"kind": "none"}}
    spec |= {"classifier": {"encoder": str(base), "max_length": 32}, "loop": loop}
    Tasks(context.store).apply(TaskSpec.model_validate(spec), "test")
    task = Tasks(context.store).open("w", "t")
    task.add_records([Record(f"r{n:04d}", text) for n, text in enumerate(texts)])
    return task


def planned(context: JobContext, **asked: Any) -> RunPlan:
    return plan_request("adapt", "w", "t", {**OPTIONS, "name": "adapted", **asked}, context)


def result(context: JobContext, plan: RunPlan, attempt: int = 1) -> AdaptOutput:
    return AdaptOutput.model_validate(execute(plan, attempt, context).output)


@pytest.mark.parametrize(
    ("objective", "class_name", "head"),
    [("masked-language", "BertForMaskedLM", "new:"), ("contrastive", "BertModel", "")],
)
def test_the_result_is_a_base_model_like_any_other(
    context: JobContext, base: Path, tmp_path: Path, objective: str, class_name: str, head: str
) -> None:
    from transformers import AutoModel

    task = task_of(context, base, sentences(400))
    output = result(context, planned(context, objective=objective))
    encoders = Encoders(context.store)
    named = encoders.named("adapted")
    assert named is not None
    document = encoders.get(named.digest)
    assert (document.digest, document.parent) == (output.digest, output.parent)
    assert document.parent == context.loader.encoder_use(str(base), 32).digest
    assert (document.architecture, document.dimension) == (class_name, 32)
    assert output.head.startswith(head)
    assert bool(output.head) == bool(head)
    assert output.loss_after < output.loss_before
    assert output.texts + output.held_out < 400, "the hold-out takes no part"
    judged = [point.validation for point in output.curve if point.validation is not None]
    assert len(judged) == 2
    assert min(judged) == pytest.approx(output.loss_after)
    folder = context.cache.folder(document.files)
    assert not [path.name for path in folder.iterdir() if path.suffix in (".bin", ".pt", ".pkl")]
    _, said = AutoModel.from_pretrained(str(folder), output_loading_info=True)
    heads = {name for name in said["unexpected_keys"] if not name.startswith("cls.")}
    assert not said["missing_keys"]
    assert not heads
    fresh = JobContext.over(context.store, tmp_path / "other", "float32").loader
    vectors = [fresh.encoder(fresh.encoder_use(name, 32)).embed(["the dog"]).vectors for name in ("adapted", str(base))]
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3
    assert task.pool.last_seq() == 1


def test_a_base_that_was_adapted_brings_its_head(context: JobContext, base: Path) -> None:
    task_of(context, base, sentences(300))
    first = result(context, planned(context))
    second = result(context, planned(context, base="adapted", name="again"))
    assert second.head == "that of the base"
    assert second.parent == first.digest
    assert second.loss_before == pytest.approx(first.loss_after, rel=0.05)


class Died(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


@pytest.mark.parametrize("objective", ["masked-language", "contrastive"])
def test_the_next_attempt_goes_on_where_the_last_one_died(
    context: JobContext, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, objective: str
) -> None:
    monkeypatch.setenv("TORNIO_TRAIN_CHECKPOINT_SECONDS", "0")
    task_of(context, base, sentences(400))
    plan = planned(context, objective=objective)

    def die(_self: object, stage: str, done: int, total: int, unit: str) -> None:
        if done > 10:
            raise Died

    with monkeypatch.context() as patch:
        patch.setattr("jobs.training_hooks.RunContext.progress", die)
        with pytest.raises(Died):
            execute(plan, 1, context)
    output = result(context, plan, attempt=2)
    lines = context.store.get(plan.run_keys.attempt(2) + "metrics.jsonl").body.splitlines()
    assert json.loads(lines[0])["step"] > 10
    undisturbed = JobContext.over(MemoryStore(), tmp_path / "other", "float32")
    task_of(undisturbed, base, sentences(400))
    assert planned(undisturbed, objective=objective) == plan
    assert result(undisturbed, plan) == output
    assert not list(context.store.list(plan.run_keys.folder("training")))
    assert result(context, plan, attempt=3) == output, "the name is this run's own"


def test_a_run_keeps_its_name_where_another_run_had_the_same_result(
    context: JobContext, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_of(context, base, sentences(300))
    first = result(context, planned(context, name="first"))
    plan = planned(context, name="second")

    def die(_context: object) -> None:
        raise Died

    with monkeypatch.context() as patch:  # behind the name, before the run's output
        patch.setattr("jobs.adapt.forget_checkpoints", die)
        with pytest.raises(Died):
            execute(plan, 1, context)
    second = result(context, plan, attempt=2)
    assert (second.name, second.digest) == ("second", first.digest)
    with pytest.raises(InvalidInput, match="of the name 'second' exists already"):
        planned(context, name="second", epochs=1)


def test_held_out_records_take_no_part(context: JobContext, base: Path) -> None:
    task = task_of(context, base, sentences(200), holdout_share=0.3)
    task.import_labels([(Record("r0000", sentences(1)[0]), ["a"])], "train", "test")
    view, events = task.pool.read(), task.labels.read().events
    rows = adaptable_rows(view, events, task.spec, task.document.holdout_key)
    ids = {view.record_ids[row] for row in rows}
    assert not ids & reserve(task, view, events)
    unlabelled = unlabelled_rows(view, events, task.spec, task.document.holdout_key)
    assert ids == {view.record_ids[row] for row in unlabelled} | {"r0000"}


def test_what_cannot_be_adapted_is_told(context: JobContext, base: Path, tmp_path: Path) -> None:
    task_of(context, base, ["the same text"] * 3 + sentences(50))
    with pytest.raises(InvalidInput, match="different texts to adapt to"):
        execute(planned(context), 1, context)
    with pytest.raises(InvalidInput, match="the name of the base model that Tornio brings"):
        planned(context, name="minilm")
    source = Encoders(context.store).get(context.loader.encoder_use(str(base), 32).digest)
    Encoders(context.store).give_name("taken", source, -1, datetime.now(UTC))
    with pytest.raises(InvalidInput, match="of the name 'taken' exists already"):
        planned(context, name="taken")
    with pytest.raises(InvalidInput, match="Write --name without a slash"):
        planned(context, name="sentence-transformers/all-mpnet-base-v2")
    out = tmp_path / "out"
    out.mkdir()
    texts = split_texts(sentences(120))
    no_mask = tiny(tmp_path / "no-mask")
    with pytest.raises(InvalidInput, match=r"no mask token.*contrastive"):
        adapt(texts, no_mask, USE, out, Settings("masked-language", 1, 32, 1e-3), 0, precision="float32")
    gpt2 = tiny(tmp_path / "gpt2", "GPT2", n_embd=32, n_layer=1, n_head=2)
    with pytest.raises(InvalidInput, match=r"does not know the architecture 'gpt2'.*contrastive"):
        adapt(texts, gpt2, USE, out, Settings("masked-language", 1, 32, 1e-3), 0, precision="float32")
    still = tiny(tmp_path / "still", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    with pytest.raises(InvalidInput, match=r"no dropout.*masked-language"):
        adapt(texts, still, USE, out, Settings("contrastive", 1, 32, 1e-3), 0, precision="float32")


SHAPES: dict[str, dict[str, Any]] = {
    "bert": {},
    "roberta": {"max_position_embeddings": 80},
    "xlm-roberta": {"max_position_embeddings": 80},
    "camembert": {"max_position_embeddings": 80},
    "electra": {"embedding_size": 16},
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 48},
    "mpnet": {},
    "modernbert": {"global_attn_every_n_layers": 1, "pad_token_id": 0, "cls_token_id": 1, "sep_token_id": 2,
                   "bos_token_id": 1, "eos_token_id": 2},
}  # fmt: skip


@pytest.mark.parametrize("kind", HEADS)
def test_the_loss_is_that_of_transformers_own_class(tmp_path: Path, kind: str) -> None:
    from transformers import AutoConfig, AutoModelForMaskedLM

    shape = {"vocab_size": 200, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    shape |= {"intermediate_size": 48, **SHAPES[kind]}
    if kind == "distilbert":
        shape = {"vocab_size": 200, **SHAPES[kind]}
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **shape)
    AutoModelForMaskedLM.from_config(config).save_pretrained(tmp_path)  # type: ignore[no-untyped-call]
    network = MaskedNetwork(tmp_path, "mean").eval()
    assert not network.new_head
    random = np.random.default_rng(1)
    texts = [random.integers(10, 200, random.integers(2, 20)) for _ in range(9)]
    masked = Masker(5, 200, torch.zeros(200, dtype=torch.bool)).mask(texts, torch.Generator().manual_seed(0))
    reference: Any = AutoModelForMaskedLM.from_pretrained(str(tmp_path)).eval()
    start, sums = 0, torch.zeros(())
    labels = torch.full((sum(map(len, texts)),), -100)
    labels[masked.positions] = masked.targets
    for ids in masked.ids:
        ids_in = torch.from_numpy(ids)[None]
        with torch.no_grad():
            logits = reference(input_ids=ids_in, attention_mask=torch.ones_like(ids_in)).logits[0]
        sums += functional.cross_entropy(logits, labels[start : start + len(ids)], reduction="sum")
        start += len(ids)
    with torch.no_grad():
        torch.testing.assert_close(loss_of(network, masked), sums, atol=1e-4, rtol=1e-5)
    out = tmp_path / "out"
    network.write(out)
    _, said = AutoModelForMaskedLM.from_pretrained(str(out), output_loading_info=True)
    assert not said["missing_keys"]


def test_whole_words_of_a_real_tokenizer(base: Path) -> None:
    masker = Masker.of(base, 30522, whole_words=True)
    assert masker.continues is not None
    ids = Tokenizer(resolve_encoder("minilm").folder, 64).encode(["unbelievable embeddings"]).ids[0]
    assert masker.continues[torch.from_numpy(ids)].any()
    assert masker.closed[torch.from_numpy(ids)].tolist() == [True, *[False] * (len(ids) - 2), True]
