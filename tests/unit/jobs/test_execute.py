"""How a job is done: once an attempt, and told why where it failed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.context import JobContext
from jobs.running.execute import execute, next_attempt, plan_job
from jobs.table import JOBS
from tests.unit.controller.turning import HashLoader, Turning, quick_fit
from tornio.api import TaskName
from tornio.errors import InvalidInput, RunFailed, Unavailable
from tornio.loop import plans
from tornio.registry import NodeCache
from tornio.schemas.loop import LoopState, QueryIntent
from tornio.schemas.runs import RunFailure, RunPlan
from tornio.storage import documents
from tornio.tasks import Tasks

pytestmark = pytest.mark.unit
ARGS = '{"batch": "g1-b0001", "number": 1, "generation": 1, "version": null, %s"pool_seq": 1, "spec_rev": 1}'
QUERY = ARGS % '"label_seq": 0, '


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with quick_fit():
        yield


@pytest.fixture
def turning(tmp_path: Path) -> Turning:
    return Turning(tmp_path).begin()


def worker(turning: Turning) -> JobContext:
    """A process that runs jobs; each has a token of its own."""
    cache = NodeCache(turning.folder, turning.store)
    return JobContext(turning.store, cache, HashLoader(turning.store, cache, "float32"), Tasks(turning.store))


def query() -> RunPlan:
    return plan_job("query", TaskName("w", "t"), QUERY)


def test_a_plan_made_by_hand_is_the_loop_s(turning: Turning) -> None:
    intent = QueryIntent(number=1, batch="g1-b0001", version=None, label_seq=0, pool_seq=1, spec_rev=1)
    assert query() == plans.query(LoopState(), turning.spec, intent)


@pytest.mark.parametrize(
    ("job", "args", "said"),
    [
        ("cook", "{}", f"The jobs are: {', '.join(sorted(JOBS))}"),
        ("query", "{", "Invalid JSON"),
        ("query", ARGS % "", "label_seq: Field required"),
        ("query", ARGS % '"label_seq": 0, "colour": 1, ', "no argument colour"),
    ],
)
def test_arguments_that_are_none_are_told(job: str, args: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        plan_job(job, TaskName("w", "t"), args)


def test_a_run_is_done_once(turning: Turning) -> None:
    result = execute(query(), 1, worker(turning))
    assert execute(query(), 2, worker(turning)) == result


def test_an_attempt_whose_worker_died_has_failed_and_the_next_is_made(
    turning: Turning, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(BaseException):
        """Nothing below catches it."""

    def die(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr("jobs.query.pick_batch", die)
        with pytest.raises(Died):
            execute(query(), 1, worker(turning))
    for _ in range(2):  # whoever is asked, however often
        with pytest.raises(RunFailed, match="ended in the middle of attempt 1"):
            execute(query(), 1, worker(turning))
    assert next_attempt(query(), turning.store) == 2
    assert execute(query(), 2, worker(turning)).attempt == 2


def test_a_failed_attempt_fails_again_with_the_same_words(turning: Turning, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.delattr("jobs.query.pick_batch")
        with pytest.raises(NameError):
            execute(query(), 1, worker(turning))
    noted, _ = documents.load(turning.store, query().run_keys.failure(1), RunFailure)
    with pytest.raises(RunFailed, match="pick_batch"):
        execute(query(), 1, worker(turning))
    assert "NameError" in noted.error
    assert not noted.final


def test_what_cannot_be_done_is_noted_as_final(turning: Turning) -> None:
    plan = plan_job("label", TaskName("w", "t"), '{"pool_seq": 1, "spec_rev": 1}')
    with pytest.raises(InvalidInput, match="teacher"):
        execute(plan, 1, worker(turning))
    noted, _ = documents.load(turning.store, plan.run_keys.failure(1), RunFailure)
    assert noted.final


def test_a_failure_that_cannot_be_noted_does_not_hide_why(turning: Turning, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(operation: str, key: str) -> None:
        if key.endswith("failure.json"):
            raise Unavailable("the object store is away")

    monkeypatch.delattr("jobs.query.pick_batch")
    turning.store.after = away
    with pytest.raises(NameError, match="pick_batch"):
        execute(query(), 1, worker(turning))
