"""Data sets as lists of files, on this machine or in S3. A run freezes the digest of each file in its plan."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tornio.errors import Changed, InvalidFile, InvalidInput
from tornio.files.content import content_of, is_blank
from tornio.files.tables import BY_SUFFIX, Format
from tornio.schemas.scoring import InputFile
from tornio.settings import NodeSettings, StorageSettings
from tornio.storage.files import appearing
from tornio.storage.port import ObjectInfo, ObjectStore

SUFFIXES = tuple(suffix for suffix, format in BY_SUFFIX.items() if format not in (Format.JSON, Format.LINES))
"""Endings of the files that belong to a folder of data. JSON and plain texts in it are descriptions as a rule."""
_HUB = "hub:"
_STATE = "state.json"
"""File in a folder that ``datasets`` wrote with ``save_to_disk``: it names the data files in their order."""


def find_files(data: str) -> tuple[InputFile, ...]:
    """Return the files of a data set in their order: a file, a folder of files, or a folder that ``datasets`` saved.

    ``data``: a path; ``s3://bucket/key`` (credentials and endpoint as for the store); or ``hub:name[split]``, which is
    copied into the cache of the node. Raises InvalidFile.
    """
    check_there(data)
    if data.startswith(_HUB):
        return (_from_hub(data.removeprefix(_HUB)),)
    files = tuple(_in_s3(data) if data.startswith("s3://") else _here(Path(data)))
    if not files:
        absent = "does not exist, or " if data.startswith("s3://") else ""
        raise InvalidFile(f"{data} {absent}holds no file that can be read. Give {', '.join(SUFFIXES)}")
    return files


def check_there(data: str) -> None:
    """Raises InvalidFile for a path that does not exist. It reads nothing: data in S3 or on the hub is not checked."""
    if not data.startswith(("s3://", _HUB)) and not (Path(data).is_file() or Path(data).is_dir()):
        raise InvalidFile(f"no file or folder {data} exists. Correct --data")


def left_out(data: str) -> list[str]:
    """Return the files of a folder that ``find_files`` leaves out, each with the reason: hidden, or empty."""
    if data.startswith("s3://"):
        store, key = _bucket(data)
        listed = _objects(store, key)
        return [f"{_name(info)} ({why})" for info in listed if info.key != key and (why := _why_not_object(info))]
    path = Path(data)
    if data.startswith(_HUB) or not path.is_dir() or (path / _STATE).is_file():
        return []
    return [f"{file.name} ({why})" for file in _of_folder(path) if (why := _why_not(file)) is not None]


def check_unchanged(files: tuple[InputFile, ...]) -> None:
    """Raises Changed if a file is not the one that the run was planned with."""
    for file in files:
        now = find_files(file.uri)
        if len(now) != 1 or now[0].etag != file.etag:
            raise Changed(
                f"{file.uri} has changed since this run was planned. Start again, which makes a new run, or put the "
                "old file back"
            )


@contextmanager
def on_disk(file: InputFile) -> Iterator[Path]:
    """The path of the file on this machine. A file in S3 is downloaded, and removed afterwards.

    Raises InvalidFile and NotFound.
    """
    if not file.uri.startswith("s3://"):
        yield Path(file.uri)
        return
    store, key = _bucket(file.uri)
    with tempfile.TemporaryDirectory(prefix="tornio-") as folder:
        path = Path(folder) / Path(key).name
        store.download(key, path)
        yield path


def _here(path: Path) -> Iterator[InputFile]:
    if path.is_file():
        yield _local(path)
        return
    if (path / _STATE).is_file():
        yield from (_local(path / name) for name in _saved(path / _STATE))
        return
    if (path / "dataset_dict.json").is_file():
        splits = ", ".join(map(str, _document(path / "dataset_dict.json").get("splits") or ()))
        raise InvalidFile(f"{path} holds several splits ({splits}). Name one, such as {path}/train")
    yield from (_local(file) for file in _of_folder(path) if _why_not(file) is None)


def _of_folder(path: Path) -> list[Path]:
    return [file for file in sorted(path.iterdir()) if file.suffix.lower() in SUFFIXES and file.is_file()]


def _why_not(path: Path) -> str | None:
    """Why a file of a folder is no data. None: it is data."""
    if hidden := _hidden(path.name):
        return hidden
    return "empty" if is_blank(content_of(path)) else None


def _hidden(name: str) -> str | None:
    """Whether a name is that of a hidden file. ``._name`` is what macOS writes beside a file on other file systems."""
    return "hidden" if name.startswith(".") else None


def _saved(path: Path) -> list[str]:
    """The names of the data files of a folder that ``datasets`` saved, in their order. Raises InvalidFile."""
    state = _document(path)
    if state.get("_indices_data_files"):
        raise InvalidFile(f"{path.parent} is a selection of another data set. Call flatten_indices() before saving it")
    try:
        return [Path(entry["filename"]).name for entry in state["_data_files"]]
    except (KeyError, TypeError) as error:
        raise InvalidFile(f"{path} does not list the files of a data set. Save the data set again") from error


def _document(path: Path) -> dict[str, Any]:
    """A JSON object that ``datasets`` wrote. Raises InvalidFile."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidFile(f"{path} is no JSON that can be read: {error}. Save the data set again") from error
    if not isinstance(value, dict):
        raise InvalidFile(f"{path} is not a JSON object. Save the data set again")
    return value


def _local(path: Path) -> InputFile:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return InputFile(uri=str(path.resolve()), etag=digest, size=path.stat().st_size)
    except OSError as error:
        raise InvalidFile(f"cannot read {path}: {error.strerror or error}") from error


def _from_hub(name: str) -> InputFile:
    """Copy a split of a data set on the hub into one Parquet file, which keeps the names of its classes."""
    try:
        import datasets
    except ImportError as error:
        raise InvalidFile(
            f"hub:{name} needs the package datasets. Install it with: pip install 'tornio[hub]'"
        ) from error
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
    root = uri.removesuffix(key)
    for info in _objects(store, key):
        if info.key == key or _why_not_object(info) is None:
            yield InputFile(uri=root + info.key, etag=info.etag, size=info.size)


def _objects(store: ObjectStore, key: str) -> list[ObjectInfo]:
    """The object of this key alone, or else the objects of data below it, as of a folder."""
    folder = key if not key or key.endswith("/") else key + "/"
    listed = list(store.list(key))
    exact = [info for info in listed if info.key == key]
    return exact or [info for info in listed if info.key.startswith(folder) and info.key.lower().endswith(SUFFIXES)]


def _why_not_object(info: ObjectInfo) -> str | None:
    """Why an object of a folder is no data. None: it is data."""
    return _hidden(_name(info)) or (None if info.size else "empty")


def _name(info: ObjectInfo) -> str:
    return info.key.rpartition("/")[2]


def _bucket(uri: str) -> tuple[ObjectStore, str]:
    """Return the bucket that ``s3://bucket/key`` names, which may be another than the store's, and the key."""
    from tornio.storage.s3 import open_store

    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not bucket:
        raise InvalidInput(f"{uri} names no bucket. Write s3://bucket/key")
    return open_store(StorageSettings(bucket=bucket, prefix="")), key
