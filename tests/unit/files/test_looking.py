"""What a file seems to hold, before anybody has said so."""

from __future__ import annotations

import csv
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornio.errors import InvalidSpec
from tornio.files import open_data
from tornio.files.looking import Found, guess, has_no_header, look, read_all
from tornio.files.tables import Options
from tornio.spec.labels import label_faults
from tornio.specfile import read_spec
from tornio.specfile.draft import Draft, DraftLabel, write_draft

pytestmark = pytest.mark.unit


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def rows(*lines: str, times: int = 4) -> str:
    """A CSV whose rows come several times, with different ids."""
    head, *body = lines
    return "\n".join([head, *(line.replace("#", f"{n}") for n in range(times) for line in body)]) + "\n"


def labels_in(path: Path) -> Found:
    return read_all(open_data(path), "text", None, "label")


def test_the_columns_of_a_table_are_found_by_name_and_by_what_they_hold(tmp_path: Path) -> None:
    body = rows(
        "review_id,stars,country,headline,opinion,score",
        "r#a,5,de,Good,I would buy it again at once because it works,0.5",
        "r#b,1,fr,Bad thing,It broke after two days and nobody answers,0.25",
    )
    guessed = guess(look(open_data(written(tmp_path, "a.csv", body))))
    assert guessed.text == "opinion"
    assert guessed.record_id == "review_id"
    assert guessed.label is None
    assert set(guessed.labels) >= {"stars", "country"}
    assert "opinion" not in guessed.labels


def test_ids_of_which_few_recur_are_ids_and_dates_are_no_labels(tmp_path: Path) -> None:
    lines = [f"t-{min(n, 28)},2026-11-{1 + n % 3:02},Message number {n} of a customer,{n % 3}" for n in range(30)]
    body = rows("ticket_id,created,message body,queue", *lines, times=1)
    guessed = guess(look(open_data(written(tmp_path, "a.csv", body))))
    assert (guessed.text, guessed.record_id, guessed.labels) == ("message body", "ticket_id", ("queue",))
    lines = [f"u-{n % 5},Message number {n} of a customer" for n in range(30)]
    guessed = guess(look(open_data(written(tmp_path, "b.csv", rows("user_id,message", *lines, times=1)))))
    assert guessed.record_id is None


def test_usual_names_go_first(tmp_path: Path) -> None:
    body = rows("id,notes,Text,label", "#1,a very long remark about nothing at all,short,x", "#2,another long one,b,y")
    guessed = guess(look(open_data(written(tmp_path, "a.csv", body))))
    assert (guessed.text, guessed.record_id, guessed.label) == ("Text", "id", "label")


def test_it_is_unclear_which_of_two_similar_columns_is_the_text(tmp_path: Path) -> None:
    body = rows("question,answer", "where is my parcel,it is on its way", "can I pay later,yes you can do that")
    guessed = guess(look(open_data(written(tmp_path, "a.csv", body))))
    assert guessed.text is None
    assert set(guessed.texts) == {"question", "answer"}


def test_a_file_without_text_columns(tmp_path: Path) -> None:
    guessed = guess(look(open_data(written(tmp_path, "a.csv", "a,b\n1,2\n3,4\n"))))
    assert (guessed.texts, guessed.text) == ((), None)


@pytest.mark.parametrize(
    ("cells", "several", "counts"),
    [
        (["bad", "good", "bad"], False, {"bad": 2, "good": 1}),
        (["bad|x", "good|x", ""], True, {"bad": 1, "x": 2, "good": 1}),
        (["a|b", "c", "a|b"], False, {"a|b": 2, "c": 1}),
        (["0", "1", "0"], False, {"0": 2, "1": 1}),
        (["[/bad]", "=cmd", "[/bad]"], False, {"[/bad]": 2, "=cmd": 1}),
    ],
)
def test_the_labels_of_a_csv(tmp_path: Path, cells: list[str], several: bool, counts: dict[str, int]) -> None:
    body = "text,label\n" + "".join(f"the text {n},{cell}\n" for n, cell in enumerate(cells))
    found = labels_in(written(tmp_path, "a.csv", body))
    assert found.multi_label is several
    assert dict(found.counts(several)) == counts
    assert found.labelled(several) == len(cells)


