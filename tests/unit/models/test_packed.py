"""The packed engine: the hidden states of transformers, without its padding."""

from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tornio.arrays import FloatMatrix
from tornio.models.engine import _warn_once, classifier_for, engine_for
from tornio.models.packed import attention, forward
from tornio.models.packed.architectures import Linear, why_not
from tornio.models.packed.dense import dense, padding
from tornio.models.packed.forward import PackedClassifier, PackedEngine
from tornio.models.padded import PaddedClassifier, PaddedEngine
from tornio.models.tokens import Tokens
from tornio.schemas.registry import Pooling

pytestmark = pytest.mark.model

VOCABULARY, LONGEST, LAYERS, CLASSES = 60, 24, 3, 4
COMMON: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "max_position_embeddings": LONGEST,
    "num_labels": CLASSES,
}
CONFIGURATIONS: dict[str, Any] = {
    "bert": transformers.BertConfig(**COMMON, layer_norm_eps=1e-3),
    "bert-relu": transformers.BertConfig(**COMMON, hidden_act="relu"),
    "roberta": transformers.RobertaConfig(**COMMON | {"max_position_embeddings": LONGEST + 2, "type_vocab_size": 1}),
    "electra": transformers.ElectraConfig(**COMMON, embedding_size=32, hidden_act="gelu_new"),
    "electra-projected": transformers.ElectraConfig(**COMMON, embedding_size=16),
    "distilbert": transformers.DistilBertConfig(
        vocab_size=VOCABULARY,
        dim=32,
        n_layers=LAYERS,
        n_heads=2,
        hidden_dim=40,
        max_position_embeddings=LONGEST,
        num_labels=CLASSES,  # type: ignore[call-arg]
    ),
}
every_architecture = pytest.mark.parametrize("name", CONFIGURATIONS)


def model_of(configuration: Any, auto_class: Any = transformers.AutoModel, seed: int = 0) -> Any:
    """Random in every parameter, biases and norms too, so that one left out shows."""
    torch.manual_seed(seed)
    model = auto_class.from_config(configuration).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.3)
    return model


def tokens_of(rows: Sequence[NDArray[np.int64]], types: Sequence[NDArray[np.int64]] | None = None) -> Tokens:
    return Tokens(list(rows), None if types is None else list(types), np.zeros(len(rows), dtype=bool))


def random_rows(lengths: Sequence[int], seed: int = 0) -> list[NDArray[np.int64]]:
    """Any token anywhere, padding tokens too: a text may spell them out."""
    generator = np.random.default_rng(seed)
    return [generator.integers(0, VOCABULARY, length) for length in lengths]


ROWS = random_rows([*range(1, LONGEST + 1), *range(1, LONGEST + 1), 1, 1, 7, LONGEST])


@cache
def case(name: str) -> tuple[PackedEngine, list[list[FloatMatrix]]]:
    """An engine of small batches, and for each of ``ROWS``, alone, all its hidden states by transformers."""
    model = model_of(CONFIGURATIONS[name])
    hidden = []
    for row in ROWS:
        layers = model(input_ids=torch.from_numpy(row)[None], output_hidden_states=True).hidden_states
        hidden.append([layer[0].numpy() for layer in layers])
    return PackedEngine(model, budget=60), hidden


@every_architecture
@settings(max_examples=20)
@given(
    places=st.lists(st.integers(0, len(ROWS) - 1), max_size=40),
    pooling=st.sampled_from(("cls", "mean")),
    layers=st.lists(st.integers(-LAYERS - 1, -1), min_size=1, max_size=LAYERS + 1, unique=True),
)
def test_equals_transformers_whatever_shares_the_batch(
    name: str, places: list[int], pooling: Pooling, layers: list[int]
) -> None:
    engine, hidden = case(name)
    states = [[hidden[place][layer] for layer in layers] for place in places]
    expected = [[state[0] if pooling == "cls" else state.mean(axis=0) for state in row] for row in states]
    vectors = engine.pooled(tokens_of([ROWS[place] for place in places]), pooling, layers)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, np.reshape(expected, (len(places), 32 * len(layers))), rtol=0, atol=1e-4)


