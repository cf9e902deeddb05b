"""A shelf with less room than its tasks need: who stays, who sleeps, and who is loaded again. Models are strings."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.classifier.settings import ClassifierSettings
from services.classifier.shelf import Loaded, Shelf
from services.messages import Aliases
from tornio.errors import Unavailable

pytestmark = pytest.mark.unit

SIZE = 10


class Full:
    """A shelf with room for ``room`` models of the usual size, over a clock that goes on at each look."""

    def __init__(
        self,
        tasks: int,
        room: int,
        pinned: Callable[[str], bool] = lambda task: False,
        size: Mapping[str, int] | None = None,
    ) -> None:
        self.loads: list[str] = []
        self._size = size or {}
        self.now = 0.0
        self.shelf = Shelf[str](self._load, self._clock, room * SIZE, pinned)
        self.shelf.apply({f"w/t{number}": Aliases((f"v{number}", 1)) for number in range(tasks)})
        self.work()

    def work(self) -> None:
        while self.shelf.work() == 0:
            pass

    def ask(self, task: str) -> str:
        """Ask as a replica does: once more, when what was missing is loaded."""
        try:
            return self.shelf.serving(task).model
        except Unavailable:
            self.work()
            return self.shelf.serving(task).model

    def bytes_of(self, task: str) -> int:
        return self._size.get(task, SIZE)

    @property
    def awake(self) -> set[str]:
        return {task for task, held in self.shelf.report().items() if held.ready}

    def _load(self, task: str, version: str) -> Loaded[str]:
        self.loads.append(task)
        return Loaded(f"{task}:{version}", self.bytes_of(task))

    def _clock(self) -> float:
        self.now += 1.0
        return self.now


def test_with_room_for_all_every_task_is_loaded_in_advance() -> None:
    full = Full(5, room=5)
    assert full.awake == {f"w/t{number}" for number in range(5)}
    assert not any(held.asleep for held in full.shelf.report().values())


def test_the_task_that_was_asked_for_least_recently_sleeps() -> None:
    full = Full(3, room=3)
    for task in ("w/t1", "w/t0", "w/t2", "w/t1"):
        full.ask(task)
    full.shelf.apply({f"w/t{number}": Aliases((f"v{number}", 1)) for number in range(4)})
    full.work()
    assert full.ask("w/t3") == "w/t3:v3"
    assert full.awake == {"w/t1", "w/t2", "w/t3"}
    assert full.shelf.report()["w/t0"].asleep
    assert full.ask("w/t0") == "w/t0:v0"  # it is loaded where it is asked for
    assert full.awake == {"w/t0", "w/t1", "w/t3"}


def test_tasks_that_nobody_asks_for_are_not_loaded_in_turns() -> None:
    full = Full(200, room=20)
    assert len(full.loads) == 21  # one too many shows that there is no more room
    assert len(full.awake) == 20
    assert full.shelf.settled()


def test_a_pinned_task_stays() -> None:
    full = Full(4, room=2, pinned=lambda task: task == "w/t3")
    for number in (0, 1, 2, 0, 1, 2):
        full.ask(f"w/t{number}")
    assert "w/t3" in full.awake
    assert len(full.awake) == 2


def test_one_task_that_is_larger_than_the_room_is_held_alone() -> None:
    full = Full(2, room=0)
    for name in ("w/t0", "w/t1", "w/t0"):
        assert full.ask(name) == f"{name}:v{name[-1]}"
        assert full.awake == {name}


def test_a_task_that_sleeps_wakes_with_what_is_current_by_then() -> None:
    full = Full(3, room=1)
    full.ask("w/t0")
    full.shelf.apply({"w/t0": Aliases(("v0", 1)), "w/t1": Aliases(("v9", 2), "v1"), "w/t2": Aliases(("v2", 1))})
    assert full.ask("w/t1") == "w/t1:v9"


def test_a_version_for_a_rollback_goes_before_a_task_does() -> None:
    full = Full(2, room=2)
    aliases = {f"w/t{n}": Aliases((f"v{n}", 2), f"old{n}") for n in range(2)}
    full.shelf.apply(aliases)
    full.work()
    loads = len(full.loads)
    for _ in range(3):
        assert full.ask("w/t0") == "w/t0:v0"
        assert full.ask("w/t1") == "w/t1:v1"
    assert len(full.loads) == loads
    full.shelf.apply(aliases | {"w/t0": Aliases(("old0", 3), "v0")})  # it is loaded when it is wanted
    full.work()
    assert full.ask("w/t0") == "w/t0:old0"


def test_a_version_that_is_to_be_deployed_wakes_its_task() -> None:
    full = Full(3, room=2)
    full.ask("w/t0")
    full.ask("w/t1")
    assert full.shelf.report()["w/t2"].asleep
    aliases = {f"w/t{n}": Aliases((f"v{n}", 1)) for n in range(3)}
    full.shelf.apply(aliases | {"w/t2": Aliases(("v2", 1), candidate="new")})
    full.work()
    assert "new" in full.shelf.report()["w/t2"].ready
    full.shelf.apply(aliases | {"w/t2": Aliases(("new", 2), "v2", "new")})
    assert full.shelf.serving("w/t2").model == "w/t2:new"


def test_when_a_task_is_deleted_others_are_loaded_in_advance_again() -> None:
    full = Full(3, room=2)
    full.shelf.apply({f"w/t{n}": Aliases((f"v{n}", 1)) for n in (1, 2)})
    full.work()
    assert full.awake == {"w/t1", "w/t2"}


def test_a_task_that_nobody_asks_for_displaces_none_that_was_asked_for() -> None:
    full = Full(1, room=2, size={"w/t0": 30})
    full.ask("w/t0")  # larger than the room
    full.shelf.apply({f"w/t{n}": Aliases((f"v{n}", 1)) for n in range(3)})
    full.work()
    assert full.awake == {"w/t0"}


def test_a_request_in_the_queue_keeps_what_served_it() -> None:
    full = Full(2, room=1)
    full.ask("w/t0")
    held = full.shelf.serving("w/t0")
    full.ask("w/t1")
    assert full.shelf.peek("w/t0") is None
    assert held.model == "w/t0:v0"
    assert full.awake == {"w/t1"}  # peeking wakes nothing


SIZES = st.lists(st.integers(1, 40), min_size=2, max_size=8)
ASKED = st.lists(st.tuples(st.integers(0, 7), st.sampled_from(["ask", "deploy", "finish"])), max_size=40)


@given(SIZES, ASKED, st.integers(1, 8))
def test_the_room_is_kept_and_every_task_answers(sizes: list[int], does: list[tuple[int, str]], room: int) -> None:
    full = Full(len(sizes), room, size={f"w/t{number}": size for number, size in enumerate(sizes)})
    aliases = {f"w/t{number}": Aliases((f"v{number}", 1)) for number in range(len(sizes))}
    for number, what in does:
        task = f"w/t{number % len(sizes)}"
        current = aliases[task].current
        assert current is not None
        if what == "deploy":
            aliases = {**aliases, task: Aliases(current, aliases[task].previous, f"{current[0]}+")}
        elif what == "finish" and (candidate := aliases[task].candidate):
            aliases = {**aliases, task: Aliases((candidate, current[1] + 1), current[0], candidate)}
        full.shelf.apply(aliases)
        full.work()
        wanted = aliases[task].current
        assert wanted is not None
        assert full.ask(task) == f"{task}:{wanted[0]}"
        used = {name: sum(map(full.bytes_of, [name] * len(held.ready))) for name, held in full.shelf.report().items()}
        assert sum(used.values()) <= room * SIZE or len([name for name, size in used.items() if size]) == 1


def test_pinned_tasks_are_names_or_patterns() -> None:
    settings = ClassifierSettings(pinned="shop/*, acme/reviews")
    assert [settings.is_pinned(task) for task in ("shop/a", "acme/reviews", "acme/other")] == [True, True, False]
    assert not ClassifierSettings().is_pinned("shop/a")


def test_a_large_task_sleeps_before_small_ones_that_nobody_asked_for_since() -> None:
    large = {f"w/t{number}": 600 * SIZE for number in (3, 4)}
    full = Full(5, room=1000, size=large)
    for number in range(5):
        full.ask(f"w/t{number}")
    assert full.awake == {"w/t0", "w/t1", "w/t2", "w/t4"}


def test_a_large_task_that_is_asked_for_stays_although_it_is_larger_than_the_room() -> None:
    full = Full(3, room=1000, size={"w/t2": 2000 * SIZE})
    for number in range(3):
        full.ask(f"w/t{number}")
    assert full.awake == {"w/t2"}


def test_small_tasks_that_take_half_of_the_room_sleep_as_all_others() -> None:
    full = Full(1002, room=1000, size={"w/t1000": 450 * SIZE, "w/t1001": 450 * SIZE})
    for number in range(1002):
        full.ask(f"w/t{number}")
    assert {"w/t1000", "w/t1001"} <= full.awake
    assert "w/t0" not in full.awake
