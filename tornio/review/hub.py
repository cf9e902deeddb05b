"""A corrected set as a data set of Hugging Face's ``datasets``: in a folder, or on the hub."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from tornio.errors import Forbidden, InvalidFile, InvalidInput, Unauthorized, Unavailable

if TYPE_CHECKING:
    from datasets import Dataset

_LABELS = ("original_label", "corrected_label")
_NAME = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?")


def as_dataset(tables: Iterable[pa.Table], labels: Sequence[str], multi_label: bool) -> Dataset:
    """The tables (as ``corrected.schema``) with ClassLabel features in the order of the labels; holds all rows.

    Raises InvalidFile where ``datasets`` is not installed, or where there are no rows.
    """
    datasets = _datasets()
    rows = pa.concat_tables(tables)
    if not len(rows):
        raise InvalidFile("the corrected set has no rows: all of its texts are deleted")
    features = _features(datasets, rows.schema, labels, multi_label)
    for name in _LABELS:
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, name, _numbers(rows.column(name), labels, multi_label))
    table = datasets.table.InMemoryTable(rows.cast(features.arrow_schema))
    return datasets.Dataset(table, info=datasets.DatasetInfo(features=features))


def save(dataset: Dataset, folder: Path) -> None:
    """Write a folder that ``datasets.load_from_disk`` reads; it appears when it is whole.

    Raises InvalidFile for a folder that is there and not empty, or that cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidFile(f"{folder} is there already, and not an empty folder: delete it, or choose another name")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".part-", dir=folder.parent) as part:
            whole = Path(part) / "dataset"
            dataset.save_to_disk(str(whole))
            whole.rename(folder)
    except OSError as error:
        raise InvalidFile(f"cannot write {folder}: {error.strerror or error}") from error


def push(dataset: Dataset, name: str, card: str, *, private: bool) -> str:
    """Put the data set and its card on the hub, in place of what is there; returns its address.

    The token is that of HF_TOKEN, or of the file that HF_TOKEN_PATH names (by default the one of ``hf auth login``).
    ``card``: Markdown with YAML in front; ``datasets`` adds features and sizes. ``private``: of a data set that is
    made now; one that is there stays as it is. Raises InvalidInput, Unauthorized, Forbidden, Unavailable.
    """
    from huggingface_hub import HfApi, constants, get_token

    check_name(name)
    if constants.is_offline_mode():
        raise InvalidInput("HF_HUB_OFFLINE is set, so nothing is sent to the hub: unset it, or write a folder")
    token = get_token()
    if not token:
        raise Unauthorized("no token for the hub: set HF_TOKEN, or HF_TOKEN_PATH to a file that holds it")
    api = HfApi(token=token)
    with _told(name):
        where = api.create_repo(name, repo_type="dataset", private=private, exist_ok=True)
        api.upload_file(
            path_or_fileobj=card.encode(),
            path_in_repo="README.md",
            repo_id=where.repo_id,
            repo_type="dataset",
            commit_message="Describe the corrected set",
        )
        dataset.push_to_hub(where.repo_id, token=token, commit_message="Upload the corrected set")
    return str(where)


def check_name(name: str) -> None:
    """Raises InvalidInput for what is no name of a data set on the hub."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"{name!r} is no name of a data set on the hub: give hub:NAME or hub:OWNER/NAME")


def _datasets() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise InvalidFile(
            f"a folder of datasets, or the hub, needs the extra: pip install 'tornio[hub]' ({error}); or write "
            "a .parquet"
        ) from error
    return datasets


def _features(datasets: Any, schema: pa.Schema, labels: Sequence[str], multi_label: bool) -> Any:
    known = datasets.Features.from_arrow_schema(schema)
    one = datasets.ClassLabel(names=list(labels))
    for name in _LABELS:
        known[name] = datasets.List(one) if multi_label else one
    return known


def _numbers(column: pa.ChunkedArray, labels: Sequence[str], multi_label: bool) -> pa.Array:
    """int64: the places of the labels; lists of them where several are allowed."""
    names = pa.array(labels, pa.string())
    whole = column.combine_chunks()
    if not multi_label:
        return pc.index_in(whole, value_set=names).cast(pa.int64())
    numbers = pc.index_in(whole.flatten(), value_set=names).cast(pa.int64())
    sizes = pc.list_value_length(whole).to_numpy(zero_copy_only=False)
    offsets = pa.array([0, *sizes.cumsum()], pa.int32())
    return pa.ListArray.from_arrays(offsets, numbers)


@contextmanager
def _told(name: str) -> Iterator[None]:
    # HTTPError is that of the HTTP library which this huggingface_hub uses.
    from huggingface_hub.errors import HfHubHTTPError, HTTPError  # type: ignore[attr-defined]

    try:
        yield
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status == HTTPStatus.UNAUTHORIZED:
            raise Unauthorized(f"the hub does not know this token ({error}): check HF_TOKEN") from error
        if status == HTTPStatus.FORBIDDEN:
            raise Forbidden(
                f"the token may not write {name} ({error}): give it the right to write, or take another name"
            ) from error
        raise Unavailable(f"the hub did not take {name} ({error}): try again") from error
    except HTTPError as error:
        raise Unavailable(f"the hub does not answer ({type(error).__name__}: {error}): try again") from error
