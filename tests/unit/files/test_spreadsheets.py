"""What is written for a spreadsheet: no cell is a formula, and Tornio reads everything back as it was."""

from __future__ import annotations

import csv
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tornio.api import LabelIn, LabelledRecord
from tornio.files import Columns, Options, open_data, read_labels, writer_for
from tornio.files.spreadsheets import write_csv

pytestmark = pytest.mark.unit

FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
ANY = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXTS = st.one_of(
    st.text(ANY, min_size=1, max_size=30),
    st.text("=+-@\t\r\n'\",;|[]{} a\ufeff\u2028", min_size=1, max_size=12),
).filter(lambda text: text.strip())
LABELS = TEXTS.map(str.strip).filter(bool)
IDS = st.text(ANY, min_size=1, max_size=12).filter(lambda one: one.isprintable() and one.strip())
RECORDS = st.lists(
    st.builds(
        LabelledRecord,
        record_id=IDS,
        text=TEXTS,
        labels=st.lists(LABELS, unique=True, max_size=3),
        purpose=st.none(),
        source=st.just("answer"),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda one: one.record_id,
)


@given(
    RECORDS,
    st.sampled_from([".csv", ".tsv", ".jsonl", ".parquet"]),
    st.booleans(),
    st.sampled_from(["utf-8-sig", "utf-16", "utf-16-le"]),
)
@settings(max_examples=300, deadline=None)
def test_an_export_is_read_back_as_it_was(
    records: list[LabelledRecord], suffix: str, escape: bool, encoding: str
) -> None:
    expected = [LabelIn(record_id=one.record_id, text=one.text or "", labels=one.labels) for one in records]
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"out{suffix}"
        writer_for(path, escape=escape)(iter(records))
        read = read_labels(open_data(path), Columns(), path.name, multi_label=True)
        assert (read.items, read.skipped) == (expected, [])
        if all(len(one.labels) == 1 for one in records):
            assert read_labels(open_data(path), Columns(), path.name, multi_label=False).items == expected
        if suffix != ".parquet":
            path.write_bytes(path.read_bytes().decode().encode(encoding))
            reader = open_data(path, Options(encoding="utf-16-le" if encoding == "utf-16-le" else None))
            assert read_labels(reader, Columns(), path.name, multi_label=True).items == expected


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5))
@settings(deadline=None)
def test_no_cell_begins_like_a_formula(rows: list[tuple[str, str]]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "out.csv"
        assert write_csv(path, ["text", "label"], rows) == len(rows)
        with path.open(newline="", encoding="utf-8") as file:
            found = list(csv.reader(file))
        assert not any(cell.startswith(FORMULAS) for row in found for cell in row)
        assert [row.values for row in open_data(path).read(()) if not isinstance(row.values, str)] == [
            {"text": text, "label": label, "escaped": row[2]}
            for (text, label), row in zip(rows, found[1:], strict=True)
        ]


def test_numbers_stay_numbers_and_an_apostrophe_of_the_user_stays(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", ["text", "margin"], [("'=1", -0.5), ("=1", 2)])
    assert (tmp_path / "a.csv").read_text() == "text,margin,escaped\n'=1,-0.5,\n'=1,2,text\n"
    assert [row.values["text"] for row in open_data(tmp_path / "a.csv").read(()) if isinstance(row.values, dict)] == [
        "'=1",
        "=1",
    ]
    write_csv(tmp_path / "a.csv", ["text"], [("=1",)], escape=False)
    assert (tmp_path / "a.csv").read_text() == "text\n=1\n"


def test_a_column_escaped_of_another_program_takes_nothing_away(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label,escaped\n\"'twas night\",a,text\n'=1,b,label\n'=2,c,text|label\n")
    read = [row.values for row in open_data(tmp_path / "a.csv").read(("text", "label"))]
    assert [(row["text"], row["label"]) for row in read if isinstance(row, dict)] == [
        ("'twas night", "a"),
        ("'=1", "b"),
        ("=2", "c"),
    ]
