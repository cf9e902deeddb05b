"""Tensors copied from files into one file, as the safetensors library reads them."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from tornio.errors import InvalidInput
from tornio.exchange import weights
from tornio.exchange.families import FAMILIES

pytestmark = pytest.mark.unit

SHAPES = st.lists(st.integers(0, 4), max_size=3).map(tuple)
DTYPES = st.sampled_from([np.float32, np.float16, np.int64, np.uint8])
TENSORS = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(lambda name: name[:2] != "__"),
    st.tuples(SHAPES, DTYPES),
    max_size=5,
)


@given(TENSORS, st.integers(0, 3))
def test_tensors_of_any_type_are_copied_under_other_names(
    tensors: dict[str, tuple[tuple[int, ...], type[np.generic]]], seed: int
) -> None:
    random = np.random.default_rng(seed)
    arrays = {name: (100 * random.random(shape)).astype(dtype) for name, (shape, dtype) in tensors.items()}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / weights.FILE)
        new = {"new": np.array([[1, 2], [3, 4]], np.float32)}
        weights.write(folder / "out", weights.stored(folder), lambda name: f"bert.{name}", new)
        found = load_file(folder / "out")
    assert found.keys() == {f"bert.{name}" for name in arrays} | {"new"}
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[f"bert.{name}"], array)
    np.testing.assert_array_equal(found["new"], new["new"])


def test_the_parts_of_a_large_model_become_one_file(tmp_path: Path) -> None:
    save_file({"a": np.array([1], np.float32)}, tmp_path / "model-1.safetensors")
    save_file({"b": np.array([2], np.float32)}, tmp_path / "model-2.safetensors")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    weights.write(tmp_path / "out", weights.stored(tmp_path), lambda name: None if name == "a" else name)
    assert load_file(tmp_path / "out") == {"b": np.array([2], np.float32)}
    (tmp_path / "model-2.safetensors").unlink()
    with pytest.raises(InvalidInput, match=r"model-2\.safetensors"):
        weights.stored(tmp_path)


@pytest.mark.parametrize(
    ("name", "bare", "layer"),
    [
        ("bert.encoder.layer.11.output.dense.weight", "encoder.layer.11.output.dense.weight", 11),
        ("encoder.layer.0.output.dense.weight", "encoder.layer.0.output.dense.weight", 0),
        ("embeddings.word_embeddings.weight", "embeddings.word_embeddings.weight", None),
        ("embeddings.position_ids", None, None),
        ("cls.predictions.bias", None, None),
        ("classifier.weight", None, None),
    ],
)
def test_the_encoder_is_told_from_what_a_checkpoint_has_besides(name: str, bare: str | None, layer: int | None) -> None:
    family = FAMILIES["bert"]
    assert family.bare(name) == bare
    assert family.layer(bare or "") == layer
