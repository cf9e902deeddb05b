"""Of several controllers usually one works; nobody needs to agree on the time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.controller.lease import LEASE_S, LeaseKeeper
from tornio.errors import Unavailable
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


def rested(store: MemoryStore, clock: Clock, seconds: float = 60.0) -> tuple[LeaseKeeper, LeaseKeeper]:
    """Return a controller that rests, and one that has seen it renew its lease before."""
    one, other = keeper(store, "one", clock), keeper(store, "other", clock)
    for _ in range(3):
        assert one.held()
        assert not other.held()
        clock.now += LEASE_S / 3 + 0.1
    assert one.held()
    assert one.rest(seconds)
    assert not other.held()
    return one, other


def test_a_holder_that_rests_keeps_its_lease() -> None:
    store, clock = MemoryStore(), Clock()
    one, other = rested(store, clock)
    for second in range(1, 1000):
        clock.now += 1.0
        assert not other.held()
        assert other.waits_for() == (LEASE_S, "another controller (one) looks at this task every 60 s")
        if second % 60 == 0:
            assert one.held()
            assert one.rest(60.0)
    assert documents.load(store, "lease.json", Lease)[0].epoch == 1


def test_a_rest_as_long_as_the_last_one_costs_no_write() -> None:
    store, clock = MemoryStore(), Clock()
    one, _ = rested(store, clock)
    writes: list[str] = []
    store.before = lambda operation, key: writes.append(operation)
    for _ in range(10):
        clock.now += 60.0
        assert one.held()
        assert one.rest(60.0)
    assert writes.count("put_if_match") == len(writes) == 10


def test_who_is_asked_does_not_wait_for_a_holder_that_rests() -> None:
    store, clock = MemoryStore(), Clock()
    one, other = rested(store, clock)
    clock.now += LEASE_S + 0.1
    assert not other.held()
    assert other.held(asked=True)
    assert not one.held(asked=True)
    assert not one.held()  # and one waits for the look of the other
    clock.now += LEASE_S / 3 + 0.1
    assert other.held()
    assert other.rest(60.0)
    assert not one.held()
    clock.now += LEASE_S + 0.1
    assert not one.held()
    assert one.waits_for()[0] == LEASE_S


def test_who_is_asked_during_the_last_look_waits_for_another_one() -> None:
    """That look may have begun before what it is asked for."""
    store, clock = MemoryStore(), Clock()
    one, other = rested(store, clock)
    clock.now += 60.0
    assert one.held()
    assert not other.held(asked=True)
    assert one.rest(70.0)
    assert not other.held()
    clock.now += LEASE_S + 0.1
    assert other.held()


def test_a_failed_read_forgets_no_asking() -> None:
    store, clock = MemoryStore(), Clock()
    one, other = rested(store, clock)
    clock.now += 60.0
    assert one.held()

    def fails(operation: str, key: str) -> None:
        raise Unavailable("the store is away")

    store.before = fails
    with pytest.raises(Unavailable):
        other.held(asked=True)
    store.before = None
    assert not other.held()
    clock.now += LEASE_S + 0.1
    assert other.held()


def test_a_holder_that_died_resting_is_followed_after_its_rest_and_at_once_by_a_new_one() -> None:
    store, clock = MemoryStore(), Clock()
    _, other = rested(store, clock)
    clock.now += 60.0
    new = keeper(store, "new", clock)
    assert not other.held()
    assert not new.held()
    clock.now += LEASE_S + 0.1
    assert other.held()
    assert not new.held()

    store, clock = MemoryStore(), Clock()
    rested(store, clock)
    new = keeper(store, "new", clock)
    assert not new.held()
    clock.now += LEASE_S + 0.1
    assert new.held()


def test_a_holder_that_was_asked_does_not_say_that_it_rests() -> None:
    store, clock = MemoryStore(), Clock()
    one, other = rested(store, clock)
    clock.now += 30.0
    assert one.held(asked=True)
    assert not other.held()
    clock.now += LEASE_S + 0.1  # it has died in its look
    assert other.held()


def test_who_lost_the_lease_in_its_look_does_not_rest() -> None:
    store, clock = MemoryStore(), Clock()
    one, other = rested(store, clock, 20.0)
    clock.now += LEASE_S + 0.1
    assert other.held(asked=True)
    assert not one.rest(60.0)


STEPS = st.tuples(st.integers(0, 2), st.floats(0, LEASE_S), st.booleans(), st.sampled_from([0.0, 2.0, 20.0]))


@given(st.lists(STEPS, max_size=60))
def test_after_any_history_one_at_most_still_holds_it_when_all_have_looked(
    steps: list[tuple[int, float, bool, float]],
) -> None:
    store, clock = MemoryStore(), Clock()
    keepers = [keeper(store, str(n), clock) for n in range(3)]
    for who, pause, asked, rest in steps:
        clock.now += pause
        if keepers[who].held(asked):
            keepers[who].rest(rest)
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
