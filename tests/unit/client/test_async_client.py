"""The asynchronous client: what it shares with the other one, and what an event loop adds."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from tests.unit.gateway.fake import KEYS, OPERATOR, FakeBackend, app_of, audited
from tornio import AsyncClient, Client, errors
from tornio.api import LabelIn, RecordIn
from tornio.client.wire import finished
from tornio.spec import TaskSpec

pytestmark = pytest.mark.unit

SPEC = TaskSpec.model_validate({"workspace": "acme", "name": "support", "labels": ["billing", "bug"]})
TASK = "acme/support"
R = TypeVar("R")


def client_of(backend: FakeBackend, retry_seconds: float = 5.0) -> AsyncClient:
    transport = httpx.ASGITransport(app_of(backend, KEYS), raise_app_exceptions=False)
    return AsyncClient("http://tornio", OPERATOR, transport=transport, retry_seconds=retry_seconds)


def public(kind: type) -> dict[str, Any]:
    return {name: value for name, value in inspect.getmembers(kind) if not name.startswith("_") and callable(value)}


def test_both_clients_have_the_same_methods_with_the_same_arguments_and_results() -> None:
    blocking, waiting = public(Client), public(AsyncClient)
    assert blocking.keys() == waiting.keys()
    for name, method in waiting.items():
        ours, theirs = inspect.signature(blocking[name]), inspect.signature(method)
        assert ours.parameters == theirs.parameters, name
        assert blocking[name].__doc__ == method.__doc__, name
        assert not inspect.iscoroutinefunction(blocking[name]), name
        if str(theirs.return_annotation).startswith("AsyncGenerator"):
            yields = str(ours.return_annotation).removeprefix("Iterator[").removesuffix("]")
            assert theirs.return_annotation == f"AsyncGenerator[{yields}, None]", name
        else:
            assert ours.return_annotation == theirs.return_annotation, name
            assert inspect.iscoroutinefunction(method), name
    assert inspect.signature(Client).parameters.keys() == inspect.signature(AsyncClient).parameters.keys()


def test_what_goes_in_comes_out() -> None:
    backend = FakeBackend()
    backend.audit.held = [audited(number) for number in range(5)]

    async def use() -> None:
        async with client_of(backend) as client:
            assert (await client.apply(SPEC)).created
            added = await client.add_records(TASK, [RecordIn(record_id="1", text="a"), RecordIn(text="b")])
            assert (added.added, added.known) == (2, 0)
            labels = [LabelIn(record_id=str(n), text=f"text {n}\u2028\n", labels=["bug"]) for n in range(3)]
            assert (await client.import_labels(TASK, labels)).imported == 3
            assert [one.text async for one in client.labels(TASK)] == [label.text for label in labels]
            assert len([event async for event in client.audit("acme")]) == 5
            assert (await client.pause(TASK)).asks.paused
            assert (await client.status(TASK)).phase == "paused"
            with pytest.raises(errors.NotServable, match="no version yet"):
                await client.predict(TASK, ["a"])
            with pytest.raises(errors.NotFound):
                await client.status("acme/missing")
            assert (await client.zero_shot(["a"], ["praise", "anger"]))[0].labels == ["praise"]

    asyncio.run(use())


@pytest.mark.parametrize("at_once", [1, 4])
def test_predictions_of_many_texts_arrive_in_order(at_once: int) -> None:
    backend, done = FakeBackend(), list[int]()

    async def use() -> None:
        async with client_of(backend) as client:
            await client.apply(SPEC)
            backend.serve(TASK, "v3", 7)
            texts = ["x" * (2000 if n % 7 == 0 else 1) for n in range(1100)]
            answers = [one async for one in client.predict_each(TASK, texts, done.append, at_once=at_once)]
            assert [one.truncated for one in answers] == [len(text) > 1000 for text in texts]

    asyncio.run(use())
    assert sum(done) == 1100
    assert len(done) > 4


def test_files_are_sent_in_parts(tmp_path: Path) -> None:
    file = tmp_path / "some.csv"
    file.write_bytes(b"text,label\n" + b"x" * (9 << 20))
    backend, done = FakeBackend(), list[int]()

    async def use() -> None:
        async with client_of(backend) as client:
            upload = await client.upload("acme", file, done.append)
            assert upload.whole
            assert [one.name for one in (await client.uploads("acme")).uploads] == [upload.name]

    asyncio.run(use())
    assert sum(done) == file.stat().st_size
    assert len(done) > 2


def test_a_pause_before_the_next_attempt_lets_other_coroutines_run(monkeypatch: pytest.MonkeyPatch) -> None:
    slept = list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("tornio.client.wire.asyncio.sleep", sleep)
    monkeypatch.setattr("tornio.client.wire.time.sleep", pytest.fail)
    answers = iter([httpx.Response(503, headers={"Retry-After": "7"}), httpx.Response(200, json={"tasks": []})])

    async def use() -> None:
        transport = httpx.MockTransport(lambda _: next(answers))
        async with AsyncClient("http://x", "key", transport=transport) as client:
            assert await client.tasks() == []

    asyncio.run(use())
    assert slept == [7]


class Hanging(httpx.AsyncBaseTransport):
    """Answers the first requests at once, and no other one."""

    def __init__(self, answered: int = 0) -> None:
        self.answered = answered
        self.begun = self.ended = 0
        self.waiting = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.begun += 1
        if self.begun <= self.answered:
            answer = {"labels": ["a"], "probabilities": {"a": 1.0}, "truncated": False, "version": "v1", "revision": 1}
            return httpx.Response(200, json={"predictions": [answer] * request.content.count(b"text ")})
        self.waiting.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended += 1
        raise AssertionError("it never ends by itself")


def test_cancelling_ends_the_request() -> None:
    async def use() -> None:
        transport = Hanging()
        async with AsyncClient("http://x", "key", transport=transport) as client:
            asked = asyncio.create_task(client.tasks())
            await transport.waiting.wait()
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
        assert (transport.begun, transport.ended) == (1, 1)

    asyncio.run(use())


def test_leaving_early_ends_the_requests_that_are_under_way() -> None:
    async def use() -> None:
        transport = Hanging(answered=2)
        async with AsyncClient("http://x", "key", transport=transport) as client:
            texts = (f"text {n}" for n in range(10_000))
            async with aclosing(client.predict_each(TASK, texts, at_once=3)) as answers:
                seen = [await anext(answers) for _ in range(251)]
        assert len(seen) == 251
        assert transport.begun == 4
        assert transport.ended == 2

    asyncio.run(use())


def test_the_blocking_client_works_within_a_running_loop() -> None:
    """As in a notebook."""

    async def use() -> None:
        transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"tasks": []}))
        assert Client("http://x", "key", transport=transport).tasks() == []

    asyncio.run(use())


def test_a_coroutine_that_waits_is_a_fault_of_the_blocking_client() -> None:
    waits: Coroutine[Any, Any, None] = asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="has none"):
        finished(waits)
