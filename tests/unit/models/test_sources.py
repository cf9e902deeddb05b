"""Where base models come from, and what is said when they cannot be had."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tornio.errors import InvalidInput, NotFound, TornioError, Unavailable
from tornio.models.sources import EncoderSource, describe, resolve_encoder
from tornio.registry.blobs import files_of
from tornio.settings import StorageSettings
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit
BERT = {"model_type": "bert", "hidden_size": 16}


def folder_with(path: Path, **files: object) -> Path:
    """A folder of JSON files; ``__`` in a name is a slash."""
    for name, content in files.items():
        file = path / (name.replace("__", "/") + ".json")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))
    return path


def test_the_shipped_encoder(minilm: EncoderSource) -> None:
    assert (minilm.pooling, minilm.normalise) == ("mean", True)
    assert (minilm.dimension, minilm.max_length, minilm.architecture) == (384, 256, "BertModel")


def test_a_local_path_is_described_the_same(minilm: EncoderSource) -> None:
    local = resolve_encoder(str(minilm.folder))
    assert (local.folder, local.source, local.commit) == (minilm.folder, minilm.folder.name, None)
    assert (local.pooling, local.max_length) == (minilm.pooling, minilm.max_length)


def test_a_plain_transformers_folder_pools_by_mean(tmp_path: Path) -> None:
    config = {"model_type": "roberta", "hidden_size": 16, "max_position_embeddings": 514}
    source = describe(folder_with(tmp_path, config=config, tokenizer_config={"model_max_length": 1e30}), "x")
    assert (source.pooling, source.normalise, source.max_length, source.architecture) == ("mean", False, 512, "roberta")


@pytest.mark.parametrize(
    "pooling", [{"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, {"pooling_mode": "cls"}]
)
def test_pooling_by_the_first_token(tmp_path: Path, pooling: dict[str, object]) -> None:
    config = {"model_type": "bert", "hidden_size": 16}
    assert describe(folder_with(tmp_path, config=config, **{"1_Pooling__config": pooling}), "x").pooling == "cls"


def test_an_unknown_pooling_is_refused(tmp_path: Path) -> None:
    pooling = {"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": False}
    folder = folder_with(tmp_path, config={"model_type": "bert", "hidden_size": 16}, **{"1_Pooling__config": pooling})
    with pytest.raises(InvalidInput, match="max_tokens"):
        describe(folder, "x")


@pytest.mark.parametrize(
    "pooling",
    [
        {"pooling_mode": ["max", "mean"]},
        {"pooling_mode": ["mean", "cls"]},
        {"pooling_mode": []},
        {"pooling_mode": None},
        {"pooling_mode": {"mean": True}},
        {"pooling_mode": "max"},
        {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True},
        {"pooling_mode_mean_tokens": "false"},
    ],
)
def test_only_one_known_pooling_is_taken(tmp_path: Path, pooling: dict[str, object]) -> None:
    folder = folder_with(tmp_path, config=BERT, **{"1_Pooling__config": pooling})
    with pytest.raises(InvalidInput, match="pools by"):
        describe(folder, "x")


@pytest.mark.parametrize(
    "pooling", [{"pooling_mode": "mean"}, {"pooling_mode": ["mean"]}, {"pooling_mode_cls_token": False}]
)
def test_pooling_by_the_mean(tmp_path: Path, pooling: dict[str, object]) -> None:
    folder = folder_with(tmp_path, config=BERT, **{"1_Pooling__config": pooling})
    assert describe(folder, "x").pooling == "mean"


@pytest.mark.parametrize(
    ("name", "error", "advice"),
    [
        ("org/a-model-nobody-has", Unavailable, "copy the folder here"),
        ("./no-such-folder", NotFound, "path of a transformers folder"),
        ("what is this?", InvalidInput, "hub id"),
        ("hub:", InvalidInput, "hub id"),
        ("hub:../etc", InvalidInput, "hub id"),
        ("hub:../../etc", InvalidInput, "hub id"),
    ],
)
def test_what_is_not_to_be_had_says_what_to_do(name: str, error: type[TornioError], advice: str) -> None:
    with pytest.raises(error, match=advice):
        resolve_encoder(name)


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"config\.json"):
        resolve_encoder(str(tmp_path))


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MemoryStore:
    """What stands at any s3:// address; the node's cache is in ``tmp_path``."""
    store = MemoryStore()
    monkeypatch.setenv("TORNIO_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("tornio.storage.s3.open_store", lambda settings: store)
    return store


def test_a_model_in_s3_is_fetched_without_what_is_no_model(bucket: MemoryStore) -> None:
    config = json.dumps({"model_type": "bert", "hidden_size": 16}).encode()
    for key in ("config.json", "1_Pooling/config.json", "model.safetensors", "run.py", "old/model.safetensors"):
        bucket.put(key, config)
    source = resolve_encoder("s3://models/mine")
    assert source.source == "s3://models/mine"
    found = sorted(path.relative_to(source.folder).as_posix() for path in source.folder.rglob("*") if path.is_file())
    assert found == ["1_Pooling/config.json", "config.json", "model.safetensors"]


def test_an_address_in_s3_may_have_names_that_a_prefix_of_tornio_may_not(
    bucket: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[StorageSettings] = []

    def opened(settings: StorageSettings) -> MemoryStore:
        asked.append(settings)
        return bucket

    monkeypatch.setattr("tornio.storage.s3.open_store", opened)
    bucket.put("config.json", json.dumps({"model_type": "bert", "hidden_size": 16}).encode())
    assert resolve_encoder("s3://models/our best model").source == "s3://models/our best model"
    assert [(one.bucket, one.prefix) for one in asked] == [("models", "our best model")]


@pytest.mark.parametrize("key", ["tokenizer/../../../../escaped", "../vocab.txt", "/vocab.txt"])
def test_a_key_that_would_leave_its_folder_is_not_fetched(bucket: MemoryStore, tmp_path: Path, key: str) -> None:
    bucket.put("config.json", json.dumps({"model_type": "bert", "hidden_size": 16}).encode())
    bucket.put(key, b"x")
    resolve_encoder("s3://models/mine")
    files = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert files == ["config.json"]


def test_a_link_that_leads_outside_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cr3t")
    folder = folder_with(tmp_path / "model", config=BERT)
    (folder / "vocab.txt").symlink_to(tmp_path / "secret")
    with pytest.raises(InvalidInput, match=r"vocab\.txt is a link to a file outside"):
        describe(folder, "x")
    with pytest.raises(InvalidInput, match="is a link"):
        files_of(folder)


def test_links_inside_and_those_of_the_cache_of_the_hub_are_followed(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "models--x" / "snapshots" / "c0ffee", config=BERT)
    blobs = tmp_path / "models--x" / "blobs"
    blobs.mkdir()
    (blobs / "1234").write_text("words")
    (folder / "vocab.txt").symlink_to(Path("../../blobs/1234"))
    (folder / "copy.json").symlink_to("config.json")
    assert sorted(files_of(folder)) == ["config.json", "copy.json", "vocab.txt"]
    assert describe(folder, "x").dimension == 16
    below = folder_with(folder / "sub", config=BERT)
    (below / "vocab.txt").symlink_to(Path("../../../blobs/1234"))
    assert describe(below, "x").dimension == 16


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ([{"type": "sentence_transformers.models.Dense", "path": "2_Dense"}], "ends in a module Dense"),
        ([{"type": "sentence_transformers.models.Pooling", "path": "../other"}], "is not inside"),
        ([{"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}], "is missing or empty"),
        ({"type": "Pooling"}, "not a list of modules"),
        (["Pooling"], "not a list of modules"),
    ],
)
def test_a_module_that_is_not_applied_is_refused(tmp_path: Path, modules: object, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        describe(folder_with(tmp_path, config=BERT, modules=modules), "x")


def test_the_pooling_is_where_the_modules_say(tmp_path: Path) -> None:
    modules = [{"type": "sentence_transformers.models.Pooling", "path": "3_Pooling"}, {"type": "x.Normalize"}]
    files = {"config": BERT, "modules": modules, "3_Pooling__config": {"pooling_mode": "cls"}}
    source = describe(folder_with(tmp_path, **files), "x")
    assert (source.pooling, source.normalise) == ("cls", True)


def test_an_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="merge_and_unload"):
        describe(folder_with(tmp_path, config=BERT, adapter_config={"peft_type": "LORA"}), "x")


@pytest.mark.parametrize("config", [[], "bert", {"model_type": "bert", "hidden_size": True}, {"model_type": "unheard"}])
def test_a_config_that_describes_no_model(tmp_path: Path, config: object) -> None:
    with pytest.raises(InvalidInput):
        describe(folder_with(tmp_path, config=config), "x")


@pytest.mark.parametrize("name", ["a" * 5000, "/" + "a" * 5000, "hub:" + "a" * 5000, "a\0b", "./a\0b"])
def test_a_name_that_cannot_be_one(name: str) -> None:
    with pytest.raises((InvalidInput, NotFound)) as refused:
        resolve_encoder(name)
    assert len(str(refused.value)) < 500
