"""Data sets as lists of files, on this machine or in S3. A run freezes the digest of each file in its plan."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tornio.errors import Changed, InvalidFile, InvalidInput
from tornio.files.columnar import names_of_feature
from tornio.files.tables import BY_SUFFIX, Format
from tornio.schemas.jobs import InputFile
from tornio.settings import NodeSettings, StorageSettings
from tornio.storage.files import appearing
from tornio.storage.port import ObjectStore

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


def class_names(file: InputFile, column: str) -> tuple[str, ...] | None:
    """Return the names of a ClassLabel column, from the ``dataset_info.json`` that ``datasets`` wrote beside the file.

    None: the column is not a ClassLabel, or the file has no such neighbour.
    """
    info = Path(file.uri).parent / "dataset_info.json"
    if file.uri.startswith("s3://") or not info.is_file():
        return None
    features = json.loads(info.read_text(encoding="utf-8")).get("features") or {}
    return names_of_feature(features.get(column))


def _here(path: Path) -> Iterator[InputFile]:
    if path.is_file():
        yield _local(path)
        return
    if (path / _STATE).is_file():
        state = json.loads((path / _STATE).read_text(encoding="utf-8"))
        if state.get("_indices_data_files"):
            raise InvalidFile(f"{path} is a selection of another data set. Call flatten_indices() before saving it")
        yield from (_local(path / entry["filename"]) for entry in state["_data_files"])
        return
    if (path / "dataset_dict.json").is_file():
        splits = ", ".join(json.loads((path / "dataset_dict.json").read_text(encoding="utf-8"))["splits"])
        raise InvalidFile(f"{path} holds several splits ({splits}). Name one, such as {path}/train")
    yield from (_local(file) for file in sorted(path.iterdir()) if file.suffix.lower() in SUFFIXES)


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
    folder = key if not key or key.endswith("/") else key + "/"
    root = uri.removesuffix(key)
    listed = list(store.list(key))
    exact = [info for info in listed if info.key == key]
    inside = [info for info in listed if info.key.startswith(folder) and info.key.lower().endswith(SUFFIXES)]
    for info in exact or inside:
        yield InputFile(uri=root + info.key, etag=info.etag, size=info.size)


def _bucket(uri: str) -> tuple[ObjectStore, str]:
    """Return the bucket that ``s3://bucket/key`` names, which may be another than the store's, and the key."""
    from tornio.storage.s3 import open_store

    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not bucket:
        raise InvalidInput(f"{uri} names no bucket. Write s3://bucket/key")
    return open_store(StorageSettings(bucket=bucket, prefix="")), key
