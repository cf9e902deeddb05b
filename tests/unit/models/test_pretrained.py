"""A checkpoint that does not fill its model is refused, whatever the way in."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.checkpoints import change_config, change_weights, classifier, tiny
from tornio.errors import InvalidInput
from tornio.models.engine import classifier_for, engine_for
from tornio.models.limits import _COUNT_FROM_PADDING, most_tokens
from tornio.models.loading import Loader
from tornio.models.nli import NliZeroShot
from tornio.models.pretrained import load_body, load_classifier, load_config
from tornio.models.proof import prove
from tornio.models.sequence import SequenceClassifier
from tornio.models.sources import describe, publish_encoder, resolve_encoder
from tornio.models.tokens import Tokenizer
from tornio.registry import Encoders, NodeCache
from tornio.schemas.registry import EncoderUse
from tornio.spec import LabelSpec
from tornio.storage.memory import MemoryStore
from tornio.training.network import Network

pytestmark = pytest.mark.model
LABELS = ("bad", "good")


def wrapped(tensors: dict[str, Any]) -> dict[str, Any]:
    return {f"wrapper.{name}": tensor for name, tensor in tensors.items()}


def test_a_head_that_is_not_there_is_named(tmp_path: Path) -> None:
    folder = change_config(tiny(tmp_path), id2label={"0": "bad", "1": "good"}, label2id={"bad": 0, "good": 1})
    with pytest.raises(InvalidInput, match=r"it lacks classifier\.bias, classifier\.weight"):
        SequenceClassifier(folder, LABELS, multi_label=False, max_length=16)
    change_config(folder, id2label={"0": "entailment", "1": "contradiction"}, label2id=None)
    with pytest.raises(InvalidInput, match=r"classifier\.weight"):
        NliZeroShot(folder, "x", 16)


@pytest.mark.parametrize("tensors", [wrapped, lambda tensors: {}, lambda tensors: dict(list(tensors.items())[:-5])])
def test_an_encoder_whose_weights_are_not_there_is_refused_everywhere(tmp_path: Path, tensors: Any) -> None:
    folder = change_weights(tiny(tmp_path / "model"), tensors)
    store = MemoryStore()
    loader = Loader(store, NodeCache(tmp_path / "cache", store), "float32")
    ways: list[Any] = [
        lambda: load_body(folder, "float32"),
        lambda: publish_encoder(resolve_encoder(str(folder)), Encoders(store), "float32"),
        lambda: loader.encoder_use(str(folder), 16),
        lambda: Network(folder, "mean", 2),
    ]
    for way in ways:
        with pytest.raises(InvalidInput, match=r"it lacks .*(embeddings|encoder)\."):
            way()
    assert list(store.list("")) == []


def test_what_is_not_read_may_lack_or_be_there_besides(tmp_path: Path) -> None:
    def without_pooler(tensors: dict[str, Any]) -> dict[str, Any]:
        kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("pooler.")}
        besides = ("cls.predictions.bias", "lm_loss.weight", "embeddings.position_ids", "encoder.layer.0.attn.bias")
        return kept | {name: torch.ones(3) for name in besides}

    load_body(change_weights(tiny(tmp_path / "body"), without_pooler), "float32")
    load_body(classifier(tmp_path / "classifier"), "float32")
    load_classifier(classifier(tmp_path / "roberta", kind="Roberta"), "float32")


def test_weights_without_a_place_are_refused(tmp_path: Path) -> None:
    folder = change_weights(tiny(tmp_path), lambda tensors: tensors | {"encoder.layer.0.lora_A.weight": torch.ones(2)})
    with pytest.raises(InvalidInput, match=r"no place for .*lora_A"):
        load_body(folder, "float32")
    change_config(folder, num_hidden_layers=1)
    with pytest.raises(InvalidInput, match=r"no place for encoder\.layer\.0.* and \d+ more"):
        load_body(folder, "float32")


def test_a_config_does_not_choose_the_attention(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.integrations import hub_kernels

    def fetched(*args: object, **kwargs: object) -> None:
        raise AssertionError("a kernel was fetched")

    for name in ("load_and_register_attn_kernel", "lazy_load_kernel", "get_kernel"):
        monkeypatch.setattr(hub_kernels, name, fetched, raising=False)
    folder = change_config(tiny(tmp_path), attn_implementation="acme/kernel", _attn_implementation="acme/kernel")
    assert load_body(folder, "float32").config._attn_implementation in ("sdpa", "eager")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architectures": 5}, "architectures: 5"),
        ({"model_type": 7}, "no config.json of a transformers model"),
        ({"quantization_config": {"quant_method": "mxfp4"}}, "quantised"),
        ({"transformers_weights": "../other.safetensors"}, "transformers_weights"),
        ({"hidden_size": "wide"}, "dimension"),
        ({"num_attention_heads": 0}, "cannot be loaded"),
        ({"vocab_size": 10}, "token ids up to 18"),
    ],
)
def test_a_config_that_cannot_be_used_says_why(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    folder = change_config(tiny(tmp_path), **changes)
    with pytest.raises(InvalidInput, match=re.escape(message)):
        prove(describe(folder, "x"), "float32")


def test_a_broken_header_says_so(tmp_path: Path) -> None:
    folder = tiny(tmp_path)
    (folder / "model.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(InvalidInput, match="incomplete safetensors"):
        load_body(folder, "float32")


def test_shards_are_read_from_the_folder_only(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "model")
    (folder / "model.safetensors").rename(tmp_path / "other.safetensors")
    index = {"metadata": {}, "weight_map": {"embeddings.word_embeddings.weight": "../other.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(InvalidInput, match="outside the folder"):
        load_body(folder, "float32")


LONG = " ".join(["the parcel came late"] * 60)


@pytest.mark.parametrize(
    ("kind", "config", "longest"),
    [
        ("Bert", {}, 34),
        ("Data2VecText", {}, 32),
        ("Longformer", {"attention_window": [8, 8], "max_position_embeddings": 66}, 64),
        ("RobertaPreLayerNorm", {}, 32),
        ("XLMRobertaXL", {}, 32),
        ("Roberta", {"pad_token_id": 5}, 28),
        ("MPNet", {}, 32),
        ("GPT2", {"max_position_embeddings": 64, "pad_token_id": None, "eos_token_id": 3}, 64),
    ],
)
def test_a_long_text_is_cut_at_the_last_position(tmp_path: Path, kind: str, config: Any, longest: int) -> None:
    pad = None if kind == "GPT2" else "[PAD]"
    folder = classifier(tmp_path, kind=kind, pad=pad, **config)
    prove(describe(folder, "x"), "float32")
    model = SequenceClassifier(folder, LABELS, multi_label=False, max_length=256, precision="float32")
    scores = model.score([LONG, "the parcel", "great service thanks", ""])
    assert scores.truncated.tolist() == [True, False, False, False]
    assert model._tokenizer.max_length == longest
    alone = np.concatenate([model.score([text]).logits for text in (LONG, "the parcel", "great service thanks", "")])
    assert scores.logits == pytest.approx(alone, abs=1e-5)


def test_the_families_that_count_from_padding_are_those_of_transformers(tmp_path: Path) -> None:
    special: dict[str, dict[str, Any]] = {
        "Xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
        "Lilt": {"channel_shrink_ratio": 2},
        "Luke": {"entity_vocab_size": 5, "entity_emb_size": 8},
    }
    for kind in ("Camembert", "XLMRoberta", "Xmod", "IBert", "Lilt", "Luke", "Esm"):
        folder = tiny(tmp_path / kind, kind, **special.get(kind, {}))
        config = load_config(folder)
        assert config.model_type in _COUNT_FROM_PADDING
        assert most_tokens(config) == 32


def test_a_limit_that_is_not_known_is_found_by_the_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny(tmp_path, "Roberta")
    monkeypatch.setattr("tornio.models.limits._COUNT_FROM_PADDING", frozenset())
    monkeypatch.setattr("tornio.models.engine._packs", lambda model: False)
    with pytest.raises(InvalidInput, match=r"cannot read a text of 34 tokens .*model_max_length"):
        prove(describe(folder, "x"), "float32")


def test_an_nli_model_of_bart_is_proved_and_answers(tmp_path: Path) -> None:
    names = ("contradiction", "neutral", "entailment")
    sizes = {f"{part}_{what}": n for part in ("encoder", "decoder") for what, n in (("layers", 1), ("ffn_dim", 64))}
    tokens = {"bos_token_id": 0, "eos_token_id": 3, "decoder_start_token_id": 3, "forced_eos_token_id": 3}
    folder = classifier(tmp_path, names, kind="Bart", d_model=32, **sizes, **tokens)
    prove(describe(folder, "x"), "float32")
    teacher = NliZeroShot(folder, "x", 34, "float32")
    labels = [LabelSpec(name="late"), LabelSpec(name="broken")]
    assert teacher.score([LONG, "the parcel"], labels, ["my parcel is {}"]).probabilities.shape == (2, 2)


@pytest.mark.parametrize("kind", ["Deberta", "FNet"])
def test_a_model_is_proved_in_the_precision_of_the_node(tmp_path: Path, kind: str) -> None:
    store = MemoryStore()
    source = describe(tiny(tmp_path, kind), "x")
    with pytest.raises(InvalidInput, match="TORNIO_PRECISION=float32") as refused:
        publish_encoder(source, Encoders(store), "bfloat16")
    assert "model_max_length" not in str(refused.value)
    assert publish_encoder(source, Encoders(store), "float32").dimension == 32


def test_capital_letters_that_the_makers_made_small_are_not_read_as_others(tmp_path: Path) -> None:
    folder = tiny(tmp_path)
    (folder / "sentence_bert_config.json").write_text('{"do_lower_case": true}')
    with pytest.raises(InvalidInput, match="do_lower_case"):
        prove(describe(folder, "x"), "float32")
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"normalizer": {"type": "Lowercase"}}))
    prove(describe(folder, "x"), "float32")


def test_the_pretrained_head_of_luke_is_left_out(tmp_path: Path) -> None:
    folder = tiny(tmp_path, "Luke", "ForMaskedLM", entity_vocab_size=5, entity_emb_size=8)
    prove(describe(folder, "x"), "float32")


def test_weights_that_are_not_finite_are_not_published(tmp_path: Path) -> None:
    folder = change_weights(
        tiny(tmp_path), lambda tensors: {name: tensor * float("nan") for name, tensor in tensors.items()}
    )
    with pytest.raises(InvalidInput, match="not all finite"):
        prove(describe(folder, "x"), "float32")


def test_a_fine_tuned_model_with_a_random_body_does_not_load(tmp_path: Path) -> None:
    from tornio.models.finetuned import FineTunedModel

    folder = change_weights(tiny(tmp_path), wrapped)
    use = EncoderUse(digest="0" * 64, pooling="mean", normalise=False, max_length=16, layer=-1)
    with pytest.raises(InvalidInput, match="it lacks"):
        FineTunedModel.load(folder, use, "float32")


def test_engines_are_made_of_what_was_loaded(tmp_path: Path) -> None:
    folder = classifier(tmp_path)
    tokens = Tokenizer(folder, 16).encode(["the parcel came late"])
    assert engine_for(load_body(folder, "float32")).pooled(tokens, "mean").shape == (1, 32)
    assert classifier_for(load_classifier(folder, "float32")).logits(tokens).shape == (1, 2)
