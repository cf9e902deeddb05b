"""The fake's own promises, beyond the contract that it shares with Argilla: hooks, clock, threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from tornio.annotation.fake import FakeAnnotationTool
from tornio.annotation.port import DatasetSpec, OutgoingRecord
from tornio.errors import InvalidInput, NotFound, Unavailable
from tornio.records import Purpose
from tornio.spec import LabelSpec

pytestmark = pytest.mark.unit

SPEC = DatasetSpec("team", "mood", (LabelSpec(name="a"), LabelSpec(name="b")), False, "", 1)


def record(record_id: str) -> OutgoingRecord:
    return OutgoingRecord(record_id, "text", "batch-1", Purpose.QUERY)


def test_a_fault_before_has_no_effect_and_one_after_has_all() -> None:
    def away(operation: str) -> None:
        raise Unavailable(f"{operation}: no answer")

    tool = FakeAnnotationTool()
    tool.ensure_dataset(SPEC)
    tool.before = away
    with pytest.raises(Unavailable, match="log: no answer"):
        tool.log("team", "mood", [record("r1")])
    tool.before, tool.after = None, away
    assert tool.records("team", "mood") == {}
    with pytest.raises(Unavailable, match="log: no answer"):
        tool.log("team", "mood", [record("r1")])
    assert list(tool.records("team", "mood")) == ["r1"]


def test_hooks_see_every_operation_and_may_use_the_tool() -> None:
    seen: list[str] = []
    tool = FakeAnnotationTool(before=seen.append)

    def answer_what_comes(operation: str) -> None:
        if operation == "log":
            tool.answer("team", "mood", "r1", "ann", ["a"])

    tool.after = answer_what_comes
    tool.ensure_dataset(SPEC)
    tool.log("team", "mood", [record("r1")])
    assert len(list(tool.sweep("team", "mood"))) == 1
    tool.read("team", "mood", ["r1"])
    tool.last_activity("team", "mood")
    tool.activity(["team"])
    tool.delete("team", "mood", ["r1"])
    tool.delete_dataset("team", "mood")
    assert seen == ["ensure_dataset", "log", "sweep", "read", "last_activity", "activity", "delete", "delete_dataset"]


def test_the_clock_only_goes_forward() -> None:
    tool = FakeAnnotationTool()
    tool.ensure_dataset(SPEC)
    tool.log("team", "mood", [record("r1")])
    start = tool.now
    tool.advance(timedelta(hours=2))
    response = tool.answer("team", "mood", "r1", "ann", ["a"])
    assert response.updated_at - start > timedelta(hours=2)
    with pytest.raises(ValueError, match="cannot go back"):
        tool.advance(timedelta(seconds=-1))


def test_annotators_can_only_do_what_the_question_allows() -> None:
    tool = FakeAnnotationTool()
    tool.ensure_dataset(SPEC)
    tool.log("team", "mood", [record("r1")])
    for labels in (["c"], [], ["a", "b"]):
        with pytest.raises(InvalidInput):
            tool.answer("team", "mood", "r1", "ann", labels)
    with pytest.raises(NotFound):
        tool.answer("team", "mood", "r2", "ann", ["a"])
    with pytest.raises(NotFound):
        tool.withdraw("team", "mood", "r1", "ann")


def test_many_threads_lose_nothing() -> None:
    tool = FakeAnnotationTool()
    tool.ensure_dataset(SPEC)

    def work(thread: int) -> None:
        for n in range(50):
            tool.log("team", "mood", [record(f"{thread}-{n}")])
            tool.answer("team", "mood", f"{thread}-{n}", "ann", ["a"])
            list(tool.sweep("team", "mood"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    responses = [response for record in tool.sweep("team", "mood") for response in record.responses]
    assert len({response.response_id for response in responses}) == 400
    assert len({response.updated_at for response in responses}) == 400
