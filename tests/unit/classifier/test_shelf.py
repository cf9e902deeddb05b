"""The shelf: what serves, what stays resident, what happens to versions that cannot be loaded. Models are strings."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.classifier.shelf import Loaded, Shelf
from services.messages import Aliases, HeldVersions
from tornio.errors import IntegrityError, NotFound, NotServable, Unavailable, UnfitCheckpoint

pytestmark = pytest.mark.unit

TASK = "support/tickets"


class Loader:
    """Loads ``task:version``; ``faults`` are raised instead. The clock stands still unless moved."""

    def __init__(self) -> None:
        self.faults: dict[str, Exception] = {}
        self.loaded: list[str] = []
        self.now = 100.0
        self.shelf = Shelf[str](self.load, lambda: self.now)

    def load(self, task: str, version: str) -> Loaded[str]:
        if version in self.faults:
            raise self.faults[version]
        self.loaded.append(version)
        return Loaded(f"{task}:{version}", 10)

    def name(self, current: tuple[str, int] | None, previous: str | None = None, candidate: str | None = None) -> None:
        self.shelf.apply({TASK: Aliases(current, previous, candidate)})

    def work(self) -> None:
        while self.shelf.work() == 0:
            pass

    def serving(self) -> tuple[str, int]:
        serving = self.shelf.serving(TASK)
        assert serving.model == f"{TASK}:{serving.version}"
        return serving.version, serving.revision


def test_a_candidate_is_loaded_ahead_so_that_the_swap_is_one_exchange() -> None:
    loader = Loader()
    loader.name(("v1", 1))
    loader.work()
    loader.name(("v1", 1), candidate="v2")
    loader.work()
    assert loader.serving() == ("v1", 1)
    assert loader.shelf.report()[TASK] == HeldVersions(
        ("v1", 1),
        (
            "v1",
            "v2",
        ),
    )
    loader.name(("v2", 2), previous="v1", candidate="v2")
    assert loader.serving() == ("v2", 2)  # before any work
    assert loader.loaded == ["v1", "v2"]


def test_rollback_is_one_exchange_under_a_new_revision() -> None:
    loader = Loader()
    loader.name(("v2", 2), previous="v1")
    loader.work()
    loader.name(("v1", 3), previous="v2")
    assert loader.serving() == ("v1", 3)


def test_who_holds_a_reference_keeps_the_whole_of_it() -> None:
    loader = Loader()
    loader.name(("v1", 1), candidate="v2")
    loader.work()
    held = loader.shelf.serving(TASK)
    loader.name(("v2", 2))
    assert (held.version, held.revision, held.model) == ("v1", 1, f"{TASK}:v1")


def test_the_old_version_serves_while_an_unannounced_one_is_loaded() -> None:
    loader = Loader()
    loader.name(("v1", 1))
    loader.work()
    loader.name(("v2", 2), previous="v1")
    assert loader.serving() == ("v1", 1)
    loader.work()
    assert loader.serving() == ("v2", 2)


def test_a_version_that_cannot_load_leaves_the_old_one_serving_and_says_why() -> None:
    loader = Loader()
    loader.faults["v2"] = UnfitCheckpoint("probe 3 is off by 0.7")
    loader.name(("v1", 1))
    loader.work()
    loader.name(("v2", 2), previous="v1")
    loader.work()
    assert loader.serving() == ("v1", 1)
    assert loader.shelf.report()[TASK] == HeldVersions(("v1", 1), ("v1",), {"v2": "probe 3 is off by 0.7"})
    loader.name(("v3", 3), previous="v2")
    loader.work()
    assert loader.serving() == ("v3", 3)
    assert loader.shelf.report()[TASK].ready == ("v3",)


def test_what_no_alias_names_is_dropped() -> None:
    loader = Loader()
    loader.name(("v2", 2), previous="v1", candidate="v3")
    loader.work()
    loader.name(("v3", 3), previous="v2", candidate="v3")
    assert loader.shelf.report()[TASK].ready == (
        "v2",
        "v3",
    )
    loader.shelf.apply({})
    assert loader.shelf.report() == {}
    with pytest.raises(NotFound, match=TASK):
        loader.shelf.serving(TASK)


def test_a_new_replica_falls_back_to_the_previous_version() -> None:
    loader = Loader()
    loader.faults["v2"] = IntegrityError("blob ab is not what its digest says")
    loader.name(("v2", 7), previous="v1")
    assert not loader.shelf.settled()
    loader.work()
    assert loader.shelf.settled()
    assert loader.serving() == ("v1", 6)


def test_a_task_that_has_nothing_to_load_holds_nobody_up_and_says_why() -> None:
    loader = Loader()
    loader.faults = {"v1": IntegrityError("v1 is truncated"), "v2": IntegrityError("v2 has NaN")}
    loader.name(("v2", 2), previous="v1")
    loader.work()
    assert loader.shelf.settled()
    with pytest.raises(Unavailable, match=r"v2 has NaN.*v1 is truncated|v1 is truncated.*v2 has NaN"):
        loader.shelf.serving(TASK)


def test_a_task_without_current_gets_advice_and_one_being_loaded_patience() -> None:
    loader = Loader()
    loader.name(None, candidate="v1")
    assert loader.shelf.settled()
    with pytest.raises(NotServable, match="no version yet"):
        loader.shelf.serving(TASK)
    loader.name(("v1", 1))
    with pytest.raises(Unavailable, match="being loaded"):
        loader.shelf.serving(TASK)


def test_a_passing_fault_is_tried_again_later_and_later_and_forgotten_once_over() -> None:
    loader = Loader()
    loader.faults["v1"] = Unavailable("the object store is away")
    loader.name(("v1", 1))
    assert loader.shelf.work() == 0
    waits = []
    for _ in range(9):
        wait = loader.shelf.work()
        assert wait
        waits.append(round(wait))
        loader.now += wait + 0.001  # clocks are floats
        assert loader.shelf.work() == 0
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert "Unavailable: the object store is away" in loader.shelf.report()[TASK].failed["v1"]
    loader.faults.clear()
    loader.now += 60.001
    loader.work()
    assert loader.shelf.report()[TASK] == HeldVersions(("v1", 1), ("v1",))


def test_what_is_broken_for_good_is_not_tried_again() -> None:
    loader = Loader()
    loader.faults["v1"] = IntegrityError("truncated")
    loader.name(("v1", 1))
    loader.work()
    loader.faults.clear()
    loader.now += 1e6
    assert loader.shelf.work() is None
    assert loader.loaded == []


def test_current_comes_first_and_one_slow_task_does_not_hide_another() -> None:
    loader = Loader()
    loader.shelf.apply(
        {
            "a/x": Aliases(("x2", 2), "x1", "x3"),
            "a/y": Aliases(("y2", 2), "y1", "y3"),
        }
    )
    loader.work()
    assert loader.loaded == ["x2", "y2", "x3", "y3", "x1", "y1"]


def test_a_version_that_lost_its_alias_while_it_was_loaded_is_not_kept() -> None:
    loader = Loader()

    def load(task: str, version: str) -> Loaded[str]:
        loader.name(("v1", 1))
        return Loaded(f"{task}:{version}", 10)

    loader.shelf = Shelf[str](load, lambda: 0.0)
    loader.name(None, candidate="v2")
    loader.shelf.work()
    assert loader.shelf.report()[TASK].ready == ()


VERSIONS = ["v1", "v2", "v3", "v4"]
FAULTS = [None, IntegrityError("broken"), Unavailable("away"), RuntimeError("odd")]


class Replica(RuleBasedStateMachine):
    """Aliases move, loads fail and recover, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.loader = Loader()
        self.aliases = Aliases()
        self.seen = 0
        self.served = False

    @rule(version=st.sampled_from(VERSIONS))
    def move_current(self, version: str) -> None:
        previous = self.aliases.current[0] if self.aliases.current else None
        self.aliases = Aliases((version, self.aliases.revision + 1), previous, self.aliases.candidate)
        self.loader.shelf.apply({TASK: self.aliases})

    @rule(version=st.sampled_from([None, *VERSIONS]))
    def move_candidate(self, version: str | None) -> None:
        self.aliases = Aliases(self.aliases.current, self.aliases.previous, version)
        self.loader.shelf.apply({TASK: self.aliases})

    @rule(version=st.sampled_from(VERSIONS), fault=st.sampled_from(FAULTS))
    def break_or_mend(self, version: str, fault: Exception | None) -> None:
        if fault is None:
            self.loader.faults.pop(version, None)
        else:
            self.loader.faults[version] = fault

    @rule(seconds=st.floats(0, 100))
    def work(self, seconds: float) -> None:
        self.loader.now += seconds
        self.loader.shelf.work()

    @invariant()
    def what_serves_is_whole_and_never_goes_away_or_back(self) -> None:
        held = self.loader.shelf.report().get(TASK)
        if held is None:
            return
        try:
            version, revision = self.loader.serving()
        except (NotServable, Unavailable):
            assert not self.served
            assert held.serving is None
            return
        self.served = True
        assert revision >= self.seen
        self.seen = revision
        assert version in held.ready
        if self.aliases.current and self.aliases.current[0] in held.ready:
            assert (version, revision) == self.aliases.current

    @invariant()
    def nothing_is_kept_that_nobody_names(self) -> None:
        held = self.loader.shelf.report().get(TASK)
        if held is not None:
            serving = {held.serving[0]} if held.serving else set[str]()
            assert set(held.ready) <= self.aliases.named | serving
            assert set(held.failed) <= self.aliases.named - set(held.ready)


TestReplica = Replica.TestCase
TestReplica.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
