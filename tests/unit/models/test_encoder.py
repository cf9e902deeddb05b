"""The encoder: a plain forward pass, but batched, and at ease with any string."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tornio.arrays import FloatMatrix
from tornio.errors import InvalidInput
from tornio.models.encoder import Encoder
from tornio.models.probes import TEXTS
from tornio.models.sources import EncoderSource

pytestmark = pytest.mark.model


@lru_cache(1)
def transformers_own(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer

    return AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)


def plain_forward(folder: Path, texts: list[str], pooling: str, normalise: bool) -> np.ndarray:
    """One text at a time through transformers, as a tutorial does it."""
    model, tokenizer = transformers_own(folder)
    vectors = []
    for text in texts:
        inputs = tokenizer(text, truncation=True, max_length=64, return_tensors="pt")
        with torch.no_grad():
            hidden = model(**inputs).last_hidden_state[0]
        vector = hidden.mean(0) if pooling == "mean" else hidden[0]
        vectors.append(vector / vector.norm() if normalise else vector)
    return torch.stack(vectors).numpy()


@pytest.mark.parametrize(("pooling", "normalise"), [("mean", True), ("mean", False), ("cls", True)])
def test_equals_a_plain_forward_pass_whatever_shares_the_batch(
    minilm: EncoderSource, pooling: str, normalise: bool
) -> None:
    texts = [*TEXTS, *(f"Where is platform {i}? " * (i % 7 + 1) for i in range(14))]
    ours = Encoder(minilm.folder, pooling=pooling, normalise=normalise, max_length=64, precision="float32")  # type: ignore[arg-type]
    embedded = ours.embed(texts)
    assert embedded.vectors.dtype == np.float32
    np.testing.assert_allclose(
        embedded.vectors, plain_forward(minilm.folder, texts, pooling, normalise), rtol=0, atol=1e-5
    )


def test_no_text_is_no_vector(encoder: Encoder) -> None:
    embedded = encoder.embed([])
    assert embedded.vectors.shape == (0, 384)
    assert embedded.truncated.shape == (0,)


def test_any_string_has_a_vector_and_cuts_are_told(encoder: Encoder) -> None:
    texts = {
        "": False,
        " ": False,
        "\x00\ud800 lone surrogate": False,
        "word " * 60: False,
        "word " * 63: True,  # 63 words and two special tokens are 65
        "word " * 200_000: True,
        "x" * 1_000_000: False,  # one word, which WordPiece does not know: one token
        " " * 1_000_000 + "after a megabyte of nothing": False,
    }
    embedded = encoder.embed(list(texts))
    assert embedded.truncated.tolist() == list(texts.values())
    assert np.isfinite(embedded.vectors).all()


def test_a_long_text_is_cut_where_the_tokenizer_would_cut_it(encoder: Encoder) -> None:
    start = "The bridge over the river was closed for repairs in the spring. " * 8
    full, head = encoder.embed([start * 500, start]).vectors
    np.testing.assert_allclose(full, head, rtol=0, atol=1e-5)


def test_leading_space_does_not_push_the_text_out(encoder: Encoder) -> None:
    padded, plain = encoder.embed([" " * 100_000 + "a refund, please", "a refund, please"]).vectors
    np.testing.assert_allclose(padded, plain, rtol=0, atol=1e-5)


def test_texts_come_in_windows_and_vectors_in_order(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{i} " * (1 + i * 7 % 5) for i in range(11)]
    at_once = encoder.embed([*texts, "cut " * 70])
    monkeypatch.setattr("tornio.models.encoder.WINDOW", 4)
    by_window = encoder.embed([*texts, "cut " * 70])
    np.testing.assert_allclose(by_window.vectors, at_once.vectors, rtol=0, atol=1e-5)
    assert by_window.truncated.tolist() == [False] * 11 + [True]


def test_threads_share_an_encoder(encoder: Encoder) -> None:
    texts = [[f"question {i} of thread {t} " * (i % 5 + 1) for i in range(10)] for t in range(4)]
    alone = [encoder.embed(t).vectors for t in texts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda t: encoder.embed(t).vectors, texts))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


def test_bfloat16_is_close(minilm: EncoderSource, encoder: Encoder) -> None:
    coarse = Encoder(minilm.folder, pooling="mean", normalise=True, max_length=64, precision="bfloat16")
    cosines = (coarse.embed(TEXTS).vectors * encoder.embed(TEXTS).vectors).sum(axis=1)
    assert cosines.min() > 0.995


@pytest.mark.parametrize("lost", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_folder_that_is_not_whole_is_refused(minilm: EncoderSource, tmp_path: Path, lost: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(minilm.folder, folder, ignore=shutil.ignore_patterns(lost, "vocab.txt"))
    with pytest.raises(InvalidInput, match=str(folder)):
        Encoder(folder, pooling="mean", normalise=True, max_length=64)


def test_a_pickle_is_never_read(minilm: EncoderSource, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(minilm.folder, folder, ignore=shutil.ignore_patterns("model.safetensors"))
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(InvalidInput, match="safetensors"):
        Encoder(folder, pooling="mean", normalise=True, max_length=64)


def test_an_earlier_layer_is_that_of_a_plain_forward_pass(minilm: EncoderSource) -> None:
    texts = ["Where is my parcel?", "The app closes as soon as I open the basket, every time."]
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(minilm.folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(minilm.folder)
    ours = Encoder(minilm.folder, pooling="mean", normalise=False, max_length=64, layers=(-2,), precision="float32")
    for text, vector in zip(texts, ours.embed(texts).vectors, strict=True):
        with torch.inference_mode():
            layers = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states
        np.testing.assert_allclose(vector, layers[-2][0].mean(0).numpy(), rtol=0, atol=1e-5)


def test_several_layers_stand_side_by_side_each_of_length_one(minilm: EncoderSource) -> None:
    def embedded(*layers: int) -> FloatMatrix:
        encoder = Encoder(minilm.folder, pooling="mean", normalise=True, max_length=64, layers=layers)
        found = encoder.embed(["Where is my parcel?", "The app closes as soon as I open the basket."]).vectors
        assert found.shape[1] == encoder.dimension
        return found

    both = embedded(-3, -1)
    np.testing.assert_allclose(both, np.hstack([embedded(-3), embedded(-1)]), rtol=0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(both, axis=1), 2**0.5, rtol=1e-5)