@every_architecture
def test_classes_of_pairs_equal_those_of_transformers(name: str) -> None:
    model = model_of(CONFIGURATIONS[name], transformers.AutoModelForSequenceClassification)
    takes_types = name.startswith(("bert", "electra"))
    types = [np.arange(len(row)) * 2 // len(row) for row in ROWS] if takes_types else None
    expected = []
    for place, row in enumerate(ROWS):
        inputs = {"input_ids": torch.from_numpy(row)[None]}
        if types is not None:
            inputs["token_type_ids"] = torch.from_numpy(types[place])[None]
        expected.append(model(**inputs).logits[0].numpy())
    classifier = classifier_for(model)
    assert isinstance(classifier, PackedClassifier)
    np.testing.assert_allclose(classifier.logits(tokens_of(ROWS, types)), expected, rtol=0, atol=1e-4)
    assert classifier.logits(tokens_of([])).shape == (0, CLASSES)


@pytest.mark.parametrize("name", ["bert", "distilbert", "roberta", "electra"])
def test_bfloat16_finds_the_same_highest_losses(name: str) -> None:
    """The top 1 % of 600 texts, by cross-entropy against random labels; only neighbours at the cut change places."""
    model = model_of(CONFIGURATIONS[name], transformers.AutoModelForSequenceClassification)
    generator = np.random.default_rng(1)
    tokens = tokens_of(random_rows(generator.integers(1, LONGEST + 1, 600).tolist(), seed=2))
    labels = torch.from_numpy(generator.integers(0, CLASSES, 600))

    def losses() -> torch.Tensor:
        logits = torch.from_numpy(classifier_for(model).logits(tokens))
        return torch.nn.functional.cross_entropy(logits, labels, reduction="none")

    exact = losses()
    model.to(torch.bfloat16)
    coarse = losses()
    assert not torch.equal(exact, coarse)
    top, found = exact.topk(6), coarse.topk(6)
    assert len(set(top.indices.tolist()) & set(found.indices.tolist())) >= 5
    assert exact[found.indices].min() >= 0.98 * top.values.min()


def test_threads_share_an_engine() -> None:
    engine, _ = case("bert")
    parts = [tokens_of(ROWS[start::4]) for start in range(4)]
    alone = [engine.pooled(part, "mean") for part in parts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda part: engine.pooled(part, "mean"), parts))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("layer", "run"), [(-1, LAYERS), (-2, LAYERS - 1), (0, 0)])
def test_no_layer_is_run_for_nothing(monkeypatch: pytest.MonkeyPatch, layer: int, run: int) -> None:
    engine, _ = case("bert")
    depths = []
    plain = forward._PackedLayer.__call__

    def counted(self: Any, hidden: torch.Tensor, *rest: Any) -> torch.Tensor:
        depths.append(len(hidden))
        return plain(self, hidden, *rest)

    monkeypatch.setattr(forward._PackedLayer, "__call__", counted)
    engine.pooled(tokens_of(ROWS[:5]), "cls", (layer,))
    assert depths == [15] * run  # 1 + 2 + ... + 5 tokens, no padding


def test_the_transformers_model_is_not_kept() -> None:
    for auto_class, make in (
        (transformers.AutoModel, engine_for),
        (transformers.AutoModelForSequenceClassification, classifier_for),
    ):
        model = model_of(CONFIGURATIONS["bert"], auto_class)
        body = weakref.ref(model.base_model)
        made = make(model)
        del model
        gc.collect()
        assert body() is None
        assert made is not None


@pytest.mark.parametrize("rows", [1, 7, 64, 65, 200])
def test_prepacked_weights_give_the_same_product(rows: int) -> None:
    """As they are used in bfloat16 on a processor that computes in it; here in float32."""
    torch.manual_seed(0)
    linear = Linear(torch.randn(48, 32), torch.randn(48))
    x = torch.randn(rows, 32)
    with torch.inference_mode():
        torch.testing.assert_close(dense(linear, prepacked=True)(x), dense(linear, prepacked=False)(x))


def test_few_numbers_of_rows_have_a_kernel() -> None:
    padded = {rows: rows + padding(rows) for rows in range(1, 4097)}
    assert len(set(padded.values())) == 8 + 12 + 60
    assert all(rows <= more < rows + 64 for rows, more in padded.items())
    assert max(more / rows for rows, more in padded.items() if rows > 8) < 2


