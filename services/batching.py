"""Batches without waiting: whenever the model is free, it takes every request that was queued meanwhile.

A batch that is collected before the model is free stays small just when the replica is busiest (measured on Ray
Serve's ``@serve.batch``: 33 against 57 requests per second). Here no request waits for others, and load alone makes
batches larger.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tornio.errors import Unavailable

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")
Run = Callable[[Sequence[str]], Sequence[R]]
"""One model call. It returns a result for each text, in order."""

SPARE_EVERY = 20
"""Batches after which spare work is done although requests wait. So a model that is never free for it is compared all
the same, and work that takes as long as a batch takes 1 of 21 parts of the throughput."""
_LONGEST = 2_000
"""Characters of a text that count: models read no more of it."""


def tokens(texts: Sequence[str]) -> int:
    """Return about how many tokens the texts have, from their lengths: four characters per token, two for the ends."""
    return sum(2 + min(len(text), _LONGEST) // 4 for text in texts)


@dataclass(slots=True, eq=False)
class _Request(Generic[K, R]):
    key: K
    texts: Sequence[str]
    client: str
    answer: asyncio.Future[Sequence[R] | Exception] = field(default_factory=asyncio.Future)
    cost: int = 0

    def __post_init__(self) -> None:
        self.cost = tokens(self.texts)


class Batcher(Generic[K, R]):
    """One queue and one worker thread in front of models that are identified by a key.

    ``bind`` is called when a batch starts. It returns the model call that answers the whole batch, so no batch mixes
    keys or versions. Clients take turns: the next batch begins with the oldest request of the client that has waited
    longest for its turn, and is filled with requests of each client in turns. So nobody waits for another's backlog.
    Requests of one client and key are answered in their order.
    A request is never split, so a request that exceeds ``batch_tokens`` runs alone. A batch that fails is tried again
    request by request, so a request's texts can break that request alone.
    """

    def __init__(
        self,
        bind: Callable[[K], Run[R]],
        *,
        batch_tokens: int,
        queue_tokens: int,
        done: Callable[[int, int], None] = lambda texts, queued: None,
    ) -> None:
        """``queue_tokens``: tokens that may wait. Clients that wait have equal parts of it.

        ``done``: called after each batch with the number of its texts, and of the requests that wait then."""
        self._bind = bind
        self._done = done
        self._batch_tokens = batch_tokens
        self._queue_tokens = queue_tokens
        self._queue: deque[_Request[K, R]] = deque()
        self._spare: deque[tuple[int, Callable[[], None]]] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._begun: float | None = None
        self._turns: dict[str, int] = {}
        """When each client was in a batch last, counted in batches."""
        self._batches = 0
        self._since_spare = 0
        """Batches since spare work was done last."""

    @property
    def queued(self) -> int:
        """The number of requests that wait for the model."""
        return len(self._queue)

    @property
    def busy_s(self) -> float:
        """For how many seconds the model has been working on its present batch; 0 if it has none."""
        return 0.0 if self._begun is None else time.monotonic() - self._begun

    async def submit(self, key: K, texts: Sequence[str], client: str = "") -> Sequence[R]:
        """Return the results of these texts, in order. ``client``: who asks, as requests share the queue by clients.

        Raises Unavailable when the client's part of the queue is full, and the errors of ``bind`` and of the model.
        """
        request = _Request[K, R](key, texts, client)
        self._check_room(request)
        self._queue.append(request)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(), name="batcher")
        try:
            answer = await request.answer
        except asyncio.CancelledError:
            if request in self._queue:
                self._queue.remove(request)
            raise
        if isinstance(answer, Exception):
            raise answer
        return answer

    def later(self, cost: int, work: Callable[[], None]) -> bool:
        """Do something with a model in its thread, once no request waits, or after ``SPARE_EVERY`` batches.

        ``cost``: about how many tokens it passes. For calls from within a batch. ``work`` must raise nothing. Returns
        False, and forgets it, if more than ``batch_tokens`` of such work would wait.
        """
        if self._spare and sum(waiting for waiting, _ in list(self._spare)) + cost > self._batch_tokens:
            return False
        self._spare.append((cost, work))
        return True

    def close(self) -> None:
        """End the worker thread after the batch that it runs."""
        self._spare.clear()
        self._thread.shutdown(wait=False)

    async def _work(self) -> None:
        """Run batch after batch until nothing is queued."""
        loop = asyncio.get_running_loop()
        batch: list[_Request[K, R]] = []
        try:
            while self._queue or self._spare:
                self._begun = time.monotonic()
                if self._spare and (not self._queue or self._since_spare >= SPARE_EVERY):
                    self._since_spare = 0
                    await loop.run_in_executor(self._thread, self._spare.popleft()[1])
                    continue
                batch = self._take()
                answers = await loop.run_in_executor(self._thread, self._answer, batch)
                for request, answer in zip(batch, answers, strict=True):
                    if not request.answer.done():  # done: the caller has gone
                        request.answer.set_result(answer)
                self._done(sum(len(request.texts) for request in batch), len(self._queue))
        finally:
            self._worker = self._begun = None
            # Only an ending event loop (or a closed thread) interrupts the work: no caller must wait for ever.
            for request in (*batch, *self._queue):
                request.answer.cancel()
            self._queue.clear()
            self._spare.clear()

    def _check_room(self, request: _Request[K, R]) -> None:
        """Raises Unavailable if the client's part of the queue is full. One request of each client always fits."""
        clients = {queued.client for queued in self._queue} | {request.client}
        own = [queued.cost for queued in self._queue if queued.client == request.client]
        if own and sum(own) + request.cost > self._queue_tokens / len(clients):
            raise Unavailable(
                f"This replica is overloaded: {len(own)} of your requests (about {sum(own)} tokens) wait for its "
                "model. Try again in a moment, send smaller requests, or add replicas."
            )

    def _take(self) -> list[_Request[K, R]]:
        """Return the request whose turn it is, and the requests of its key that fit into the budget, in turns."""
        first = min(self._queue, key=lambda queued: self._turns.get(queued.client, 0))  # of several, the oldest
        before = Counter[str]()
        ranked: list[tuple[int, int, _Request[K, R]]] = []
        for queued in self._queue:
            if queued.key == first.key:
                ranked.append((before[queued.client], self._turns.get(queued.client, 0), queued))
                before[queued.client] += 1
        batch: list[_Request[K, R]] = []
        room = self._batch_tokens
        for _, _, request in sorted(ranked, key=lambda entry: entry[:2]):
            room -= request.cost
            if batch and room < 0:
                break
            batch.append(request)
        self._batches += 1
        self._since_spare += 1
        self._turns.update({request.client: self._batches for request in batch})
        taken = set(batch)
        self._queue = deque(queued for queued in self._queue if queued not in taken)
        return batch

    def _answer(self, batch: Sequence[_Request[K, R]]) -> Sequence[Sequence[R] | Exception]:
        """Return the results, or the error, of each request. Runs in the worker thread."""
        try:
            run = self._bind(batch[0].key)
        except Exception as error:  # noqa: BLE001 - it belongs to the caller
            return [error] * len(batch)
        together = _attempt(run, [text for request in batch for text in request.texts])
        if isinstance(together, Exception):
            if len(batch) == 1:
                return [together]
            return [_attempt(run, request.texts) for request in batch]
        results = iter(together)
        return [[next(results) for _ in request.texts] for request in batch]


def _attempt(run: Run[R], texts: Sequence[str]) -> Sequence[R] | Exception:
    try:
        results = run(texts)
    except Exception as error:  # noqa: BLE001 - it belongs to the caller
        return error
    if len(results) != len(texts):
        return RuntimeError(f"The model answered {len(results)} of {len(texts)} texts. This is a bug of the model.")
    return results
