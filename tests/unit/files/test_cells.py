"""What a cell means: the same in every format, and for every command."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, Value
from hypothesis import given
from hypothesis import strategies as st

from tornio.errors import InvalidFile
from tornio.files import Columns, Options, Read, open_data, read_labels, read_records, read_texts
from tornio.files.cells import SEPARATOR, Skip, label_cell, labels_of
from tornio.files.sources import find_files, left_out
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit

WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
NAMES = st.one_of(
    WORDS, st.sampled_from(["a|b", "[]", "['a', 'b']", '["a"]', "[1, 2]", "-1", "=x", "1.0", '"', "[a, b]"])
)
LABELS = NAMES.map(str.strip).filter(bool)


def labels(path: Path, multi_label: bool = False, **options: Any) -> Read[Any]:
    separator = options.pop("separator", SEPARATOR)
    reader = open_data(path, Options(**options), path.name)
    return read_labels(reader, Columns(), path.name, multi_label=multi_label, separator=separator)


def parquet(path: Path, labels: pa.Array) -> Path:
    pq.write_table(pa.table({"text": [f"text {n}" for n in range(len(labels))], "label": labels}), path)
    return path


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([0, 1, None, 1]), [["0"], ["1"], ["1"]]),
        (pa.array([0.0, 1.0, None, float("nan"), 1.0]), [["0"], ["1"], ["1"]]),
        (pa.array([True, False, None]), [["true"], ["false"]]),
        (pa.array(["a", "", None, " b "]), [["a"], ["b"]]),
        (pa.array([0.5, 1.0]), [["1"]]),
    ],
)
def test_numbers_and_truth_values_are_labels_in_every_format(
    tmp_path: Path, column: pa.Array, expected: list[list[str]]
) -> None:
    read = labels(parquet(tmp_path / "a.parquet", column))
    assert [item.labels for item in read.items] == expected
    lines = tmp_path / "a.jsonl"
    rows = [{"text": f"text {n}", "label": value} for n, value in enumerate(column.to_pylist())]
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    same = labels(lines)
    assert [item.labels for item in same.items] == expected
    assert same.skipped == read.skipped
    assert len(read.skipped) == len(column) - len(expected)


def test_classes_have_their_names_in_an_import_too(tmp_path: Path) -> None:
    features = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"])})
    data = Dataset.from_dict({"text": ["one", "two", "three"], "label": [1, 0, -1]}, features=features)
    data.to_parquet(tmp_path / "a.parquet")
    read = labels(tmp_path / "a.parquet")
    assert [item.labels for item in read.items] == [["yes"], ["no"]]
    assert [(skip.line, skip.reason) for skip in read.skipped] == [(3, "no label")]
    data.info.write_to_directory(str(tmp_path))
    (tmp_path / "a.csv").write_text("text,label\none,1\ntwo,0\nthree,7\n")
    read = labels(tmp_path / "a.csv")
    assert [item.labels for item in read.items] == [["yes"], ["no"]]
    assert "the label 7 is not the number of one of the 2 classes" in read.skipped[0].reason


def test_an_empty_cell_of_a_file_with_several_labels_means_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text,labels\none,\ntwo,a|b\nthree,"[""a|b"", ""b""]"\nfour,[]\n')
    assert [item.labels for item in labels(tmp_path / "a.csv", True).items] == [[], ["a", "b"], ["a|b", "b"], []]
    (tmp_path / "a.jsonl").write_text('{"text": "one", "labels": []}\n{"text": "two"}\n{"text": "x", "labels": [1, 0]}')
    read = labels(tmp_path / "a.jsonl", True)
    assert [item.labels for item in read.items] == [[], ["1", "0"]]
    assert [(skip.line, skip.reason[:8]) for skip in read.skipped] == [(2, "no label")]


@pytest.mark.parametrize("cell", ["['bad', 'x']", "['a' 'b']", "('a',)", "{'a', 'b'}", "[1 0]", "[a, b]", '["a" "b"]'])
@pytest.mark.parametrize("multi_label", [True, False])
def test_what_looks_like_a_list_is_no_label(cell: str, multi_label: bool) -> None:
    with pytest.raises(Skip, match="looks like a list"):
        labels_of(cell, multi_label, "|")


@pytest.mark.parametrize("cell", ["[other]", "(see note)", "[x] and [y]", "{}", "("])
def test_a_label_may_have_brackets(cell: str) -> None:
    assert labels_of(cell, False, "|") == labels_of(cell, True, "|") == [cell]


def test_a_separator_that_separates_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,labels\none,a\n")
    with pytest.raises(InvalidFile, match="separator between labels is empty"):
        labels(tmp_path / "a.csv", True, separator="")


@given(st.lists(LABELS, unique=True, max_size=4))
def test_labels_in_a_cell_are_read_back(names: list[str]) -> None:
    cell = label_cell(names)
    assert labels_of(cell, True, SEPARATOR) == names
    if len(names) == 1:
        assert labels_of(cell, False, SEPARATOR) == names


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
    ],
)
@pytest.mark.parametrize("named", [None, "utf-8", "utf-16", "utf-16-le", "latin-1"])
@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("a.csv", "text,label\ngrün,a\n"),
        ("a.tsv", "text\tlabel\ngrün\ta\n"),
        ("a.jsonl", '{"text": "grün", "label": "a"}\n'),
        ("a.json", '[{"text": "grün", "label": "a"}]'),
        ("a", '[{"text": "grün", "label": "a"}]'),
        ("a", '{"text": "grün", "label": "a"}'),
    ],
)
def test_a_byte_order_mark_decides(
    tmp_path: Path, mark: bytes, encoding: str, named: str | None, name: str, body: str
) -> None:
    (tmp_path / name).write_bytes(mark + body.encode(encoding))
    (item,) = labels(tmp_path / name, encoding=named).items
    assert (item.text, item.labels) == ("grün", ["a"])


def test_plain_lines_in_utf_16(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("grün\nblau\n".encode("utf-16"))
    read = read_records(open_data(tmp_path / "a.txt"), Columns(), "a.txt")
    assert [item.text for item in read.items] == ["grün", "blau"]
    (tmp_path / "a.txt").write_bytes(codecs.BOM_UTF16_LE)
    with pytest.raises(InvalidFile, match="is empty"):
        open_data(tmp_path / "a.txt")


def test_hidden_and_empty_files_of_a_folder_are_left_out_and_listed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\none,a\n")
    (tmp_path / "._a.csv").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X")
    (tmp_path / ".b.csv").write_text("text,label\ntwo,a\n")
    (tmp_path / "c.csv").write_bytes(b"")
    (tmp_path / "d.csv").write_bytes(b"\0" * 4096)
    assert [Path(file.uri).name for file in find_files(str(tmp_path))] == ["a.csv"]
    assert left_out(str(tmp_path)) == ["._a.csv (hidden)", ".b.csv (hidden)", "c.csv (empty)", "d.csv (empty)"]


def test_the_same_in_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    monkeypatch.setattr("tornio.storage.s3.open_store", lambda _settings: store)
    for name in ("a.csv", "._a.csv", "notes.txt"):
        store.put(f"d/{name}", b"text,label\none,a\n")
    store.put("d/c.csv", b"")
    assert [file.uri for file in find_files("s3://bucket/d")] == ["s3://bucket/d/a.csv"]
    assert sorted(left_out("s3://bucket/d/")) == ["._a.csv (hidden)", "c.csv (empty)"]
    assert left_out("s3://bucket/d/a.csv") == []


def test_an_id_that_no_store_can_hold_is_said_to_be_the_id(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes("id\ttext\n\0001\tone\nr2\ttwo\n".encode("utf-16"))
    read = read_records(open_data(tmp_path / "a.tsv"), Columns(), "a.tsv")
    assert [skip.reason for skip in read.skipped] == ["the id has a NUL character, which is no text"]
    assert [item.text for item in read.items] == ["two"]


def test_one_text_with_two_labels_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "id,text,label\n1,Late again,bad\n2,fine,good\n3,late  AGAIN,good\n1,Late again,good\n"
    )
    read = labels(tmp_path / "a.csv")
    assert [item.labels for item in read.items] == [["bad"], ["good"], ["good"]]
    assert [skip.line for skip in read.contradictions] == [4, 5]
    assert read.contradictions[0].reason == "the text 'late  AGAIN' is labelled 'good', and 'bad' in line 2"
    assert read.skipped[0].reason == "the id '1' again, as in line 2, with other labels: 'good' here, 'bad' there"


def test_every_text_of_a_file_is_classified(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,text\n1,same\n1,same\n,\n2,other\n3,same\n")
    read = read_texts(open_data(tmp_path / "a.csv"), Columns(), "a.csv")
    assert read.items == ["same", "same", "other", "same"]


@pytest.mark.parametrize("filler", [" ", ",", '"', '" ', "1 ", "' ,"])
def test_a_long_cell_that_is_almost_a_list_is_read_in_no_time(filler: str) -> None:
    cell = f'["a"{filler * 100_000}x'  # with a quadratic pattern, this test would take minutes
    assert labels_of(cell, False, SEPARATOR) == [cell]


def test_a_column_of_no_use_may_be_unreadable(tmp_path: Path) -> None:
    table = pa.table({"text": ["one"], "label": ["a"], "when": pa.array([2**62], pa.timestamp("us"))})
    pq.write_table(table, tmp_path / "a.parquet")
    assert [item.text for item in labels(tmp_path / "a.parquet").items] == ["one"]
