"""The budget: whatever is interrupted where, no more is sent than allowed, and all that was sent is counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornio.errors import BudgetSpent
from tornio.models.llm.budget import Limits, Purse, left_of
from tornio.schemas.keys import llm_spending
from tornio.schemas.llm import Spending
from tornio.storage import documents
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit
WORKERS = 3


class Killed(BaseException):
    """The process ends here."""


ACTIONS = st.lists(
    st.tuples(
        st.integers(0, WORKERS - 1),
        st.sampled_from(["ask", "ask", "ask", "close", "kill", "kill before a write", "kill after a write"]),
        st.integers(1, 60),
        st.floats(0, 1),
    ),
    max_size=80,
)


@given(ACTIONS, st.integers(0, 60), st.integers(0, 1500))
def test_no_interleaving_of_workers_and_kills_exceeds_the_budget(
    actions: list[tuple[int, str, int, float]], requests: int, tokens: int
) -> None:
    """A worker reserves, sends, and gives back what the server did not use; it may be killed at any of its lines."""
    store, limits = MemoryStore(), Limits(requests, tokens)
    workers: dict[int, Purse] = {}
    sent = used = 0

    def counted() -> Spending:
        found = documents.find(store, llm_spending("e"), Spending)
        return found[0] if found else Spending()

    def kill(_operation: str, _key: str) -> None:
        if _operation.startswith("put"):
            raise Killed

    for worker, action, need, share in actions:
        try:
            if action == "kill before a write":
                store.before = kill
            elif action == "kill after a write":
                store.after = kill
            if worker not in workers:
                workers[worker] = Purse(store, "e", limits).__enter__()
            if action == "kill":
                del workers[worker]
            elif action == "close":
                workers.pop(worker).__exit__()
            else:
                workers[worker].reserve(need)
                sent, used = sent + 1, used + need  # on its way: it counts, even if the worker is killed now
                really = int(need * share)
                workers[worker].give_back(need - really)
                used -= need - really
        except BudgetSpent:
            pass
        except Killed:
            workers.pop(worker, None)
        finally:
            store.before = store.after = None
        assert sent <= counted().requests <= limits.requests
        assert used <= counted().tokens <= limits.tokens
    for purse in workers.values():
        purse.__exit__()
    assert sent <= counted().requests <= limits.requests
    assert used <= counted().tokens <= limits.tokens


def test_what_was_not_used_is_returned_at_the_end() -> None:
    store, limits = MemoryStore(), Limits(100, 10_000)
    with Purse(store, "e", limits) as purse:
        for _ in range(20):
            purse.reserve(100)
            purse.give_back(90)
    assert left_of(store, "e", limits) == Limits(80, 9_800)


def test_what_a_server_uses_beyond_the_reservation_is_counted() -> None:
    store, limits = MemoryStore(), Limits(100, 1_000)
    with Purse(store, "e", limits) as purse:
        purse.reserve(100)
        purse.give_back(100 - 950)
        with pytest.raises(BudgetSpent, match="tokens are left"):
            purse.reserve(100)
    assert left_of(store, "e", limits) == Limits(99, 50)


def test_the_whole_budget_can_be_used() -> None:
    store, limits = MemoryStore(), Limits(50, 10_000)
    with Purse(store, "e", limits) as purse:
        for _ in range(50):
            purse.reserve(7)
        with pytest.raises(BudgetSpent, match=r"0 of 50 requests"):
            purse.reserve(7)
    assert left_of(store, "e", limits).tokens == 10_000 - 350
