"""Rows become parts: none is lost, none is moved, and no part is too large."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornio.errors import InvalidFile
from tornio.schemas.keys import workspace_run
from tornio.schemas.tables import REJECTED, SCORE_INPUT, Table
from tornio.scoring import cutting
from tornio.scoring.cutting import Cut, FoundRow, stage_rows
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit
KEYS = workspace_run("w", "r")


def found(files: list[list[bool]]) -> list[FoundRow]:
    """The rows of files, each of them usable or not."""
    rows: list[FoundRow] = []
    for number, file in enumerate(files):
        for line, good in enumerate(file):
            row = len(rows)
            usable = {"record_id": f"r{row}", "text": f"text {row}", "given": []}
            rows.append(FoundRow(row, number, f"{number}.csv", line, usable if good else "no text"))
    return rows


def stored(store: MemoryStore, table: Table, name: str, parts: int) -> list[list[int]]:
    """The places of the rows of each part."""
    keys = [KEYS.part(name, part) for part in range(parts)]
    bodies = [store.get(key).body if store.head(key) else None for key in keys]
    return [[] if body is None else table.decode(body).column("row").to_pylist() for body in bodies]


@given(st.lists(st.lists(st.booleans(), max_size=9), max_size=5), st.integers(1, 4), st.booleans())
def test_every_row_is_in_one_part_in_its_place(files: list[list[bool]], part_rows: int, by_file: bool) -> None:
    store, told = MemoryStore(), list[int]()
    rows = found(files)
    staged = stage_rows(rows, Cut(part_rows, strict=False, by_file=by_file), KEYS, store, told.append)
    good = stored(store, SCORE_INPUT, "input", len(staged.parts))
    bad = stored(store, REJECTED, "rejected", len(staged.parts))
    together = [sorted(a + b) for a, b in zip(good, bad, strict=True)]
    assert [row for part in together for row in part] == list(range(len(rows)))
    assert [len(part) for part in together] == [part.rows + part.rejected for part in staged.parts]
    assert all(1 <= len(part) <= part_rows for part in together)
    assert told == [sum(map(len, together[: number + 1])) for number in range(len(together))]
    if by_file:
        assert [[rows[row].file for row in part] for part in together] == [
            [count.file] * len(part) for count, part in zip(staged.parts, together, strict=True)
        ]
    else:
        assert all(len(part) == part_rows for part in together[:-1])


def test_long_texts_end_a_part_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "PART_BYTES", 12)
    staged = stage_rows(found([[True] * 5]), Cut(100, strict=False), KEYS, MemoryStore(), lambda _rows: None)
    assert [part.rows for part in staged.parts] == [2, 2, 1]


def test_a_strict_run_names_the_first_row_that_cannot_be_used() -> None:
    with pytest.raises(InvalidFile, match=r"1\.csv, line 1: no text\. Without --strict"):
        stage_rows(found([[True], [True, False]]), Cut(2, strict=True), KEYS, MemoryStore(), lambda _rows: None)
