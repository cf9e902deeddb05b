"""The drain-when-free batcher: order, budgets, errors and cancellation. Its model is a function under our control."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.batching import SPARE_EVERY, Batcher, tokens
from tornio.errors import NotFound, Unavailable

pytestmark = pytest.mark.unit

Answer = tuple[str, str]


class Gate:
    """A model that waits at a gate, so that a test decides what queues up behind a batch."""

    def __init__(self, is_open: bool = False) -> None:
        self.calls: list[tuple[str, list[str]]] = []
        self.entered = threading.Semaphore(0)
        self._open = threading.Semaphore(10_000 if is_open else 0)

    def let(self, batches: int = 10_000) -> None:
        self._open.release(batches)

    def bind(self, key: str) -> Callable[[Sequence[str]], Sequence[Answer]]:
        if key == "unknown":
            raise NotFound("there is no task unknown")

        def run(texts: Sequence[str]) -> Sequence[Answer]:
            self.calls.append((key, list(texts)))
            self.entered.release()
            self._open.acquire()
            if "poison" in texts:
                raise ValueError("poison")
            return [(key, text) for text in texts]

        return run

    def batcher(self, batch_tokens: int = 10_000, queue_tokens: int = 10_000) -> Batcher[str, Answer]:
        return Batcher(self.bind, batch_tokens=batch_tokens, queue_tokens=queue_tokens)

    async def busy(self) -> None:
        """Wait until a batch runs."""
        await asyncio.to_thread(self.entered.acquire)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 20))


async def submit(batcher: Batcher[str, Answer], *requests: tuple[str, list[str]]) -> list[asyncio.Task[Any]]:
    """Queue these in order and let them reach the queue."""
    tasks = [asyncio.create_task(_submit(batcher, key, texts)) for key, texts in requests]
    await asyncio.sleep(0)
    return tasks


async def _submit(batcher: Batcher[str, Answer], key: str, texts: list[str]) -> Sequence[Answer]:
    return await batcher.submit(key, texts)


def test_a_lone_request_does_not_wait_for_company() -> None:
    async def test() -> None:
        gate = Gate(is_open=True)
        batcher = gate.batcher()
        assert await batcher.submit("a", ["one", "two"]) == [("a", "one"), ("a", "two")]
        assert gate.calls == [("a", ["one", "two"])]

    run(test)


def test_what_queued_up_behind_a_batch_runs_together_by_task() -> None:
    async def test() -> None:
        gate = Gate()
        batcher = gate.batcher()
        first = await submit(batcher, ("a", ["1"]))
        await gate.busy()
        rest = await submit(batcher, ("b", ["2"]), ("a", ["3", "4"]), ("b", ["5"]), ("a", ["6"]))
        gate.let()
        await asyncio.gather(*first, *rest)
        assert gate.calls == [("a", ["1"]), ("b", ["2", "5"]), ("a", ["3", "4", "6"])]
        assert rest[3].result() == [("a", "6")]

    run(test)


def test_a_batch_keeps_to_its_budget_and_an_oversized_request_runs_alone() -> None:
    async def test() -> None:
        gate = Gate()
        batcher = gate.batcher(batch_tokens=3 * tokens(["x"]))
        first = await submit(batcher, ("a", ["0"]))
        await gate.busy()
        rest = await submit(batcher, ("a", ["1"]), ("a", ["2", "3"]), ("a", list("456789")), ("a", ["z"]))
        gate.let()
        await asyncio.gather(*first, *rest)
        assert [texts for _, texts in gate.calls] == [["0"], ["1", "2", "3"], list("456789"), ["z"]]

    run(test)


def test_the_model_is_bound_when_its_batch_starts() -> None:
    async def test() -> None:
        version = "v1"
        gate = Gate()

        def bind(key: str) -> Callable[[Sequence[str]], Sequence[Answer]]:
            bound, run = version, gate.bind(key)
            return lambda texts: [(bound, text) for _, text in run(texts)]

        batcher = Batcher[str, Answer](bind, batch_tokens=100, queue_tokens=100)
        before = await submit(batcher, ("a", ["1"]))
        await gate.busy()
        after = await submit(batcher, ("a", ["2"]))
        version = "v2"
        gate.let()
        assert await before[0] == [("v1", "1")]
        assert await after[0] == [("v2", "2")]

    run(test)


def test_a_full_queue_says_so_at_once_and_recovers() -> None:
    async def test() -> None:
        gate = Gate()
        batcher = gate.batcher(queue_tokens=2 * tokens(["x"]))
        accepted = await submit(batcher, ("a", ["1"]))
        await gate.busy()
        accepted += await submit(batcher, ("a", ["2"]), ("a", ["3"]))
        with pytest.raises(Unavailable, match="overloaded"):
            await batcher.submit("a", ["4"])
        gate.let()
        await asyncio.gather(*accepted)
        assert await batcher.submit("a", ["4"]) == [("a", "4")]

    run(test)


def test_nobody_waits_for_the_backlog_of_another_client() -> None:
    async def test() -> None:
        gate = Gate()
        batcher = gate.batcher(batch_tokens=2 * tokens(["x"]))
        accepted = await submit(batcher, ("a", ["0"]))
        await gate.busy()
        loud = [asyncio.create_task(batcher.submit("a", [f"l{n}"], "loud")) for n in range(6)]
        await asyncio.sleep(0)
        quiet = [asyncio.create_task(batcher.submit(key, [f"q{key}"], "quiet")) for key in "ab"]
        await asyncio.sleep(0)
        gate.let()
        await asyncio.gather(*accepted, *loud, *quiet)
        order = [text for _, texts in gate.calls[1:] for text in texts]
        assert order.index("qa") <= 1
        assert order.index("qb") <= 4
        assert [text for text in order if text.startswith("l")] == [f"l{n}" for n in range(6)]

    run(test)


def test_clients_that_wait_have_equal_parts_of_the_queue() -> None:
    async def test() -> None:
        gate = Gate()
        batcher = gate.batcher(queue_tokens=4 * tokens(["x"]))
        accepted = await submit(batcher, ("a", ["0"]))
        await gate.busy()

        async def more(client: str) -> asyncio.Task[Any]:
            task = asyncio.create_task(batcher.submit("a", ["x"], client))
            await asyncio.sleep(0)
            return task

        loud = [await more("loud") for _ in range(5)]
        assert [task.done() for task in loud] == [False] * 4 + [True]
        quiet = [await more("quiet") for _ in range(3)]
        assert [task.done() for task in quiet] == [False] * 2 + [True]
        gate.let()
        outcomes = await asyncio.gather(*accepted, *loud, *quiet, return_exceptions=True)
        assert [isinstance(one, Unavailable) for one in outcomes].count(True) == 2

    run(test)


@given(
    requests=st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["x", "y", "z"])), max_size=20),
    batch_tokens=st.integers(1, 30),
)
def test_every_client_is_answered_in_its_order(requests: list[tuple[str, str]], batch_tokens: int) -> None:
    async def test() -> None:
        gate = Gate()
        batcher = gate.batcher(batch_tokens)
        tasks = [asyncio.create_task(batcher.submit(key, [str(n)], client)) for n, (key, client) in enumerate(requests)]
        await asyncio.sleep(0)
        gate.let()
        answers = await asyncio.gather(*tasks)
        assert answers == [[(key, str(n))] for n, (key, _) in enumerate(requests)]
        order = [int(text) for _, texts in gate.calls for text in texts]
        assert sorted(order) == list(range(len(requests)))
        for kind in set(requests):
            mine = [n for n in order if requests[n] == kind]
            assert mine == sorted(mine)

    run(test)


def test_an_error_reaches_only_the_request_whose_texts_made_it() -> None:
    async def test() -> None:
        gate = Gate()
        batcher = gate.batcher()
        first = await submit(batcher, ("a", ["1"]))
        await gate.busy()
        rest = await submit(batcher, ("a", ["2"]), ("a", ["poison", "3"]), ("a", ["4"]), ("unknown", ["5"]))
        gate.let()
        outcomes = await asyncio.gather(*first, *rest, return_exceptions=True)
        assert outcomes[1] == [("a", "2")]
        assert isinstance(outcomes[2], ValueError)
        assert outcomes[3] == [("a", "4")]
        assert isinstance(outcomes[4], NotFound)

    run(test)


def test_a_request_that_is_cancelled_takes_nobody_along() -> None:
    async def test() -> None:
        gate = Gate()
        batcher = gate.batcher()
        running = await submit(batcher, ("a", ["1"]))
        await gate.busy()
        queued = await submit(batcher, ("a", ["2"]), ("a", ["3"]))
        running[0].cancel()
        queued[0].cancel()
        await asyncio.sleep(0)
        assert batcher.queued == 1
        gate.let()
        assert await queued[1] == [("a", "3")]
        assert [texts for _, texts in gate.calls] == [["1"], ["3"]]
        assert await batcher.submit("a", ["4"]) == [("a", "4")]

    run(test)


def test_a_model_that_answers_too_little_is_an_error_and_no_mix_up() -> None:
    async def test() -> None:
        batcher = Batcher[str, str](lambda _: lambda texts: texts[1:], batch_tokens=100, queue_tokens=100)
        with pytest.raises(RuntimeError, match="0 of 1"):
            await batcher.submit("a", ["1"])

    run(test)


@given(
    requests=st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c"]),
            st.lists(st.text(max_size=30), max_size=4),
            st.sampled_from(["wait", "cancel", "poison"]),
            st.integers(0, 3),
        ),
        max_size=25,
    ),
    batch_tokens=st.integers(1, 60),
)
def test_every_request_gets_its_own_answers_in_order_of_its_task(
    requests: list[tuple[str, list[str], str, int]], batch_tokens: int
) -> None:
    async def test() -> None:
        gate = Gate(is_open=True)
        batcher = gate.batcher(batch_tokens)
        tasks = []
        for index, (key, texts, fate, pause) in enumerate(requests):
            named = [f"{index}:{text}" for text in texts] + (["poison"] if fate == "poison" else [])
            tasks += await submit(batcher, (key, named))
            for _ in range(pause):
                await asyncio.sleep(0)
            if fate == "cancel":
                tasks[-1].cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for index, ((key, texts, fate, _), outcome) in enumerate(zip(requests, outcomes, strict=True)):
            if fate == "poison":
                assert isinstance(outcome, ValueError)
            elif not isinstance(outcome, asyncio.CancelledError):
                assert outcome == [(key, f"{index}:{text}") for text in texts]
            else:
                assert fate == "cancel"
        for key in "abc":
            clean = [texts for called, texts in gate.calls if called == key and "poison" not in texts]
            order = [int(text.split(":", 1)[0]) for texts in clean for text in texts]
            mine = [i for i, (k, _, fate, _) in enumerate(requests) if k == key and fate == "poison"]
            if not mine:  # retries of a poisoned batch call again what was called before
                assert order == sorted(order)
        assert batcher.queued == 0

    run(test)


def test_spare_work_waits_for_a_free_moment_and_not_longer_than_some_batches() -> None:
    async def test() -> None:
        gate, done = Gate(), list[int]()
        batcher = gate.batcher(batch_tokens=1)  # a request a batch
        tasks = await submit(batcher, *(("a", [str(number)]) for number in range(3 * SPARE_EVERY)))
        await gate.busy()
        for _ in range(2):
            assert batcher.later(0, lambda: done.append(len(gate.calls)))
        gate.let()
        await asyncio.gather(*tasks)
        assert done == [SPARE_EVERY, 2 * SPARE_EVERY]
        await batcher.submit("a", ["again"])
        assert batcher.later(0, lambda: done.append(len(gate.calls)))
        await batcher.submit("a", ["and again"])
        while len(done) < 3:
            await asyncio.sleep(0.001)

    run(test)
