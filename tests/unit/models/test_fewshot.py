"""The few-shot model: kilobytes beside a shared encoder, refused when broken."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tornio.errors import UnfitCheckpoint
from tornio.models.decide import decide_labels
from tornio.models.encoder import Encoder
from tornio.models.fewshot import FewShotModel
from tornio.models.head import CONFIG_FILE, WEIGHTS_FILE, LinearHead, sigmoid, softmax
from tornio.schemas.registry import EncoderUse

pytestmark = pytest.mark.unit

USE = EncoderUse(digest="0" * 64, pooling="mean", normalise=True, max_length=64)


def head(multi_label: bool = False) -> LinearHead:
    random = np.random.default_rng(0)
    return LinearHead(
        labels=("bug", "billing", "Größe"),
        multi_label=multi_label,
        weight=random.normal(size=(3, 384)).astype(np.float32),
        bias=random.normal(size=3).astype(np.float32),
    )


@pytest.mark.parametrize("multi_label", [False, True])
def test_what_is_saved_is_what_is_loaded(encoder: Encoder, tmp_path: Path, multi_label: bool) -> None:
    model = FewShotModel(head(multi_label), USE, encoder)
    model.save(tmp_path)
    loaded = FewShotModel.load(tmp_path, USE, encoder)
    assert (loaded.labels, loaded.multi_label) == (model.labels, multi_label)
    texts = ["I was charged twice", ""]
    np.testing.assert_array_equal(loaded.predict_proba(texts), model.predict_proba(texts))
    assert {path.name for path in tmp_path.iterdir()} == {WEIGHTS_FILE, CONFIG_FILE}


def test_scores_of_texts_are_those_of_their_vectors(encoder: Encoder) -> None:
    model = FewShotModel(head(), USE, encoder)
    texts = ["one", "two " * 100]
    scores = model.score(texts)
    assert scores.truncated.tolist() == [False, True]
    assert scores.logits.dtype == scores.probabilities.dtype == np.float32
    np.testing.assert_array_equal(model.score_vectors(model.embed(texts)).logits, scores.logits)
    assert model.predict_proba([]).shape == (0, 3)


def test_probabilities_survive_large_logits() -> None:
    logits = np.array([[1e4, -1e4, 0.0], [0.0, 0.0, 0.0]], dtype=np.float32)
    np.testing.assert_allclose(softmax(logits), np.array([[1, 0, 0], [1 / 3] * 3]), rtol=1e-6)
    np.testing.assert_allclose(sigmoid(logits), np.array([[1, 0, 0.5], [0.5] * 3]), rtol=1e-6)


def rewrite(folder: Path, **arrays: np.ndarray) -> None:
    save_file({**load_file(folder / WEIGHTS_FILE), **arrays}, folder / WEIGHTS_FILE)


def with_nan(folder: Path) -> None:
    rewrite(folder, weight=np.full((3, 384), np.nan, dtype=np.float32))


def with_infinity(folder: Path) -> None:
    rewrite(folder, bias=np.array([0, np.inf, 0], dtype=np.float32))


def of_another_encoder(folder: Path) -> None:
    rewrite(folder, weight=np.zeros((3, 768), dtype=np.float32))


def with_fewer_labels(folder: Path) -> None:
    (folder / CONFIG_FILE).write_text(json.dumps({"labels": ["bug", "billing"], "multi_label": False}))


def in_double_precision(folder: Path) -> None:
    rewrite(folder, bias=np.zeros(3))


def truncated(folder: Path) -> None:
    body = (folder / WEIGHTS_FILE).read_bytes()
    (folder / WEIGHTS_FILE).write_bytes(body[: len(body) // 2])


def without_weights(folder: Path) -> None:
    (folder / WEIGHTS_FILE).unlink()


def with_garbled_json(folder: Path) -> None:
    (folder / CONFIG_FILE).write_text("{")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (with_nan, "not all finite"),
        (with_infinity, "not all finite"),
        (of_another_encoder, "another encoder"),
        (with_fewer_labels, "label set"),
        (in_double_precision, "must be float32"),
        (truncated, "cannot be read"),
        (without_weights, "cannot be read"),
        (with_garbled_json, "cannot be read"),
    ],
)
def test_a_broken_head_is_refused_with_the_reason(encoder: Encoder, tmp_path: Path, spoil: object, reason: str) -> None:
    head().save(tmp_path)
    spoil(tmp_path)  # type: ignore[operator]
    with pytest.raises(UnfitCheckpoint, match=reason):
        FewShotModel.load(tmp_path, USE, encoder)


def test_labels_are_decided_in_one_place() -> None:
    probabilities = np.array([[0.2, 0.5, 0.3], [0.5, 0.5, 0.0], [0.4, 0.3, 0.3]], dtype=np.float32)
    assert decide_labels(probabilities, ("a", "b", "c"), multi_label=False) == [("b",), ("a",), ("a",)]
    assert decide_labels(probabilities, ("a", "b", "c"), multi_label=True) == [("b",), ("a", "b"), ()]
    assert decide_labels(np.zeros((0, 3), dtype=np.float32), ("a", "b", "c"), multi_label=False) == []
