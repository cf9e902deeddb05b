"""Data files as people have them: what is read, what is skipped and why, what is refused with advice."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tornio.api import LabelIn, LabelledRecord, RecordIn
from tornio.errors import InvalidFile, Unavailable
from tornio.files import Columns, Format, Options, Read, open_data, read_labels, read_records, writer_for

pytestmark = pytest.mark.unit

USUAL = Columns()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def put(folder: Path, name: str, body: str | bytes) -> str:
    path = folder / name
    path.write_bytes(body.encode() if isinstance(body, str) else body)
    return str(path)


def records(path: str, columns: Columns = USUAL, **options: object) -> Read[RecordIn]:
    return read_records(open_data(path, Options(wanted=columns.named, **options)), columns, path)  # type: ignore[arg-type]


def labels(path: str, columns: Columns = USUAL, multi_label: bool = False) -> Read[LabelIn]:
    return read_labels(open_data(path, Options(wanted=columns.named)), columns, path, multi_label=multi_label)


def texts(path: str, columns: Columns = USUAL, **options: object) -> list[str]:
    return [record.text for record in records(path, columns, **options).items]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("a.csv", "id,text\n1,hello there\n2,bye\n"),
        ("a.csv", "\ufeffid,text\r\n1,hello there\r\n2,bye\r\n"),
        ("a.csv", "id;text\n1;hello there\n2;bye\n"),
        ("a.csv", "id\ttext\n1\thello there\n2\tbye"),
        ("a.csv", "id|text|\n1|hello there|\n2|bye|\n".replace("text|\n", "text\n")),
        ("a.csv", '"id","text"\n"1","hello there"\n\n"2","bye"\n\n'),
        ("a.tsv", "id\ttext\n1\thello there\n2\tbye\n"),
        ("a.jsonl", '{"id": 1, "text": "hello there"}\n\n{"id": 2, "text": "bye"}\n'),
        ("a.json", '[{"id": "1", "text": "hello there"}, {"id": "2", "text": "bye"}]'),
        ("a.json", '{"id": 1, "text": "hello there"}\n{"id": 2, "text": "bye"}'),
        ("a", '{"id": 1, "text": "hello there"}\n{"id": 2, "text": "bye"}'),
        ("a", "id,text\n1,hello there\n2,bye\n"),
        ("a.csv", "id,text\n1,hello there\n2,bye\n".encode("utf-16")),
    ],
)
def test_the_same_two_records_in_many_files(folder: Path, name: str, body: str | bytes) -> None:
    read = records(put(folder, name, body))
    assert [(record.record_id, record.text) for record in read.items] == [("1", "hello there"), ("2", "bye")]
    assert read.skipped == []


def test_parquet(folder: Path) -> None:
    table = pa.table({"id": [1, 2], "text": ["a", None], "when": [1.5, 2.5], "ok": [True, None]})
    pq.write_table(table, folder / "a.parquet")
    read = records(str(folder / "a.parquet"), Columns(metadata=("when", "ok")))
    assert [(r.record_id, r.text, r.metadata) for r in read.items] == [("1", "a", {"when": 1.5, "ok": True})]
    assert [(skip.line, skip.reason) for skip in read.skipped] == [(2, "no text")]


def test_quoted_texts_may_hold_everything(folder: Path) -> None:
    rows = [["text", "lang"], ['He said "no", twice;\nand left', "en"], ["tab\there\r\nand there", "de"]]
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    read = records(put(folder, "a.csv", out.getvalue()), Columns(metadata=("lang",)))
    assert [(r.text, r.metadata["lang"]) for r in read.items] == [(rows[1][0], "en"), (rows[2][0], "de")]


def test_one_text_a_line_when_told(folder: Path) -> None:
    body = 'I want my money, now\n"quoted" start\n\nlast; one'
    expected = ["I want my money, now", '"quoted" start', "last; one"]
    assert texts(put(folder, "a.csv", body), header=False) == expected
    assert texts(put(folder, "a.txt", body)) == expected
    assert texts(put(folder, "a.log", body), format=Format.LINES) == expected


def test_numbered_columns_when_there_is_no_header(folder: Path) -> None:
    path = put(folder, "a.csv", '1,"hello, you",en\n2,bye,en\n')
    assert texts(path, Columns(text="2"), header=False) == ["hello, you", "bye"]


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [
        ("a.csv", "", "is empty"),
        ("a.csv", "\n \n", "is empty"),
        ("a.csv", "text\n", "nothing below the first line"),
        ("a.csv", "I want my money\nwhere is it\n", "--no-header"),
        ("a.csv", "1,my bill is wrong\n2,it crashes\n", "--text-column with its number"),
        ("a.csv", "foo,bar\n1,2\n", "'foo', 'bar'"),
        ("a.csv", "text,text\n1,2\n", "appear twice"),
        ("a.csv", 'text\n"never closed\nand more\n', "line 2: a quote"),
        ("a.csv", 'text\n"closed" early\n', "line 2: found text after a closing quote"),
        ("a.csv", b"text\nna\xefve caf\xe9\n", "byte 0xef at offset 7 (line 2)"),
        ("a.csv", b"text\nna\xefve caf\xe9\n", "would read 'naïve café'"),
        ("a.csv", b"t\0e\0x\0t\0\n\0a\0", "zero byte at offset 1"),
        ("a.xlsx", b"PK\x03\x04....", "Excel"),
        ("a.csv.gz", b"\x1f\x8b....", "gunzip"),
        ("a.parquet", b"PAR1 and then nothing", "not Parquet"),
        ("a.jsonl", "not json\n", "line 1: not JSON"),
        ("a.jsonl", '["a"]\n', "line 1: not a JSON object"),
        ("a.jsonl", '{"body_": "x"}\n', "'body_'"),
        ("a.txt", "\n\n x\n".replace("x", " "), "is empty"),
    ],
)
def test_what_cannot_be_read_says_what_was_found_and_what_to_do(
    folder: Path, name: str, body: str | bytes, says: str
) -> None:
    with pytest.raises(InvalidFile) as refused:
        records(put(folder, name, body))
    assert says in str(refused.value)
    assert name in str(refused.value)


def test_a_file_that_is_not_there(folder: Path) -> None:
    with pytest.raises(InvalidFile, match="No such file"):
        open_data(str(folder / "none.csv"))
    with pytest.raises(InvalidFile, match="Is a directory"):
        open_data(str(folder))


def test_another_encoding_when_told(folder: Path) -> None:
    path = put(folder, "a.csv", "text\nnaïve\n".encode("windows-1252"))
    assert texts(path, encoding="cp1252") == ["naïve"]
    with pytest.raises(InvalidFile, match="unknown"):
        open_data(path, Options(encoding="klingon"))


def test_a_named_column_finds_the_delimiter(folder: Path) -> None:
    path = put(folder, "a.csv", "id;what, they, said\n1;a, b, c\n2;d, e, f\n")
    assert texts(path, Columns(text="what, they, said")) == ["a, b, c", "d, e, f"]
    with pytest.raises(InvalidFile, match="no column 'nope'"):
        records(path, Columns(text="nope"))


def test_a_file_with_one_column_is_not_split(folder: Path) -> None:
    path = put(folder, "a.csv", 'text\n"a, b"\nc d\n"e, f, g"\n')
    assert texts(path) == ["a, b", "c d", "e, f, g"]


def test_a_key_that_only_a_late_object_has_is_a_column(folder: Path) -> None:
    body = "".join(f'{{"text": "text {n}"}}\n' for n in range(300)) + '{"text": "last", "label": "bug"}\n'
    read = labels(put(folder, "a.jsonl", body))
    assert [item.text for item in read.items] == ["last"]


def test_standard_input_is_read_like_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    for body in (b"id,text\n1,hello\n", b'[{"id": 1, "text": "hello"}]', b'{"id": 1, "text": "hello"}\n'):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(body)))
        assert [(record.record_id, record.text) for record in records("-").items] == [("1", "hello")]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(InvalidFile, match="standard input is empty"):
        open_data("-")


def test_a_zero_byte_below_the_first_line_concerns_one_row(folder: Path) -> None:
    read = records(put(folder, "a.csv", "text\nfine\nnot \0 fine\n"))
    assert [record.text for record in read.items] == ["fine"]
    assert [(skip.line, "NUL" in skip.reason) for skip in read.skipped] == [(3, True)]


def test_what_is_skipped_and_why(folder: Path) -> None:
    lines = [
        {"id": "1", "text": "one"},
        {"id": "1", "text": "another"},
        {"id": "1", "text": "one"},
        {"id": "2", "text": "  "},
        {"id": "3"},
        {"id": "4", "text": 7},
        {"id": "5", "text": "x" * 1_000_000},
        {"id": "6" * 201, "text": "six"},
        {"id": 1.5, "text": "seven"},
        {"id": "8", "text": "\ud800"},
        {"id": "9", "text": "a\0b"},
        {"text": "twin"},
        {"text": "twin"},
        {"id": "", "text": "no id"},
    ]
    body = "".join(json.dumps(line) + "\n" for line in lines) + "{broken\n[1]\n"
    read = records(put(folder, "a.jsonl", body))
    assert [record.text for record in read.items] == ["one", "twin", "no id"]
    reasons = {skip.line: skip.reason for skip in read.skipped}
    assert "with another text than in line 1: ids must be unique" in reasons[2]
    assert reasons[3] == "the id '1' again, as in line 1"
    assert reasons[4] == reasons[5] == "no text"
    assert reasons[6] == "the text is a int, not a string"
    assert "1,000,000 characters" in reasons[7]
    assert "1 to 200" in reasons[8]
    assert "1.5" in reasons[9]
    assert "surrogate" in reasons[10]
    assert "NUL" in reasons[11]
    assert reasons[13] == "the same text as line 12"
    assert reasons[15].startswith("not JSON")
    assert reasons[16] == "not a JSON object ({...})"


def test_lines_of_a_csv_are_counted_where_rows_begin(folder: Path) -> None:
    path = put(folder, "a.csv", 'id,text\n1,"two\nlines"\n2\n3,ok\n')
    read = records(path)
    assert [(skip.line, skip.reason.split(":")[0]) for skip in read.skipped] == [
        (4, "1 fields where the first line has 2")
    ]


def test_labels_of_a_task_with_one_each(folder: Path) -> None:
    read = labels(put(folder, "a.csv", "text,label\na,bug\nb,\nc, how to | use \n"))
    assert [(item.text, item.labels) for item in read.items] == [("a", ["bug"]), ("c", ["how to | use"])]
    assert [(skip.line, skip.reason) for skip in read.skipped] == [(3, "no label")]


def test_labels_of_a_task_with_several(folder: Path) -> None:
    body = '{"text": "a", "labels": ["x", "y"]}\n{"text": "b", "labels": []}\n{"text": "c", "labels": "x|y|x"}\n'
    read = labels(put(folder, "a.jsonl", body), multi_label=True)
    assert [item.labels for item in read.items] == [["x", "y"], [], ["x", "y"]]
    single = labels(put(folder, "a.jsonl", body + '{"text": "d", "label": "x", "labels": "x"}'))
    assert [item.text for item in single.items] == ["d"]


@pytest.mark.parametrize(
    ("body", "columns", "says"),
    [
        ("text,topic\na,b\n", Columns(), "--label-column"),
        ("text,topic\na,b\n", Columns(label="tpoic"), "no column 'tpoic'"),
    ],
)
def test_a_file_without_labels(folder: Path, body: str, columns: Columns, says: str) -> None:
    with pytest.raises(InvalidFile, match=says):
        labels(put(folder, "a.csv", body), columns)


LABELLED = [
    LabelledRecord(record_id="1", text='a "b",\nc', labels=["x", "y"], purpose=None, source="answer", annotators=2),
    LabelledRecord(record_id="2", text="ümlaut", labels=[], purpose=None, source="import"),
]


@pytest.mark.parametrize("name", ["out.csv", "out.tsv", "out.jsonl", "out.parquet"])
def test_what_is_written_can_be_read_again(folder: Path, name: str) -> None:
    path = folder / name
    writer_for(path)(iter(LABELLED))
    read = labels(str(path), multi_label=True)
    assert read.items[0] == LabelIn(record_id="1", text='a "b",\nc', labels=["x", "y"])
    assert [path.name for path in folder.iterdir()] == [name]


def test_a_file_appears_whole_or_not_at_all(folder: Path) -> None:
    def broken() -> Iterator[LabelledRecord]:
        yield LABELLED[0]
        raise Unavailable("the stream ended early")

    with pytest.raises(Unavailable):
        writer_for(folder / "out.csv")(broken())
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "says"), [("out.xlsx", "Use one of .csv"), ("nowhere/out.csv", "nowhere does not exist")]
)
def test_where_nothing_can_be_written(folder: Path, name: str, says: str) -> None:
    with pytest.raises(InvalidFile, match=says):
        writer_for(folder / name)
