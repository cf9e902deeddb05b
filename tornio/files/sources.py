"""Data sets as lists of files, here or in S3, each known by its content: what a run freezes in its plan."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tornio.errors import Changed, InvalidFile, InvalidInput
from tornio.schemas.jobs import InputFile
from tornio.settings import NodeSettings, StorageSettings
from tornio.storage.files import appearing
from tornio.storage.port import ObjectStore

SUFFIXES = (".parquet", ".pq", ".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".arrow", ".feather")
_HUB = "hub:"
_STATE = "state.json"
"""In a folder that ``datasets`` wrote with ``save_to_disk``: names its files in their order."""


def find_files(data: str) -> tuple[InputFile, ...]:
    """The files of a data set, in their order: a file, a folder of files, or one that ``datasets`` saved.

    ``data``: a path; ``s3://bucket/key`` (credentials and endpoint as for the store); or ``hub:name[split]``, of
    which a copy is made in the node's cache. Raises InvalidFile.
    """
    check_there(data)
    if data.startswith(_HUB):
        return (_from_hub(data.removeprefix(_HUB)),)
    found = tuple(_in_s3(data) if data.startswith("s3://") else _here(Path(data)))
    if not found:
        nothing = "is not there, or " if data.startswith("s3://") else ""
        raise InvalidFile(f"{data} {nothing}holds no file that can be read: give {', '.join(SUFFIXES)}")
    return found


def check_there(data: str) -> None:
    """Raises InvalidFile for a path where nothing is. Reads nothing: what is in S3 or the hub is not asked for."""
    if not data.startswith(("s3://", _HUB)) and not (Path(data).is_file() or Path(data).is_dir()):
        raise InvalidFile(f"there is no file or folder {data}")


def check_unchanged(files: tuple[InputFile, ...]) -> None:
    """Raises Changed where a file is not what it was when the run was planned."""
    for file in files:
        now = find_files(file.uri)
        if len(now) != 1 or now[0].etag != file.etag:
            raise Changed(
                f"{file.uri} has changed since this run was planned: start again, which makes a new run, or put back "
                "what was there"
            )


@contextmanager
def on_disk(file: InputFile) -> Iterator[Path]:
    """The file on this machine; one in S3 is downloaded, and removed afterwards. Raises InvalidFile, NotFound."""
    if not file.uri.startswith("s3://"):
        yield Path(file.uri)
        return
    store, key = _bucket(file.uri)
    with tempfile.TemporaryDirectory(prefix="tornio-") as folder:
        path = Path(folder) / Path(key).name
        store.download(key, path)
        yield path


def class_names(file: InputFile, column: str) -> tuple[str, ...] | None:
    """The names of a ClassLabel column, from the ``dataset_info.json`` that ``datasets`` put beside a file here."""
    info = Path(file.uri).parent / "dataset_info.json"
    if file.uri.startswith("s3://") or not info.is_file():
        return None
    features = json.loads(info.read_text(encoding="utf-8")).get("features") or {}
    return names_of_feature(features.get(column))


def names_of_feature(feature: Any) -> tuple[str, ...] | None:
    """The names of a ``datasets`` feature that is a ClassLabel, or a list of them."""
    if isinstance(feature, list):
        feature = feature[0] if feature else None
    if isinstance(feature, dict) and feature.get("_type") in ("Sequence", "List", "LargeList"):
        feature = feature.get("feature")
    if isinstance(feature, dict) and feature.get("_type") == "ClassLabel":
        return tuple(feature["names"])
    return None


def _here(path: Path) -> Iterator[InputFile]:
    if path.is_file():
        yield _local(path)
        return
    if (path / _STATE).is_file():
        state = json.loads((path / _STATE).read_text(encoding="utf-8"))
        if state.get("_indices_data_files"):
            raise InvalidFile(f"{path} is a selection of another data set: call flatten_indices() before saving it")
        yield from (_local(path / entry["filename"]) for entry in state["_data_files"])
        return
    if (path / "dataset_dict.json").is_file():
        splits = ", ".join(json.loads((path / "dataset_dict.json").read_text(encoding="utf-8"))["splits"])
        raise InvalidFile(f"{path} holds several splits ({splits}): name one, such as {path}/train")
    yield from (_local(found) for found in sorted(path.iterdir()) if found.suffix.lower() in SUFFIXES)


def _local(path: Path) -> InputFile:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return InputFile(uri=str(path.resolve()), etag=digest, size=path.stat().st_size)
    except OSError as error:
        raise InvalidFile(f"cannot read {path}: {error.strerror or error}") from error


def _from_hub(name: str) -> InputFile:
    """A split of a data set of the hub as one Parquet file, which keeps the names of its classes."""
    try:
        import datasets
    except ImportError as error:
        raise InvalidFile(f"hub:{name} needs the package datasets: pip install 'tornio[hub]'") from error
    repository, _, split = name.removesuffix("]").partition("[")
    try:
        data = datasets.load_dataset(repository, split=split or "train")
    except (OSError, ValueError) as error:  # its own errors are subclasses of these
        raise InvalidFile(f"cannot load hub:{name}: {error}") from error
    path = NodeSettings().cache_dir / "hub" / f"{repository.replace('/', '--')}-{data._fingerprint}.parquet"
    if not path.is_file():
        with appearing(path) as part:
            data.to_parquet(part)
    return _local(path)


def _in_s3(uri: str) -> Iterator[InputFile]:
    store, key = _bucket(uri)
    folder = key if not key or key.endswith("/") else key + "/"
    root = uri.removesuffix(key)
    listed = list(store.list(key))
    exact = [info for info in listed if info.key == key]
    inside = [info for info in listed if info.key.startswith(folder) and info.key.lower().endswith(SUFFIXES)]
    for info in exact or inside:
        yield InputFile(uri=root + info.key, etag=info.etag, size=info.size)


def _bucket(uri: str) -> tuple[ObjectStore, str]:
    """The bucket that ``s3://bucket/key`` names, which need not be the store's, and the key."""
    from tornio.storage.s3 import open_store

    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not bucket:
        raise InvalidInput(f"{uri} names no bucket: write s3://bucket/key")
    return open_store(StorageSettings(bucket=bucket, prefix="")), key
