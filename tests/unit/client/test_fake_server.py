"""The fake server for users' tests, and that it answers as the real one does."""

from __future__ import annotations

import asyncio
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tornio import AsyncClient, Client, api, errors
from tornio.api import LabelIn, RecordIn
from tornio.testing import FakeServer

pytestmark = pytest.mark.unit

TASK = "acme/reviews"
LABELS = ["praise", "complaint"]


@pytest.fixture
def server() -> FakeServer:
    server = FakeServer()
    server.task(TASK, LABELS)
    return server


@pytest.fixture
def client(server: FakeServer) -> Client:
    return Client(server.url, "key", transport=server.transport, retry_seconds=5)


def test_texts_get_what_the_test_says(server: FakeServer, client: Client) -> None:
    server.answer(TASK, {"Great!": "praise", "So so.": {"praise": 0.6, "complaint": 0.4}}, otherwise="complaint")
    answers = client.predict(TASK, ["Great!", "So so.", "It broke."])
    assert [one.labels for one in answers] == [("praise",), ("praise",), ("complaint",)]
    assert answers[1].probabilities == {"praise": 0.6, "complaint": 0.4}
    assert {one.version for one in answers} == {"v1"}
    server.answer(TASK, lambda text: "praise" if "love" in text else "complaint")
    assert [one.labels for one in client.predict(TASK, ["I love it", "no"])] == [("praise",), ("complaint",)]
    assert server.requests[-1].method == "POST"
    assert server.requests[-1].path == "/v1/tasks/acme/reviews/predict"
    assert server.requests[-1].body == {"texts": ["I love it", "no"]}


def test_several_labels_a_text(server: FakeServer, client: Client) -> None:
    server.task("acme/topics", ["price", "quality", "service"], multi_label=True)
    server.answer("acme/topics", {"a": ["price", "service"], "b": {"quality": 0.7}, "c": []})
    answers = client.predict("acme/topics", ["a", "b", "c"])
    assert [one.labels for one in answers] == [("price", "service"), ("quality",), ()]
    assert all(one.multi_label for one in answers)


def test_a_text_without_an_answer_fails_the_test(server: FakeServer, client: Client) -> None:
    with pytest.raises(AssertionError, match=r"no answer for the text 'what\?'"):
        client.predict(TASK, ["what?"])
    with pytest.raises(AssertionError, match="does not know GET /v1/tasks/acme/reviews/runs"):
        client.runs(TASK)


@pytest.mark.parametrize("choice", ["angry", ["praise", "complaint"], {"angry": 1.0}])
def test_an_answer_that_the_task_cannot_give_is_refused(server: FakeServer, choice: Any) -> None:
    with pytest.raises(ValueError, match=r"no labels of the task|has one label"):
        server.answer(TASK, {"a": choice})


def test_zero_shot(server: FakeServer, client: Client) -> None:
    server.answer_zero_shot({"Great!": "joy"}, otherwise="anger")
    assert [one.labels for one in client.zero_shot(["Great!", "no"], ["joy", "anger"])] == [["joy"], ["anger"]]


def test_versions_and_status(server: FakeServer, client: Client) -> None:
    server.answer(TASK, otherwise="praise")
    server.serve(TASK, "v2")
    (prediction,) = client.predict(TASK, ["a"])
    assert (prediction.version, prediction.revision) == ("v2", 2)
    assert client.rollback(TASK).version == "v1"
    server.set_status(TASK, phase="stopped", why="more labels change nothing")
    status = client.status(TASK)
    assert (status.phase, status.why, status.labels) == ("stopped", "more labels change nothing", LABELS)
    assert status.asks.hold
    for wrong in ({"phase": None}, {"fase": "stopped"}):
        with pytest.raises(ValueError, match=r"phase|fase"):
            server.set_status(TASK, **wrong)


def test_what_the_server_does_not_know_can_be_given(server: FakeServer, client: Client) -> None:
    server.respond("GET", "/v1/tasks/acme/reviews/runs", api.Runs(runs=[]))
    assert client.runs(TASK) == []


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (503, errors.Unavailable),
        (502, errors.Unavailable),
        (errors.Unauthorized("no such key"), errors.Unauthorized),
        (errors.Unavailable("the model is being loaded"), errors.Unavailable),
        (httpx.ReadTimeout("too slow"), errors.Unavailable),
        (httpx.ConnectError("refused"), errors.Unavailable),
    ],
)
def test_failures(server: FakeServer, failure: int | Exception, error: type[Exception]) -> None:
    client = Client(server.url, "key", transport=server.transport, retry_seconds=0)
    server.fail(failure)
    with pytest.raises(error):
        client.tasks()
    assert [task.task for task in client.tasks()] == ["reviews"]
    assert len(server.requests) == 2


