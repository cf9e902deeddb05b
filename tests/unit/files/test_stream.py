"""Large files row by row: every format gives the same rows, and what is wrong with one is told."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, Sequence, Value

from tornio.errors import Changed, InvalidFile
from tornio.files.reading import open_data
from tornio.files.rows import Columns, stream_rows
from tornio.files.sources import check_unchanged, find_files, on_disk
from tornio.files.tables import Options

pytestmark = pytest.mark.unit
ROWS = [{"text": "one, and more", "label": "a"}, {"text": 'zwei "Wörter"\nin zwei Zeilen', "label": "b"}]


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    table = pa.Table.from_pylist(rows)
    match path.suffix:
        case ".parquet":
            pq.write_table(table, path, row_group_size=max(1, len(rows) // 40))
        case ".arrow":
            with pa.ipc.new_stream(path, table.schema) as out:
                out.write_table(table)
        case ".feather":
            with pa.ipc.new_file(path, table.schema) as out:
                out.write_table(table)
        case ".json":
            path.write_text(json.dumps(rows, indent=1))
        case ".jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        case ".csv" | ".tsv":
            tab = "\t" if path.suffix == ".tsv" else ";"
            quoted = [[value.replace('"', '""') for value in row.values()] for row in rows]
            lines = [f"text{tab}label", *(tab.join(f'"{value}"' for value in row) for row in quoted)]
            path.write_bytes("\r\n".join(lines).encode())
    return path


def read(path: Path) -> list[Any]:
    stream = stream_rows(path, Columns(), Options(), str(path))
    return [row.values for row in stream.rows]


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "feather", "jsonl", "json", "csv", "tsv"])
def test_every_format_gives_the_same_rows(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"data.{suffix}", ROWS)
    assert read(path) == ROWS
    reader = open_data(str(path))
    assert (reader.columns, [row.values for row in reader.read(())]) == (("text", "label"), ROWS)


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "jsonl", "json", "csv"])
def test_a_large_file_is_never_in_memory_as_a_whole(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"data.{suffix}", [{"text": f"{n} " + "x" * 1000, "label": "a"} for n in range(40_000)])
    tracemalloc.start()
    stream = stream_rows(path, Columns(), Options(), "data")
    count = sum(1 for _ in stream.rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 40_000
    assert peak < 15e6, "the texts are 40 MB"


def test_a_byte_that_cannot_be_decoded_is_found_far_into_a_file(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    lines = b"text,label\n" + "grün,a\n".encode() * 300_000
    path.write_bytes(lines + b"gr\xfcn,a\n")
    rows = stream_rows(path, Columns(), Options(), "data").rows
    with pytest.raises(InvalidFile, match=rf"byte 0xfc at offset {len(lines) + 2} \(line 300002\)") as refused:
        list(rows)
    assert "--encoding windows-1252 it would read 'grün,a'" in str(refused.value)


def test_an_element_of_a_list_may_be_cut_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = [{"text": 'é "quoted" \n', "n": -12.5e3, "label": "a"}, {"text": "two", "ok": [True, None, {}]}, 7, 123456]
    path = tmp_path / "data.json"
    path.write_text(json.dumps(values))
    for size in range(1, 40):
        monkeypatch.setattr("tornio.files.objects._PIECE", size)
        assert read(path) == [*values[:2], "not a JSON object", "not a JSON object"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('[{"text": "a", "label": "b"}, {"text": 1', "found|delimiter, at element 2"),
        ('[{"text": "a", "label": "b"} {"text"', "found '{' where ',' or ']' belongs, at element 1"),
        ('[{"text": "a", "label": "b"},]', "Expecting value, at element 2"),
        ('[{"text": "a", "label": "b"}', "found the end of the file where"),
        ('[{"text": "a", "label": "b"}] x', "found text after the list"),
        ("[]", "holds no JSON object"),
        ("[1, 2]", "line 1: not a JSON object"),
    ],
)
def test_a_list_that_is_broken_is_an_error_with_the_place(tmp_path: Path, body: str, message: str) -> None:
    (tmp_path / "data.json").write_text(body)
    with pytest.raises(InvalidFile, match=message):
        read(tmp_path / "data.json")


def test_one_object_over_several_lines_is_a_row(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text('{\n "text": "a",\n "label": "b"\n}\n')
    assert read(tmp_path / "data.json") == [{"text": "a", "label": "b"}]


def test_a_row_that_is_broken_says_so_and_the_next_one_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\nfine,a\none,two,three\nalso fine,b\n")
    assert [row if isinstance(row, str) else row["text"] for row in read(tmp_path / "a.csv")] == [
        "fine",
        "3 fields where the first line has 2: put quotes around texts with delimiters",
        "also fine",
    ]
    (tmp_path / "a.jsonl").write_text('{"text": "fine", "label": "a"}\n{"text": \n[1]\n')
    rows = read(tmp_path / "a.jsonl")
    assert rows[0] == {"text": "fine", "label": "a"}
    assert rows[1].startswith("not JSON")
    assert rows[2] == "not a JSON object ({...})"


def test_columns_are_those_of_many_objects_and_not_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text('{"text": "no label here"}\n{"id": "r2", "text": "two", "label": "good"}\n')
    stream = stream_rows(path, Columns(), Options(), "data")
    assert (stream.used.record_id, stream.used.label) == ("id", "label")


def test_headers_and_delimiters_that_mean_nothing_are_told(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("text,label,text\none,good,two\n")
    with pytest.raises(InvalidFile, match=r"\['text'\] appear twice"):
        stream_rows(path, Columns(), Options(), "data")
    with pytest.raises(InvalidFile, match="must be one character"):
        stream_rows(path, Columns(), Options(delimiter=";;"), "data")


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    for name, body, said in [
        ("a.parquet", b"no", "not Parquet"),
        ("a.arrow", b"no", "not Arrow"),
        ("a.csv", b"", "is empty"),
        ("b.csv", b"text,label\n\xff\xfe,a\n", "not UTF-8: found byte 0xff at offset 11"),
        ("c.csv", b"words,label\nx,a\n", "no column 'text'"),
        ("a.jsonl", b"[]\n", "no JSON object"),
        ("a.xlsx", b"", "is empty"),
    ]:
        (tmp_path / name).write_bytes(body)
        with pytest.raises(InvalidFile, match=said):
            read(tmp_path / name)
    (tmp_path / "d.csv").write_text('text,label\n"open,a\n')
    with pytest.raises(InvalidFile, match="never closed"):
        read(tmp_path / "d.csv")


@pytest.mark.parametrize("multi", [False, True])
def test_a_data_set_that_was_saved_is_read_with_the_names_of_its_classes(tmp_path: Path, multi: bool) -> None:
    label = ClassLabel(names=["no", "yes"])
    features = Features({"text": Value("string"), "label": Sequence(label) if multi else label})
    values = [[1], [0, 1]] if multi else [1, 0]
    data = Dataset.from_dict({"text": ["one", "two"], "label": values}, features=features)
    data.save_to_disk(tmp_path / "saved", num_shards=2)
    data.to_parquet(tmp_path / "data.parquet")
    files = find_files(str(tmp_path / "saved"))
    assert len(files) == 2
    names = [stream_rows(Path(file.uri), Columns(), Options(), "data").class_names for file in files]
    assert names == [("no", "yes")] * 2
    parquet = stream_rows(tmp_path / "data.parquet", Columns(), Options(), "data")
    assert parquet.class_names == ("no", "yes")
    rows = []
    for file in files:
        with on_disk(file) as path:
            rows += read(path)
    assert rows == [row.values for row in parquet.rows]
    assert [row["label"] for row in rows] == values


def test_a_folder_is_its_files_in_order_and_a_change_is_seen(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv"):
        write(tmp_path / name, ROWS)
    (tmp_path / "README").write_text("not data")
    files = find_files(str(tmp_path))
    assert [Path(file.uri).name for file in files] == ["a.csv", "b.csv"]
    check_unchanged(files)
    write(tmp_path / "b.csv", ROWS[:1])
    with pytest.raises(Changed, match=r"b\.csv has changed since this run was planned"):
        check_unchanged(files)


def test_a_folder_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match="holds no file"):
        find_files(str(tmp_path))
    with pytest.raises(InvalidFile, match="no file or folder"):
        find_files(str(tmp_path / "nothing"))
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    with pytest.raises(InvalidFile, match="several splits"):
        find_files(str(tmp_path))
