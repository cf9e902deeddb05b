"""Rows and files of a finished run."""

from __future__ import annotations

import pytest

from tests.unit.runs.test_runs import PLAN, Played
from tornio.errors import Changed, Conflict, NotFound
from tornio.runs import RunReader, RunRecord, files_of, first_rows, read_file
from tornio.schemas.runs import RunTop
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit

OFFERED = ("report.html", "scores/")
ROOT = PLAN.run_keys.root


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    Played(store).planned().finish(1)
    for name in (
        "report.html",
        "scores/000000.parquet",
        "scores/000001.parquet",
        "input/000000.parquet",
        "report.html2",
    ):
        store.put(ROOT + name, name.encode())
    return store


def record(store: MemoryStore) -> RunRecord:
    return RunReader(store, "w", "t").run(PLAN.run)


def test_what_the_job_offers_is_listed_and_read(store: MemoryStore) -> None:
    files = files_of(store, record(store), OFFERED).files
    assert [file.name for file in files] == ["report.html", "scores-000000.parquet", "scores-000001.parquet"]
    for file in files:
        body = read_file(store, record(store), OFFERED, file.name, file.etag)
        assert (len(body), body.decode()) == (file.size, file.name.replace("-", "/"))


@pytest.mark.parametrize(
    "name",
    [
        "input-000000.parquet",
        "plan.json",
        "result.json",
        "report.html2",
        "scores",
        "scores-",
        "scores-..",
        "scores-9.parquet",
    ],
)
def test_what_the_job_does_not_offer_is_not_found(store: MemoryStore, name: str) -> None:
    stored = store.head(ROOT + name.replace("-", "/", 1))
    with pytest.raises(NotFound, match="has no file"):
        read_file(store, record(store), OFFERED, name, stored.etag if stored else "")


def test_a_file_that_changed_since_it_was_listed_is_refused(store: MemoryStore) -> None:
    report = files_of(store, record(store), OFFERED).files[0]
    store.put(ROOT + "report.html", b"without the deleted text")
    with pytest.raises(Changed, match="List the files again"):
        read_file(store, record(store), OFFERED, report.name, report.etag)


def test_the_first_rows_are_those_that_the_run_wrote(store: MemoryStore) -> None:
    assert first_rows(store, record(store), 5).columns == []  # an earlier release
    rows = (("9.5", "one"), ("3.0", "two"))
    store.put(PLAN.run_keys.top, RunTop(run=PLAN.run, columns=("loss", "text"), rows=rows).encode())
    found = first_rows(store, record(store), 1)
    assert (found.columns, found.rows) == (["loss", "text"], [["9.5", "one"]])


def test_before_it_is_done_a_run_has_no_result() -> None:
    store = MemoryStore()
    Played(store).planned().start(1)
    with pytest.raises(Conflict, match="no result before it is done"):
        files_of(store, record(store), OFFERED)
    with pytest.raises(Conflict):
        first_rows(store, record(store), 1)
    with pytest.raises(Conflict):
        read_file(store, record(store), OFFERED, "report.html", "")
