"""Of several controllers usually one works; nobody needs to agree on the time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.controller.lease import LEASE_S, LeaseKeeper
from tornio.schemas.loop import Lease
from tornio.storage import documents
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def keeper(store: MemoryStore, name: str, clock: Clock) -> LeaseKeeper:
    return LeaseKeeper(store, "lease.json", name, clock)


def test_the_first_holds_it_and_the_second_waits() -> None:
    store, clock = MemoryStore(), Clock()
    one, other = keeper(store, "one", clock), keeper(store, "other", clock)
    for _ in range(20):
        assert one.held()
        assert not other.held()
        clock.now += 1.0


def test_a_lease_that_stands_still_is_taken_over() -> None:
    store, clock = MemoryStore(), Clock()
    one, other = keeper(store, "one", clock), keeper(store, "other", clock)
    assert one.held()
    assert not other.held()
    clock.now += LEASE_S + 0.1
    assert other.held()
    assert documents.load(store, "lease.json", Lease)[0].epoch == 2


def test_who_waits_says_for_what() -> None:
    store, clock = MemoryStore(), Clock()
    one, other = keeper(store, "one", clock), keeper(store, "other", clock)
    assert one.held()
    assert not other.held()
    clock.now += 1.0
    assert not other.held()
    assert "the lease of the former one, which ends in 5 s" in other.waits_for()[1]
    clock.now += LEASE_S / 2
    assert one.held()
    assert not other.held()
    assert other.waits_for()[1] == "another controller (one) works on this task"


def test_a_holder_that_slept_finds_out_that_it_lost_it() -> None:
    store, clock = MemoryStore(), Clock()
    one, other = keeper(store, "one", clock), keeper(store, "other", clock)
    assert one.held()
    other.held()
    clock.now += LEASE_S + 0.1
    assert other.held()
    assert not one.held()
    clock.now += LEASE_S / 2
    assert other.held()
    assert not one.held()


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0, LEASE_S)), max_size=60))
def test_after_any_history_one_at_most_still_holds_it_when_all_have_looked(steps: list[tuple[int, float]]) -> None:
    store, clock = MemoryStore(), Clock()
    keepers = [keeper(store, str(n), clock) for n in range(3)]
    for who, pause in steps:
        clock.now += pause
        keepers[who].held()
    clock.now += LEASE_S / 3 + 0.01  # nobody rests on an old renewal any more
    holders = [k.holder for k in keepers if k.held()]
    assert len(holders) <= 1
    if holders:
        assert documents.load(store, "lease.json", Lease)[0].holder == holders[0]


def test_a_lease_that_was_cut_off_in_writing_is_taken_over() -> None:
    store, clock = MemoryStore(), Clock()
    store.put("lease.json", b"")
    one = keeper(store, "one", clock)
    assert not one.held()
    clock.now += LEASE_S + 0.1
    assert one.held()