@pytest.mark.parametrize(
    ("cells", "several", "counts"),
    [
        ([True, False, None], False, {"true": 1, "false": 1}),
        ([[0, 1], [1], []], True, {"0": 1, "1": 2}),
        ([["a"], ["b"], ["a"]], False, {"a": 2, "b": 1}),
        ([1.0, 0.0, float("nan")], False, {"1": 1, "0": 1}),
    ],
)
def test_the_labels_of_json(tmp_path: Path, cells: list[object], several: bool, counts: dict[str, int]) -> None:
    lines = [json.dumps({"text": f"the text {n}", "label": cell}) for n, cell in enumerate(cells)]
    found = labels_in(written(tmp_path, "a.jsonl", "\n".join(lines)))
    assert found.multi_label is several
    assert dict(found.counts(several)) == counts


def test_labels_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    found = labels_in(written(tmp_path, "a.csv", "text,label\na b,\"['x', 'y']\"\n"))
    assert not found.single
    assert found.unread is not None
    assert "looks like a list" in found.unread


def test_rows_without_text_repeated_ids_and_the_script_are_counted(tmp_path: Path) -> None:
    body = "id,text\n1,مرحبا بكم\n1,كيف الحال\n2,\n3,أين طلبي\n"
    found = read_all(open_data(written(tmp_path, "a.csv", body)), "text", "id", None)
    assert (found.texts, found.unusable, found.repeated_ids, found.script) == (3, 1, 1, "ARABIC")
    assert found.example == "مرحبا بكم"


def test_a_header_that_is_a_row(tmp_path: Path) -> None:
    assert has_no_header(open_data(written(tmp_path, "a.csv", "the parcel came late,bad\nwell done,good\n")).columns)
    assert not has_no_header(open_data(written(tmp_path, "b.csv", "customer text,label\na,b\n")).columns)
    assert not has_no_header(open_data(written(tmp_path, "c.txt", "the parcel came late\n")).columns)


def test_a_text_per_line(tmp_path: Path) -> None:
    reader = open_data(written(tmp_path, "a.txt", "one text\n\nanother text\n"))
    assert look(reader) == []
    assert read_all(reader, "", None, None).texts == 2


def test_more_labels_than_a_task_may_have_are_not_all_kept(tmp_path: Path) -> None:
    body = "text,label\n" + "".join(f"t {n},l{n}\n" for n in range(3_000))
    assert len(labels_in(written(tmp_path, "a.csv", body)).single) == 1_001


def test_columns_without_a_header_are_numbers(tmp_path: Path) -> None:
    reader = open_data(written(tmp_path, "a.csv", "the parcel came late,bad\n"), Options(header=False, wanted=("1",)))
    assert reader.columns == ("1", "2")


_CELLS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.sampled_from(["", "a", "b", "a|b", "0", "1", "1.5", "true", '["a", "b"]', "['a']", "the parcel came late"]),
)


@given(st.lists(st.lists(_CELLS, min_size=3, max_size=3), min_size=1, max_size=12), st.booleans())
def test_any_table_is_looked_at_and_its_labels_make_a_task(cells: list[list[str]], several: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        with path.open("w", encoding="utf-8", newline="") as out:
            csv.writer(out).writerows([["id", "words", "label"], *cells])
        reader = open_data(path, Options(delimiter=","))
        columns = look(reader)
        guessed = guess(columns)
        assert {guessed.record_id, guessed.label} <= {None, "id", "label"}
        assert guessed.text is None or guessed.text in guessed.texts
        found = read_all(reader, "words", guessed.record_id, "label")
    assert found.texts + found.unusable == len([row for row in cells if any(cell.strip() for cell in row)])
    counts = found.counts(several)
    assert found.labelled(several) <= found.texts
    assert sum(found.single.values()) == found.labelled_singly
    names = list(counts)
    if len(names) < 2 or any(label_faults(names)):
        return  # no task may have these
    labels = [DraftLabel(name, rows=rows) for name, rows in counts.items()]
    try:
        text = write_draft(Draft("acme", "table", labels, "table.csv", several))
    except InvalidSpec:
        assert any("\n" in name or "\r" in name for name in names)
        return
    assert read_spec(text).label_names == tuple(names)
