"""A version that was taken away answers as the server does, in the library that loads its folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.exchange.conftest import LAYERED_FEW_SHOT, TEXTS, Published
from tornio.arrays import FloatMatrix
from tornio.exchange.writers import write_version

pytestmark = pytest.mark.model

LARGEST = 1e-4
"""Difference of a probability."""
FAMILIES: Sequence[tuple[str, dict[str, Any]]] = (
    ("Bert", {}),
    ("Roberta", {}),
    ("XLMRoberta", {}),
    ("Camembert", {}),
    ("Electra", {"embedding_size": 16}),
    ("DistilBert", {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64}),
)


def exported(published: Published, folder: Path) -> Path:
    out = folder / "out"
    out.mkdir()
    write_version(published.source(), out)
    return out


def form(folder: Path) -> str:
    return str(json.loads((folder / "tornio.json").read_text())["form"])


def piped(folder: Path, labels: Sequence[str], batch_size: int = 1) -> FloatMatrix:
    """The probabilities of transformers' pipeline, in the order of the labels."""
    from transformers import pipeline

    made: Any = pipeline
    classify = made("text-classification", str(folder), top_k=None, truncation=True, batch_size=batch_size)
    assert [classify.model.config.id2label[number] for number in range(len(labels))] == list(labels)
    rows = [{one["label"]: one["score"] for one in answer} for answer in classify(list(TEXTS))]
    return np.array([[row[name] for name in labels] for row in rows], dtype=np.float32)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize(("kind", "config"), FAMILIES)
def test_a_fine_tuned_version_is_one_that_the_pipeline_loads(
    published: Published, base: Callable[..., Path], tmp_path: Path, kind: str, config: dict[str, Any], pooling: str
) -> None:
    manifest = published.fine_tuned(base(kind, **config), pooling=pooling, normalise=False)
    folder = exported(published, tmp_path)
    assert form(folder) == "transformers"
    expected = published.expected(manifest)
    assert np.ptp(expected, axis=0).max() > 0.1
    for batch_size in (1, 4):
        assert np.abs(piped(folder, published.labels, batch_size) - expected).max() < LARGEST


def run_card(folder: Path, texts: Sequence[str] = TEXTS) -> dict[str, Any]:
    """Run the lines of Python of a card, with these texts, and return its names."""
    card = (folder / "README.md").read_text(encoding="utf-8")
    lines = card.partition("```python\n")[2].partition("```")[0]
    lines = lines.replace('"FOLDER', f'"{folder}').replace('["a text", "another text"]', repr(list(texts)))
    names: dict[str, Any] = {}
    exec(compile(lines, "card", "exec"), names)  # noqa: S102 - the lines are ours
    return names


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("layer", [-1, -2])
@pytest.mark.parametrize("normalise", [True, False])
def test_a_head_on_one_layer_is_one_of_two_libraries(
    published: Published, base: Callable[..., Path], tmp_path: Path, pooling: str, layer: int, normalise: bool
) -> None:
    manifest = published.few_shot(base(), pooling=pooling, layer=layer, normalise=normalise)
    folder = exported(published, tmp_path)
    assert form(folder) == ("sentence-transformers" if normalise else "transformers")
    probabilities = run_card(folder)["probabilities"].numpy() if normalise else piped(folder, published.labels)
    assert np.abs(probabilities - published.expected(manifest)).max() < LARGEST


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_head_on_several_layers_lies_beside_its_encoder(
    published: Published, base: Callable[..., Path], tmp_path: Path, pooling: str, normalise: bool
) -> None:
    use = {"pooling": pooling, "normalise": normalise, "layers": (-3, -2, -1)}
    manifest = published.few_shot(base(), LAYERED_FEW_SHOT, **use)
    folder = exported(published, tmp_path)
    assert form(folder) == "encoder-and-head"
    probabilities = run_card(folder)["probabilities"].numpy()
    assert np.abs(probabilities - published.expected(manifest)).max() < LARGEST


@pytest.mark.parametrize("kind", ["ModernBert", "MPNet"])
def test_an_architecture_that_is_not_rewritten_goes_to_sentence_transformers(
    published: Published, base: Callable[..., Path], tmp_path: Path, kind: str
) -> None:
    manifest = published.fine_tuned(base(kind), normalise=False)
    folder = exported(published, tmp_path)
    assert form(folder) == "sentence-transformers"
    probabilities = run_card(folder)["probabilities"].numpy()
    assert np.abs(probabilities - published.expected(manifest)).max() < LARGEST


@pytest.mark.parametrize("normalise", [True, False])
def test_several_labels_have_a_sigmoid_each(
    task_with: Callable[..., Published], base: Callable[..., Path], tmp_path: Path, normalise: bool
) -> None:
    published = task_with(multi_label=True)
    manifest = published.fine_tuned(base(), normalise=normalise)
    folder = exported(published, tmp_path)
    probabilities = run_card(folder)["probabilities"].numpy() if normalise else piped(folder, published.labels)
    assert np.abs(probabilities - published.expected(manifest)).max() < LARGEST
    config = json.loads((folder / "config.json").read_text())
    assert config["problem_type"] == "multi_label_classification"
    assert config["thresholds"] == {"refund": 0.25}
    assert "| least probability |" in (folder / "README.md").read_text()


@pytest.mark.parametrize(("labels", "expected"), [(16, "transformers"), (17, "sentence-transformers")])
def test_more_labels_than_half_the_width_go_to_sentence_transformers(
    task_with: Callable[..., Published], base: Callable[..., Path], tmp_path: Path, labels: int, expected: str
) -> None:
    published = task_with(labels=[f"label {number}" for number in range(labels)])
    manifest = published.fine_tuned(base(), normalise=False)
    folder = exported(published, tmp_path)
    assert form(folder) == expected
    found = piped(folder, published.labels) if labels == 16 else run_card(folder)["probabilities"].numpy()
    assert np.abs(found - published.expected(manifest)).max() < LARGEST
