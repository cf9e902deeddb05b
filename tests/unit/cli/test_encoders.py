"""Base models in the bucket: added once, found under their name by whoever has no hub."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.checkpoints import change_weights, tiny
from tests.unit.cli.test_commands import Tornio, answer, backend, task, tornio
from tests.unit.gateway.fake import NOW, FakeBackend
from tornio.api import AdaptRequest
from tornio.cli.encoders import default_name
from tornio.errors import Unavailable
from tornio.models.loading import Loader
from tornio.models.sources import describe, publish_encoder
from tornio.registry import Encoders, NodeCache
from tornio.schemas.registry import Pooling
from tornio.storage.local import LocalStore

pytestmark = pytest.mark.unit
__all__ = ["backend", "task", "tornio"]  # fixtures


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalStore:
    monkeypatch.setenv("TORNIO_STORE_DIR", str(tmp_path / "store"))
    return LocalStore(tmp_path / "store")


def model(folder: Path, layers: int = 2) -> Path:
    return tiny(folder, num_hidden_layers=layers)


def test_a_folder_becomes_a_base_model_of_the_bucket(tornio: Tornio, store: LocalStore, tmp_path: Path) -> None:
    assert "no base model" in tornio("encoders", "list")[1]
    code, out, err = tornio("encoders", "add", model(tmp_path / "mine"))
    assert code == 0, err
    assert "mine is in the bucket: mine, BertModel, dimension 32" in out
    first = answer(tornio("encoders", "add", tmp_path / "mine", "--json"))  # again changes nothing
    assert answer(tornio("encoders", "list", "--json"))["encoders"] == [first]
    assert first["names"] == ["mine"]
    assert "mine" in tornio("encoders", "list")[1]


def test_it_is_found_under_its_name_where_there_is_no_hub(tornio: Tornio, store: LocalStore, tmp_path: Path) -> None:
    loader = Loader(store, NodeCache(tmp_path / "cache", store), "float32")
    with pytest.raises(Unavailable, match="tornio encoders add hub:acme/model"):
        loader.encoder_use("acme/model", 64)
    added = answer(tornio("encoders", "add", model(tmp_path / "mine"), "--name", "acme/model", "--json"))
    for name in ("acme/model", "hub:acme/model"):
        use = loader.encoder_use(name, 16)
        assert (use.digest, use.max_length, use.layer) == (added["digest"], 16, -1)


def test_the_shipped_name_keeps_its_layer(tornio: Tornio, store: LocalStore, tmp_path: Path) -> None:
    added = answer(tornio("encoders", "add", model(tmp_path / "mine"), "--name", "minilm", "--json"))
    use = Loader(store, NodeCache(tmp_path / "cache", store), "float32").encoder_use("minilm", 64)
    assert (use.digest, use.layer) == (added["digest"], -2)


def test_a_name_moves_to_what_was_added_last(tornio: Tornio, store: LocalStore, tmp_path: Path) -> None:
    tornio("encoders", "add", model(tmp_path / "a"), "--name", "mine")
    new = answer(tornio("encoders", "add", model(tmp_path / "b", layers=1), "--name", "mine", "--json"))
    named = Encoders(store).named("mine")
    assert named is not None
    assert named.digest == new["digest"]
    names = {one["source"]: one["names"] for one in answer(tornio("encoders", "list", "--json"))["encoders"]}
    assert names == {"a": [], "b": ["mine"]}


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("hub:org/model@v1", "org/model@v1"),
        ("org/model", "org/model"),
        ("minilm", "minilm"),
        ("/models/mine/", "mine"),
        ("./mine", "mine"),
        ("s3://bucket/models/mine", "mine"),
    ],
)
def test_what_nobody_names_is_called_as_its_source(source: str, name: str) -> None:
    assert default_name(source) == name


def test_what_is_not_to_be_had_says_so(tornio: Tornio, store: LocalStore) -> None:
    code, _, err = tornio("encoders", "add", "hub:org/no-such-model")
    assert code == 1
    assert "The hub cannot be reached" in err


def test_a_broken_file_and_a_name_that_is_none_are_refused(tornio: Tornio, store: LocalStore, tmp_path: Path) -> None:
    folder = model(tmp_path / "mine")
    for name in ("..", "a b", "../x", "s3://x/y"):
        code, _, err = tornio("encoders", "add", folder, "--name", name)
        assert (code, "--name" in err) == (1, True)
    (folder / "model.safetensors").write_bytes(b"garbage")
    code, _, err = tornio("encoders", "add", folder)
    assert (code, "is an incomplete safetensors file" in err) == (1, True)
    assert "no base model" in tornio("encoders", "list")[1]


def test_a_model_that_cannot_read_is_not_added(tornio: Tornio, store: LocalStore, tmp_path: Path) -> None:
    folder = change_weights(model(tmp_path / "mine"), lambda tensors: {})
    code, _, err = tornio("encoders", "add", folder)
    assert (code, "it lacks embeddings" in " ".join(err.split())) == (1, True)
    code, _, err = tornio("encoders", "add", "a" * 5000)
    assert (code, "Traceback" in err, len(err) < 1000) == (1, False, True)
    code, _, err = tornio("encoders", "add", model(tmp_path / "other"), "--name", "a" * 5000)
    assert (code, "not a valid name" in err, len(err) < 1000) == (1, True, True)
    assert "no base model" in tornio("encoders", "list")[1]


def test_a_model_is_tried_in_the_precision_of_the_settings(
    tmp_path: Path, store: LocalStore, tornio: Tornio, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny(tmp_path / "mine", "Deberta")
    monkeypatch.setenv("TORNIO_PRECISION", "bfloat16")
    code, _, err = tornio("encoders", "add", folder)
    assert code != 0
    assert "set TORNIO_PRECISION=float32" in err.replace("\n", " ")
    monkeypatch.setenv("TORNIO_PRECISION", "float32")
    assert tornio("encoders", "add", folder)[0] == 0


def test_an_adaptation_is_asked_of_the_server(task: Tornio, backend: FakeBackend) -> None:
    options = ("--texts", "acme/support", "--from", "minilm", "--name", "mine", "--objective", "contrastive")
    code, out, err = task("encoders", "adapt", *options)
    assert code == 0, err
    assert "tornio runs acme/support --watch" in out
    assert backend.runs.asked == [AdaptRequest(name="mine", base="minilm", objective="contrastive")]
    code, _, err = task("encoders", "adapt", *options[:-1], "guessing")
    assert code != 0
    assert "objective" in err


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_base_model_is_taken_away(tornio: Tornio, store: LocalStore, tmp_path: Path, pooling: Pooling) -> None:
    from sentence_transformers import SentenceTransformer

    source = replace(describe(model(tmp_path / "mine"), "mine"), pooling=pooling, normalise=True)
    document = publish_encoder(source, Encoders(store), "float32", parent="0" * 64, run="adapt-1")
    Encoders(store).give_name("reviews", document, -1, NOW)
    done = answer(tornio("encoders", "export", "reviews", "-o", tmp_path / "out", "--json"))
    assert (done["digest"], done["path"]) == (document.digest, str(tmp_path / "out"))
    texts = ["the parcel came late", "", "thanks " * 60]
    use = document.use(-1, document.max_length)
    expected = Loader(store, NodeCache(tmp_path / "cache", store), "float32").encoder(use).embed(texts).vectors
    loaded: Any = SentenceTransformer(str(tmp_path / "out"))
    np.testing.assert_allclose(loaded.encode(texts), expected, atol=1e-5)
    assert "adapted to the texts of a task, in the run adapt-1" in (tmp_path / "out" / "README.md").read_text()


def test_what_is_not_in_the_bucket_is_not_taken_away(tornio: Tornio, store: LocalStore, tmp_path: Path) -> None:
    code, _, err = tornio("encoders", "export", "none", "-o", tmp_path / "out")
    assert code == 1
    assert "tornio encoders list" in err
    assert not (tmp_path / "out").exists()
