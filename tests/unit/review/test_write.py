"""The corrected set in each of its forms."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tornio.errors import InvalidFile
from tornio.review.card import card
from tornio.review.corrected import schema
from tornio.review.hub import as_dataset, save
from tornio.review.write import writer_for
from tornio.scoring.ranking import Precision

pytestmark = pytest.mark.unit

LABELS = ("good", "bad", "so-so")
WHEN = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)


def row(place: int, original: Any, corrected: Any, who: Sequence[str] = ()) -> dict[str, Any]:
    return {
        "row": place,
        "record_id": f"r{place}",
        "text": 'one, "two"\nthree',
        "original_label": original,
        "corrected_label": corrected,
        "review": "changed" if who else "unreviewed",
        "who": list(who),
        "when": WHEN if who else None,
    }


SINGLE = [row(0, "good", "bad", ["ann", "bob"]), row(1, "bad", "bad"), row(2, "so-so", "so-so")]
MULTI = [row(0, ["good"], ["bad", "so-so"], ["ann"]), row(1, [], []), row(2, ["so-so"], ["so-so"])]


def tables(rows: Sequence[dict[str, Any]], multi_label: bool) -> list[pa.Table]:
    """One row a part, and a part without rows."""
    parts = [[one] for one in rows] + [[]]
    return [pa.Table.from_pylist(part, schema=schema(multi_label)) for part in parts]


def written(path: Path, rows: Sequence[dict[str, Any]], multi_label: bool) -> Path:
    assert writer_for(path)(iter(tables(rows, multi_label)), schema(multi_label)) == 3
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    return path


@pytest.mark.parametrize(("rows", "multi_label"), [(SINGLE, False), (MULTI, True)])
def test_parquet(tmp_path: Path, rows: list[dict[str, Any]], multi_label: bool) -> None:
    found = pq.read_table(written(tmp_path / "out.parquet", rows, multi_label))
    assert found.to_pylist() == rows
    assert found.schema == schema(multi_label)


@pytest.mark.parametrize(("rows", "multi_label"), [(SINGLE, False), (MULTI, True)])
def test_json_lines(tmp_path: Path, rows: list[dict[str, Any]], multi_label: bool) -> None:
    lines = written(tmp_path / "out.jsonl", rows, multi_label).read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {**one, "when": one["when"] and "2026-11-22T12:30:00+00:00"} for one in rows
    ]


def test_csv(tmp_path: Path) -> None:
    with written(tmp_path / "out.CSV", MULTI, True).open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [(one["original_label"], one["corrected_label"], one["who"], one["when"]) for one in found] == [
        ("good", "bad|so-so", "ann", "2026-11-22T12:30:00+00:00"),
        ("", "", "", ""),
        ("so-so", "so-so", "", ""),
    ]
    assert found[0]["text"] == SINGLE[0]["text"]


def test_what_cannot_be_written_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match=r"'.xlsx' is not a known format"):
        writer_for(tmp_path / "out.xlsx")
    (tmp_path / "file").touch()
    with pytest.raises(InvalidFile, match="does not exist"):
        writer_for(tmp_path / "file" / "out.csv")([], schema(False))
    with pytest.raises(InvalidFile, match="written on this machine"):
        writer_for(Path("s3://bucket/out.csv"))([], schema(False))
    (tmp_path / "taken.csv").mkdir()
    with pytest.raises(InvalidFile, match="cannot write"):
        writer_for(tmp_path / "taken.csv")([], schema(False))

    def breaks() -> Any:
        yield tables(SINGLE, False)[0]
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        writer_for(tmp_path / "out.parquet")(breaks(), schema(False))
    assert {one.name for one in tmp_path.iterdir()} == {"file", "taken.csv"}


def test_a_folder_for_datasets_has_class_labels_in_the_tasks_order(tmp_path: Path) -> None:
    save(as_dataset(tables(SINGLE, False), LABELS, False), tmp_path / "deep" / "set")
    found = datasets.load_from_disk(str(tmp_path / "deep" / "set"))
    assert found.features["corrected_label"] == datasets.ClassLabel(names=list(LABELS))
    assert found["original_label"][:] == [0, 1, 2]
    assert found["corrected_label"][:] == [1, 1, 2]
    assert found[0]["when"] == WHEN
    assert found["who"][:] == [["ann", "bob"], [], []]
    with pytest.raises(InvalidFile, match="already exists"):
        save(found, tmp_path / "deep" / "set")
    assert [one.name for one in (tmp_path / "deep").iterdir()] == ["set"]


@settings(max_examples=20)
@given(st.lists(st.lists(st.sampled_from(LABELS), unique=True, max_size=3), min_size=1, max_size=6))
def test_several_labels_are_lists_of_class_labels(given_labels: list[list[str]]) -> None:
    rows = [row(place, names, list(reversed(names))) for place, names in enumerate(given_labels)]
    made = as_dataset(tables(rows, True), LABELS, True)
    feature = made.features["original_label"]
    assert isinstance(feature, datasets.List)
    assert [[feature.feature.int2str(number) for number in one] for one in made["original_label"]] == given_labels
    corrected = [[feature.feature.int2str(number) for number in one] for one in made["corrected_label"]]
    assert corrected == [names[::-1] for names in given_labels]


def test_a_set_without_rows_is_no_data_set() -> None:
    with pytest.raises(InvalidFile, match="no rows"):
        as_dataset(tables([], False), LABELS, False)


def test_a_card_says_how_the_set_was_made() -> None:
    so_far = Precision(shown=200, reviewed=150, changed=99, discarded=2, disputed=1)
    text = card("moods", "score-1", "v0001-ab", "suspicion", LABELS, False, 12_000, so_far)
    assert "12,000 labelled texts" in text
    assert "99 labels (66.0 %) were wrong" in text
    assert "`good`, `bad`, `so-so`" in text
    nobody = card("moods", "score-1", "v0001-ab", "loss", LABELS, True, 5, Precision(0, 0, 0, 0, 0))
    assert "%" not in nobody


def test_labels_are_no_markdown_in_the_card() -> None:
    labels = ("a`b", "<b>", "\x1b[2J")
    text = card("moods", "score-1", "v0001-ab", "loss", labels, True, 5, Precision(0, 0, 0, 0, 0))
    assert r"Labels, in this order: `` a`b ``, `<b>`, `\u001b[2J`." in text
