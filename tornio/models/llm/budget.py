"""What may still be asked of an endpoint: counted in the store before it is asked, and never exceeded."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from threading import Lock

from tornio.errors import BudgetSpent, TornioError
from tornio.schemas.keys import llm_spending
from tornio.schemas.llm import Spending
from tornio.storage import documents
from tornio.storage.port import ObjectStore

log = logging.getLogger(__name__)

BLOCK = 16
"""Requests that a process counts in one write, at most. One write per request would be the slowest part of a run; a
larger block is lost when the process is killed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Most requests and tokens in all."""

    requests: int
    tokens: int

    def left(self, spending: Spending) -> Limits:
        return Limits(max(0, self.requests - spending.requests), max(0, self.tokens - spending.tokens))


class Purse:
    """What one process has counted in the store and not spent yet. Thread-safe; a context manager.

    Every request is reserved here before it is sent. Whatever happens, ``spending`` in the store is at least what was
    sent: it is written first, by compare-and-swap, and reduced only by what was certainly not sent, when the purse is
    closed. It never exceeds the limits, unless a server uses more tokens than were reserved, which is counted, too.
    """

    def __init__(self, store: ObjectStore, endpoint: str, limits: Limits) -> None:
        self._store = store
        self._endpoint = endpoint
        self._limits = limits
        self._requests = 0
        self._tokens = 0
        self._lock = Lock()

    def __enter__(self) -> Purse:
        documents.create_or_get(self._store, llm_spending(self._endpoint), Spending())
        return self

    def __exit__(self, *_error: object) -> None:
        try:
            self._close()
        except TornioError as error:
            log.warning("What was reserved of %r and not used stays counted as spent: %s", self._endpoint, error)

    def reserve(self, tokens: int) -> None:
        """Reserve one request with at most so many tokens. Raises BudgetSpent; nothing is reserved then."""
        with self._lock:
            if self._requests < 1 or self._tokens < tokens:
                self._take(tokens)
            self._requests -= 1
            self._tokens -= tokens

    def give_back(self, tokens: int) -> None:
        """Return tokens that were reserved and not used; a negative number takes those used beyond the reservation."""
        with self._lock:
            self._tokens += tokens

    def _take(self, tokens: int) -> None:
        """Count a block of requests like this one in the store."""
        taken = Limits(0, 0)

        def change(spending: Spending) -> Spending:
            nonlocal taken
            left = self._limits.left(spending)
            requests = max(0, 1 - self._requests)
            missing = max(0, tokens - self._tokens)
            if left.requests < requests or left.tokens < missing:
                raise BudgetSpent(self._says(left))
            taken = Limits(
                min(max(0, BLOCK - self._requests), left.requests),
                min(max(missing, BLOCK * tokens - self._tokens), left.tokens),
            )
            return spending.evolve(requests=spending.requests + taken.requests, tokens=spending.tokens + taken.tokens)

        documents.update(self._store, llm_spending(self._endpoint), Spending, change)
        self._requests += taken.requests
        self._tokens += taken.tokens

    def _close(self) -> None:
        with self._lock:
            requests, tokens, self._requests, self._tokens = self._requests, self._tokens, 0, 0

        def change(spending: Spending) -> Spending:
            return spending.evolve(requests=spending.requests - requests, tokens=spending.tokens - tokens)

        documents.update(self._store, llm_spending(self._endpoint), Spending, change)

    def _says(self, left: Limits) -> str:
        return (
            f"the budget of the endpoint {self._endpoint!r} is used up: {left.requests:,} of {self._limits.requests:,} "
            f"requests and {left.tokens:,} of {self._limits.tokens:,} tokens are left, which may not be enough for one "
            "more text. The answers so far are kept. To go on, raise max_requests or max_tokens of the endpoint "
            "(TORNIO_LLM_ENDPOINTS), and start the run again"
        )


def left_of(store: ObjectStore, endpoint: str, limits: Limits) -> Limits:
    """Return what may still be asked of an endpoint."""
    found = documents.find(store, llm_spending(endpoint), Spending)
    return limits.left(found[0] if found else Spending())
