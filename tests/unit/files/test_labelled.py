"""Files that a model labelled: every row of the input is there, and Tornio reads the labels back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tornio import files
from tornio.errors import InvalidFile, InvalidInput
from tornio.files import Columns
from tornio.files.every_row import read_every_row
from tornio.files.labelled import ModelRow, check_labelled, write_labelled
from tornio.records import default_record_id

pytestmark = pytest.mark.unit
LABELS = ("a|b", "plain")
ROWS = [
    ModelRow(
        "1", "=first", ("a|b",), np.array([0.7, 0.3], dtype=np.float32), "student:x", "teacher:y", None, {"lang": "en"}
    ),
    ModelRow(None, None, None, None, None, None, "no text", {}),
    ModelRow(
        "2",
        "second\r\nline",
        ("plain",),
        np.array([0.1, 0.9], dtype=np.float32),
        "student:x",
        "teacher:y",
        None,
        {"lang": 3},
    ),
]


def test_every_row_is_kept_in_its_order_with_the_reason_of_those_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("id,text,lang\n1,one,en\n2,,de\n1,two,\n,one,fr\nx,y,z,w\n")
    read = read_every_row(files.open_data(path), Columns(metadata=("lang",)), "in.csv")
    assert [(row.record_id, row.text, row.problem and row.problem.partition(":")[0]) for row in read.items] == [
        ("1", "one", None),
        ("2", "", "no text"),
        ("1", "two", None),
        (default_record_id("one"), "one", None),
        (None, None, "4 fields where the first line has 3"),
    ]
    assert [skip.line for skip in read.skipped] == [3, 6]
    assert dict(read.items[0].metadata) == {"lang": "en"}


def test_a_file_without_a_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("id,text\n1,\n2,\n")
    with pytest.raises(InvalidFile, match=r"in\.csv has no row that can be used; line 2: no text"):
        read_every_row(files.open_data(path), Columns(), "in.csv")


@pytest.mark.parametrize("name", ["out.csv", "out.tsv", "out.jsonl", "out.parquet"])
def test_the_labels_of_each_format_can_be_imported(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_labelled(iter(ROWS), path, LABELS, ("lang",))
    read = files.read_labels(files.open_data(path), Columns(), name, multi_label=False)
    assert [(item.record_id, item.text, item.labels) for item in read.items] == [
        ("1", "=first", ["a|b"]),
        ("2", "second\r\nline", ["plain"]),
    ]
    assert len(read.skipped) == 1


def test_parquet_and_json_lines_have_all_probabilities(tmp_path: Path) -> None:
    write_labelled(ROWS, tmp_path / "out.parquet", LABELS, ("lang",))
    table = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert table[0]["p(a|b)"] == pytest.approx(0.7)
    assert (table[0]["probability"], table[1]["p(plain)"]) == (pytest.approx(0.7), None)
    assert [row["lang"] for row in table] == ["en", None, "3"]
    write_labelled(ROWS, tmp_path / "out.jsonl", LABELS, ("lang",))
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert lines[0]["probabilities"] == {"a|b": 0.7, "plain": 0.3}
    assert (lines[1]["labels"], lines[1]["skipped"]) == (None, "no text")
    assert lines[2]["metadata"] == {"lang": 3}


def test_several_labels_are_a_list_and_their_least_probability_counts(tmp_path: Path) -> None:
    row = ModelRow("1", "x", ("a|b", "plain"), np.array([0.7, 0.6], dtype=np.float32), "teacher:y", None, None, {})
    none = ModelRow("2", "y", (), np.array([0.1, 0.2], dtype=np.float32), "teacher:y", None, None, {})
    write_labelled([row, none], tmp_path / "out.parquet", LABELS, ())
    table = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert (table[0]["label"], table[0]["probability"]) == (["a|b", "plain"], pytest.approx(0.6))
    assert (table[1]["label"], table[1]["probability"]) == ([], None)


def test_what_cannot_be_written_is_refused_before_anything_is_computed(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match="says no format"):
        check_labelled(tmp_path / "out.xlsx", ())
    with pytest.raises(InvalidFile, match="does not exist"):
        check_labelled(tmp_path / "no" / "out.csv", ())
    with pytest.raises(InvalidInput, match="'label', and the output has a column of that name"):
        check_labelled(tmp_path / "out.csv", ("lang", "label"))
