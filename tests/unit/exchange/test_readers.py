"""An export comes back as a version: the same probabilities, in the order of the task's labels, and nothing else."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.unit.exchange.conftest import LAYERED_FEW_SHOT, TEXTS, Published
from tests.unit.exchange.test_writers import FAMILIES, LARGEST, exported, form
from tornio.arrays import FloatMatrix
from tornio.errors import InvalidInput
from tornio.exchange.packing import MAX_FILES, check_labels, files_of, pack, read_about, unpack
from tornio.exchange.readers import READERS, read_export
from tornio.exchange.writers import FORMS
from tornio.models.finetuned import FineTunedModel

pytestmark = pytest.mark.model


def sent(folder: Path, scratch: Path) -> Path:
    """The folder as it comes out of the tar that is made of it."""
    came = scratch / "came"
    came.mkdir()
    pack(files_of(folder), scratch / "model.tar")
    unpack(scratch / "model.tar", came)
    return came


def read_back(folder: Path, scratch: Path, texts: Sequence[str] = TEXTS) -> FloatMatrix:
    """The probabilities of the version that is made of a folder."""
    made = scratch / "made"
    made.mkdir()
    head, use, _ = read_export(sent(folder, scratch), made, "0f" * 32)
    replace(head).save(made)
    return FineTunedModel.load(made, use, "float32").predict_proba(texts)


def test_each_form_has_its_way_back() -> None:
    assert list(READERS) == [one.name for one in FORMS]


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize(("kind", "config"), FAMILIES)
def test_a_fine_tuned_version_comes_back(
    published: Published, base: Callable[..., Path], tmp_path: Path, kind: str, config: dict[str, Any], pooling: str
) -> None:
    manifest = published.fine_tuned(base(kind, **config), pooling=pooling, normalise=False)
    folder = exported(published, tmp_path)
    assert form(folder) == "transformers"
    assert np.abs(read_back(folder, tmp_path) - published.expected(manifest)).max() < LARGEST


@pytest.mark.parametrize("layer", [-1, -2])
def test_a_head_on_one_layer_comes_back(
    published: Published, base: Callable[..., Path], tmp_path: Path, layer: int
) -> None:
    manifest = published.few_shot(base("Bert"), layer=layer, pooling="mean", normalise=True)
    folder = exported(published, tmp_path)
    assert form(folder) == "sentence-transformers"
    assert np.abs(read_back(folder, tmp_path) - published.expected(manifest)).max() < LARGEST


def test_a_head_on_several_layers_comes_back(published: Published, base: Callable[..., Path], tmp_path: Path) -> None:
    use = {"layer": -1, "layers": (-2, -1), "pooling": "mean", "normalise": True}
    manifest = published.few_shot(base("Bert"), LAYERED_FEW_SHOT, **use)
    folder = exported(published, tmp_path)
    assert form(folder) == "encoder-and-head"
    assert np.abs(read_back(folder, tmp_path) - published.expected(manifest)).max() < LARGEST


@pytest.fixture
def folder(published: Published, base: Callable[..., Path], tmp_path: Path) -> Path:
    """A fine-tuned version that was exported."""
    published.fine_tuned(base("Bert"), pooling="mean", normalise=False)
    return exported(published, tmp_path)


@pytest.mark.parametrize("name", ["classifier.weight", "bert.encoder.layer.2.attention.self.value.weight"])
def test_weights_that_were_trained_further_are_refused(folder: Path, tmp_path: Path, name: str) -> None:
    weights = load_file(folder / "model.safetensors")
    weights[name] = weights[name] + np.float32(0.01)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(InvalidInput, match="trained further"):
        read_back(folder, tmp_path)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "modeling_bert.py", "tokenizer.py", "model.pkl", "a/b.json"])
def test_code_and_pickles_are_refused(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"x")
    with pytest.raises(InvalidInput, match="no file of an export"):
        files_of(folder)


def test_links_are_refused(folder: Path) -> None:
    (folder / "vocab.txt").unlink(missing_ok=True)
    (folder / "vocab.txt").symlink_to("/etc/passwd")
    with pytest.raises(InvalidInput, match="is a link"):
        files_of(folder)


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("config.json", {"auto_map": {"AutoModel": "evil.Model"}}, "auto_map"),
        ("config.json", {"problem_type": "multi_label_classification"}, "contradicts itself"),
        ("tornio.json", {"labels": ["a", "b"]}, "contradicts itself"),
        ("tornio.json", {"form": "onnx"}, "form"),
        ("tornio.json", {"max_length": 0}, "max_length"),
    ],
)
def test_a_folder_that_says_something_else_is_refused(folder: Path, name: str, values: Any, said: str) -> None:
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    with pytest.raises(InvalidInput, match=said):
        read_about(folder)


def test_a_folder_of_another_program_is_refused(folder: Path) -> None:
    (folder / "tornio.json").unlink()
    with pytest.raises(InvalidInput, match="tornio export model"):
        read_about(folder)


def test_labels_are_those_of_the_task_in_any_order() -> None:
    check_labels(["b", "a"], False, ["a", "b"], False)
    with pytest.raises(InvalidInput, match="lacks 'c' and has 'b', which the task does not have"):
        check_labels(["a", "b"], False, ["a", "c"], False)
    with pytest.raises(InvalidInput, match="twice"):
        check_labels(["a", "b", "b"], False, ["a", "b"], False)
    with pytest.raises(InvalidInput, match="any number of labels, and the task one label"):
        check_labels(["a", "b"], True, ["a", "b"], False)


def test_the_same_files_make_the_same_tar(folder: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one.tar", tmp_path / "two.tar"
    pack(files_of(folder), one)
    (folder / "config.json").touch()
    pack(dict(reversed(files_of(folder).items())), two)
    assert one.read_bytes() == two.read_bytes()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([member("/etc/config.json")], "no file of an export"),
        ([member("../config.json")], "no file of an export"),
        ([member("1_Dense/../../config.json")], "no file of an export"),
        ([member("config.json", tarfile.SYMTYPE, "/etc/passwd")], "no plain file"),
        ([member("config.json", tarfile.LNKTYPE, "vocab.txt")], "no plain file"),
        ([member("1_Dense", tarfile.DIRTYPE)], "no plain file"),
        ([member("config.json", tarfile.FIFOTYPE)], "no plain file"),
        ([member("config.json", tarfile.GNUTYPE_SPARSE)], "broken|no plain file"),
        ([member("config.json"), member("config.json")], "twice"),
        ([member(f"vocab{number}.txt") for number in range(MAX_FILES + 1)], "more than"),
        ([member("model.bin")], "no file of an export"),
    ],
)
def test_tricks_with_tars_are_refused(tmp_path: Path, members: list[tarfile.TarInfo], said: str) -> None:
    with tarfile.open(tmp_path / "model.tar", "w") as tar:
        for info in members:
            tar.addfile(info, io.BytesIO())
    (tmp_path / "came").mkdir()
    with pytest.raises(InvalidInput, match=said):
        unpack(tmp_path / "model.tar", tmp_path / "came")
    assert {path.name for path in tmp_path.iterdir()} == {"model.tar", "came"}


@pytest.mark.parametrize("cut", [100, 700, 40_000])
def test_a_tar_that_was_cut_is_refused(folder: Path, tmp_path: Path, cut: int) -> None:
    """Where it ends between two files, what lacks is seen afterwards."""
    path = tmp_path / "model.tar"
    pack(files_of(folder), path)
    path.write_bytes(path.read_bytes()[:cut])
    (tmp_path / "came").mkdir()

    def taken() -> None:
        unpack(path, tmp_path / "came")
        read_export(tmp_path / "came", tmp_path / "came", "0f" * 32)

    with pytest.raises(InvalidInput):
        taken()
