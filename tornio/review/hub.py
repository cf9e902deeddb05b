"""A corrected set as a data set of Hugging Face's ``datasets``, in a folder or on the hub."""

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
    """Return the tables (see ``corrected.schema``) as one data set in memory, with ClassLabels in the order of labels.

    Raises InvalidFile if ``datasets`` is not installed, or if there are no rows.
    """
    datasets = _datasets()
    rows = pa.concat_tables(tables)
    if not len(rows):
        raise InvalidFile("The corrected set has no rows, because all of its texts were deleted.")
    features = _features(datasets, rows.schema, labels, multi_label)
    for name in _LABELS:
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, name, _numbers(rows.column(name), labels, multi_label))
    table = datasets.table.InMemoryTable(rows.cast(features.arrow_schema))
    return datasets.Dataset(table, info=datasets.DatasetInfo(features=features))


def save(dataset: Dataset, folder: Path) -> None:
    """Write a folder that ``datasets.load_from_disk`` reads. It becomes visible only when complete.

    Raises InvalidFile for an existing folder that is not empty, or one that cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidFile(f"{folder} already exists and is not an empty folder. Delete it, or choose another name.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".part-", dir=folder.parent) as part:
            whole = Path(part) / "dataset"
            dataset.save_to_disk(str(whole))
            whole.rename(folder)
    except OSError as error:
        raise InvalidFile(f"Cannot write {folder}: {error.strerror or error}") from error


def push(dataset: Dataset, name: str, card: str, *, private: bool) -> str:
    """Upload the data set and its card to the hub, replacing earlier contents. Returns its address.

    The token is taken from HF_TOKEN, or from the file that HF_TOKEN_PATH names (by default the one of
    ``hf auth login``). ``card``: Markdown with YAML front matter; ``datasets`` adds features and sizes. ``private``:
    applies to a new data set; an existing one is unchanged. Raises InvalidInput, Unauthorized, Forbidden, Unavailable.
    """
    from huggingface_hub import HfApi, constants, get_token

    check_name(name)
    if constants.is_offline_mode():
        raise InvalidInput("HF_HUB_OFFLINE is set, so nothing can be sent to the hub. Unset it, or write a folder.")
    token = get_token()
    if not token:
        raise Unauthorized("There is no token for the hub. Set HF_TOKEN, or set HF_TOKEN_PATH to a file that holds it.")
    api = HfApi(token=token)
    with _hub_errors(name):
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
    """Raise InvalidInput if a data set on the hub cannot have this name."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"{name!r} is not a valid name of a data set on the hub. Give hub:NAME or hub:OWNER/NAME.")


def _datasets() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise InvalidFile(
            f"Writing a folder of datasets, or to the hub, needs an extra ({error}). Install it with "
            "pip install 'tornio[hub]', or write a .parquet file."
        ) from error
    return datasets


def _features(datasets: Any, schema: pa.Schema, labels: Sequence[str], multi_label: bool) -> Any:
    features = datasets.Features.from_arrow_schema(schema)
    one = datasets.ClassLabel(names=list(labels))
    for name in _LABELS:
        features[name] = datasets.List(one) if multi_label else one
    return features


def _numbers(column: pa.ChunkedArray, labels: Sequence[str], multi_label: bool) -> pa.Array:
    """Return the indices of the labels, int64, or lists of them where several labels are allowed."""
    names = pa.array(labels, pa.string())
    whole = column.combine_chunks()
    if not multi_label:
        return pc.index_in(whole, value_set=names).cast(pa.int64())
    numbers = pc.index_in(whole.flatten(), value_set=names).cast(pa.int64())
    sizes = pc.list_value_length(whole).to_numpy(zero_copy_only=False)
    offsets = pa.array([0, *sizes.cumsum()], pa.int32())
    return pa.ListArray.from_arrays(offsets, numbers)


@contextmanager
def _hub_errors(name: str) -> Iterator[None]:
    """Replace errors of the hub by our own errors."""
    # HTTPError is that of the HTTP library that the installed huggingface_hub uses.
    from huggingface_hub.errors import HfHubHTTPError, HTTPError  # type: ignore[attr-defined]

    try:
        yield
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status == HTTPStatus.UNAUTHORIZED:
            raise Unauthorized(f"The hub does not know this token ({error}). Check HF_TOKEN.") from error
        if status == HTTPStatus.FORBIDDEN:
            raise Forbidden(
                f"The token may not write {name} ({error}). Give it the right to write, or choose another name."
            ) from error
        raise Unavailable(f"The hub did not accept {name} ({error}). Try again.") from error
    except HTTPError as error:
        raise Unavailable(f"The hub does not respond ({type(error).__name__}: {error}). Try again.") from error