@pytest.mark.parametrize("first_only", [False, True])
def test_varlen_attention_is_told_where_texts_begin(monkeypatch: pytest.MonkeyPatch, first_only: bool) -> None:
    """The way through a GPU, with its kernel played by attention of one text after the other."""

    def played(
        q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, q_ends: torch.Tensor, k_ends: torch.Tensor, *longest: int
    ) -> torch.Tensor:
        assert q_ends.dtype == k_ends.dtype == torch.int32
        assert longest == (int(q_ends.diff().max()), int(k_ends.diff().max()))
        parts = [
            torch.nn.functional.scaled_dot_product_attention(
                q[a:b].transpose(0, 1), k[c:d].transpose(0, 1), v[c:d].transpose(0, 1)
            )
            for a, b, c, d in zip(q_ends, q_ends[1:], k_ends, k_ends[1:], strict=False)
        ]
        return torch.cat([part.transpose(0, 1) for part in parts])

    engine, _ = case("bert")
    pooling: Pooling = "cls" if first_only else "mean"
    expected = engine.pooled(tokens_of(ROWS), pooling)
    monkeypatch.setattr(attention, "_has_varlen", lambda qkv: True)
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", played)
    np.testing.assert_allclose(engine.pooled(tokens_of(ROWS), pooling), expected, rtol=0, atol=1e-5)


def unusual_models() -> dict[str, Any]:
    extra = model_of(CONFIGURATIONS["bert"])
    extra.encoder.layer[0].attention.self.distance = torch.nn.Parameter(torch.zeros(3))
    no_bias = model_of(CONFIGURATIONS["roberta"])
    no_bias.encoder.layer[1].output.dense.bias = None
    old = model_of(transformers.BertConfig(**COMMON | {"position_embedding_type": "relative_key"}))
    return {
        "AlbertModel is not one of": model_of(transformers.AlbertConfig(**COMMON)),
        "BertForMaskedLM is not one of": model_of(CONFIGURATIONS["bert"], transformers.AutoModelForMaskedLM),
        "decoder": model_of(transformers.BertConfig(**COMMON, is_decoder=True)),
        "encoder.layer.0.attention.self.distance": extra,
        "encoder.layer.1.output.dense.bias": no_bias,
        "relative_key": old,
    }


def test_what_is_not_known_for_sure_is_not_packed() -> None:
    for reason, model in unusual_models().items():
        assert reason in (why_not(model) or "")
        assert isinstance(engine_for(model), PaddedEngine)


def test_other_architectures_are_padded_which_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    configuration = transformers.MPNetConfig(**COMMON | {"max_position_embeddings": LONGEST + 2})
    body = model_of(configuration)
    _warn_once.cache_clear()  # another test of this process may have had it said
    with caplog.at_level(logging.WARNING):
        engine, again = engine_for(body), engine_for(body)
    assert [record.getMessage() for record in caplog.records if "MPNetModel" in record.getMessage()] == [
        "MPNetModel runs in padded batches, which are slower than packed ones: MPNetModel is not one of BERT, "
        "DistilBERT, RoBERTa and ELECTRA"
    ]
    rows = [row[row != 1] for row in ROWS[1:]]  # 1 is MPNet's padding
    hidden = [body(input_ids=torch.from_numpy(row)[None], output_hidden_states=True).hidden_states for row in rows]
    for pooling, layer in (("cls", -1), ("mean", -1), ("mean", -2)):
        states = [states[layer][0].numpy() for states in hidden]
        expected = [state[0] if pooling == "cls" else state.mean(axis=0) for state in states]
        for one in (engine, again):
            np.testing.assert_allclose(one.pooled(tokens_of(rows), pooling, (layer,)), expected, rtol=0, atol=1e-4)  # type: ignore[arg-type]
    classifier = classifier_for(model_of(configuration, transformers.AutoModelForSequenceClassification))
    assert isinstance(classifier, PaddedClassifier)
    assert classifier.logits(tokens_of(rows)).shape == (len(rows), CLASSES)
