"""A corrected set as a data set of Hugging Face's ``datasets``, in a folder or on the hub."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from tornio.errors import InvalidFile
from tornio.files.pushing import check_name, hub_errors, writer
from tornio.files.whole import writing_folder

if TYPE_CHECKING:
    from datasets import Dataset

_LABELS = ("original_label", "corrected_label")


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
    with writing_folder(folder) as part:
        dataset.save_to_disk(str(part))


def push(dataset: Dataset, name: str, card: str, *, private: bool) -> str:
    """Upload the data set and its card to the hub, replacing earlier contents. Returns its address.

    The token is that of ``pushing.writer``. ``card``: Markdown with YAML front matter; ``datasets`` adds features and
    sizes. ``private``: applies to a new data set; an existing one is unchanged. Raises InvalidInput, Unauthorized,
    Forbidden, Unavailable.
    """
    check_name(name, "data set")
    api, token = writer()
    with hub_errors(name):
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
