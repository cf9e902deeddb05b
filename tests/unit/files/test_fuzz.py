"""Files of every kind, good and damaged: no reader ends in a raw error, and every command reads the same rows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tornio.errors import InvalidFile
from tornio.files import Columns, Options, Skipped, open_data, read_labels, read_records, read_texts
from tornio.files.sources import find_files
from tornio.records import default_record_id
from tornio.schemas.keys import workspace_run
from tornio.schemas.scoring import ScoreArgs
from tornio.schemas.tables import REJECTED, SCORE_INPUT
from tornio.scoring.staging import stage_input
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit
T = TypeVar("T")

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ODD = st.sampled_from(
    ["", " ", "\0", "\ufeff", "a|b", "['a']", '["a", "b"]', "[]", "=1+1", "a\rb", 'a"b', "1.0", "a,b;c\td"]
)
TEXT = st.one_of(WORDS, ODD, st.sampled_from(["one", "two", "grün"]))
LABEL = st.one_of(
    WORDS, ODD, st.none(), st.booleans(), st.integers(-2, 3), st.floats(-2, 3), st.sampled_from([1.0, float("nan")])
)
ROWS = st.lists(
    st.fixed_dictionaries({"text": TEXT, "label": st.one_of(LABEL, st.lists(st.sampled_from(["a", "b", "a|b"])))}),
    min_size=1,
    max_size=6,
)


def as_text(rows: Sequence[dict[str, Any]], delimiter: str) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    writer.writerows([list(rows[0]), *([*row.values()] for row in rows)])
    return out.getvalue()


def as_table(rows: Sequence[dict[str, Any]], arrow: str) -> bytes:
    """Parquet or Arrow. A column has one type there, so cells of other types than most become strings."""
    try:
        table = pa.Table.from_pylist(list(rows))
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        table = pa.Table.from_pylist([{name: str(cell) for name, cell in row.items()} for row in rows])
    out = io.BytesIO()
    if arrow == "parquet":
        pq.write_table(table, out)
    else:
        with (pa.ipc.new_file if arrow == "file" else pa.ipc.new_stream)(out, table.schema) as writer:
            writer.write_table(table)
    return out.getvalue()


@st.composite
def files(draw: st.DrawFn) -> tuple[str, bytes, str | None]:
    """A name, a body, and the encoding that the user gives."""
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"]))
    rows = draw(ROWS)
    if draw(st.booleans()):
        rows = [{"id": f"r{number}", **row} for number, row in enumerate(rows)]
    kind = draw(st.sampled_from(["csv", "tsv", "json", "jsonl", "parquet", "file", "stream", "bytes"]))
    if kind == "bytes":
        name = draw(st.sampled_from(["a.csv", "a.tsv", "a.json", "a.jsonl", "a.parquet", "a.arrow", "a.txt", "a"]))
        head = draw(st.sampled_from([b"", b"text,label\n", b'{"text": "a", "label": "', b"[", b"PAR1", b"ARROW1"]))
        return name, head + draw(st.binary(max_size=60)), draw(st.sampled_from([None, encoding]))
    if kind in ("parquet", "file", "stream"):
        name, body = ("a.parquet" if kind == "parquet" else "a.arrow"), as_table(rows, kind)
    else:
        text = {
            "csv": lambda: as_text(rows, draw(st.sampled_from(",;\t|"))),
            "tsv": lambda: as_text(rows, "\t"),
            "json": lambda: json.dumps(rows, ensure_ascii=False, indent=draw(st.sampled_from([None, 1]))),
            "jsonl": lambda: "".join(json.dumps(row) + "\n" for row in rows),
        }[kind]()
        name, body = draw(st.sampled_from([f"a.{kind}", "a"])), text.encode(encoding, "replace")
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 3]))):
        place = draw(st.integers(0, len(body)))
        body = body[:place] + draw(st.binary(max_size=2)) + body[place + draw(st.integers(0, 3)) :]
    return name, body, draw(st.sampled_from([None, encoding]))


def tried(read: Callable[[], T]) -> T | None:
    """What was read. None: the file was refused with a sentence."""
    try:
        return read()
    except InvalidFile:
        return None


def staged(path: Path, encoding: str | None, labels: Sequence[str], multi_label: bool) -> list[list[Any]]:
    """What a score run makes of a file: its rows, and the rows that it puts aside."""
    store, keys = MemoryStore(), workspace_run("w", "r")
    args = ScoreArgs(
        files=find_files(str(path)),
        encoding=encoding,
        labels=tuple(labels),
        multi_label=multi_label,
        precision="float32",
    )
    stage_input(args, keys, store, lambda _rows: None)
    return [
        [row for info in store.list(keys.folder(name)) for row in table.decode(store.get(info.key).body).to_pylist()]
        for name, table in (("input", SCORE_INPUT), ("rejected", REJECTED))
    ]


def again(skip: Skipped) -> bool:
    return skip.reason.startswith("the same text as") or " again, " in skip.reason


@given(files(), st.booleans())
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_command_reads_the_same_rows_of_any_file(file: tuple[str, bytes, str | None], multi_label: bool) -> None:
    name, body, encoding = file
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(body)

        def opened() -> Any:
            return open_data(path, Options(encoding=encoding), name)

        texts = tried(lambda: read_texts(opened(), Columns(), name))
        records = tried(lambda: read_records(opened(), Columns(), name))
        labels = tried(lambda: read_labels(opened(), Columns(), name, multi_label=multi_label))
        known = list(dict.fromkeys(label for item in labels.items for label in item.labels)) if labels else ["a", "b"]
        score = tried(lambda: staged(path, encoding, known, multi_label))

    if texts is None:
        assert (records, labels, score) == (None, None, None)
        return
    if records is None or any("the id " in skip.reason and not again(skip) for skip in records.skipped):
        return  # a damaged id: only a pool needs it
    assert [skip for skip in records.skipped if not again(skip)] == texts.skipped
    assert len(texts.items) == len(records.items) + sum(map(again, records.skipped))
    assert {record.text for record in records.items} <= set(texts.items)
    assert (labels is None) == (score is None)
    if labels is None or score is None:
        return
    rows, rejected = score
    first: dict[str, tuple[str, list[str]]] = {}
    for row in rows:
        first.setdefault(row["record_id"], (row["text"], row["given"]))
    items = {item.record_id or default_record_id(item.text): (item.text, item.labels) for item in labels.items}
    assert first == items
    unknown = "is none of"  # a label that only a repeated row has
    assert [(row["line"], row["reason"]) for row in rejected if unknown not in row["reason"]] == [
        (skip.line, skip.reason) for skip in labels.skipped if not again(skip)
    ]
    assert {text for text, _ in items.values()} <= set(texts.items)