def test_a_failure_is_overcome_by_a_retry(server: FakeServer, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    slept = list[float]()
    monkeypatch.setattr("tornio.client.wire.time.sleep", slept.append)
    server.fail(503, times=2, path="/tasks", retry_after=3)
    assert client.ready().ready
    assert len(client.tasks()) == 1
    assert slept == [3, 3]
    assert [one.path for one in server.requests] == ["/readyz", *["/v1/tasks"] * 3]


def test_only_its_key_is_accepted() -> None:
    server = FakeServer(api_key="right")
    with pytest.raises(errors.Unauthorized):
        Client(server.url, "wrong", transport=server.transport).tasks()
    assert Client(server.url, "right", transport=server.transport).tasks() == []


def test_the_asynchronous_client(server: FakeServer) -> None:
    server.answer(TASK, lambda text: LABELS[len(text) % 2])

    async def use() -> list[tuple[str, ...]]:
        async with AsyncClient(server.url, "key", transport=server.transport) as client:
            texts = ["x" * (1 + n % 2) for n in range(900)]
            return [one.labels async for one in client.predict_each(TASK, texts, at_once=3)]

    assert asyncio.run(use()) == [(LABELS[(1 + n % 2) % 2],) for n in range(900)]
    assert len(server.requests) == 4


def test_many_threads_may_ask(server: FakeServer, client: Client) -> None:
    server.answer(TASK, otherwise="praise")
    assert len(list(client.predict_each(TASK, ["x"] * 2000, at_once=4))) == 2000
    assert len(server.requests) == 8


WRONG: list[tuple[Callable[[Client], object], type[errors.TornioError]]] = [
    (lambda client: client.status("acme/missing"), errors.NotFound),
    (lambda client: client.import_labels(TASK, [LabelIn(text="a", labels=["x"])]), errors.InvalidInput),
    (lambda client: client.rollback(TASK), errors.NotFound),
    (lambda client: client.apply({"workspace": "acme", "name": "reviews", "labels": LABELS, "multi_label": True}),
     errors.ChangeRefused),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error"), WRONG)
def test_problems_come_back_as_the_errors_they_were(
    client: Client, call: Callable[[Client], object], error: type[errors.TornioError]
) -> None:
    with pytest.raises(error) as raised:
        call(client)
    assert type(raised.value) is error


def test_what_goes_in_comes_out(client: Client) -> None:
    added = client.add_records(TASK, [RecordIn(record_id="1", text="a"), RecordIn(text="b")])
    assert (added.added, added.known) == (2, 0)
    labels = [LabelIn(record_id=str(n), text=f"text {n}\u2028\n", labels=["praise"]) for n in range(3)]
    assert client.import_labels(TASK, labels).imported == 3
    assert client.import_labels(TASK, labels).unchanged == 3
    assert [one.text for one in client.labels(TASK)] == [label.text for label in labels]
    assert client.status(TASK).training_labels == {"praise": 3, "complaint": 0}


def test_labels_that_are_in_use_do_not_vanish(client: Client) -> None:
    client.import_labels(TASK, [LabelIn(text="Great!", labels=["praise"])])
    with pytest.raises(errors.ChangeRefused, match="praise"):
        client.apply({"workspace": "acme", "name": "reviews", "labels": ["complaint", "question"]})
    assert client.status(TASK).training_labels == {"praise": 1, "complaint": 0}


def test_the_page_about_it_shows_code_that_works(tmp_path: Path) -> None:
    page = Path(__file__).parents[3] / "docs" / "how-to" / "testing-with-the-client.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    assert len(blocks) > 3
    (tmp_path / "shown.py").write_text("\n".join(blocks))
    names = runpy.run_path(str(tmp_path / "shown.py"))
    tests = {name: value for name, value in names.items() if name.startswith("test_")}
    assert len(tests) > 3
    for test in tests.values():
        test()
