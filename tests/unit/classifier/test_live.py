"""Counts of live texts: from replicas to the store, and from there to status and metrics."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from threading import Event, Thread

import numpy as np
import pytest

from services import metrics
from services.classifier.live import COMPARE_S, Live
from services.metrics import RecordingMeter
from tests.unit.drift.test_report import MIX, World
from tests.unit.schemas.samples import SAMPLES
from tornio.drift.counts import Counts
from tornio.drift.reference import Reference
from tornio.drift.windows import listed, read
from tornio.errors import Unavailable
from tornio.schemas.jobs import EvaluateOutput
from tornio.schemas.keys import TaskKeys
from tornio.schemas.registry import Manifest
from tornio.schemas.runs import RunResult
from tornio.schemas.task import GateVerdict, Iteration
from tornio.status.drift import DriftReader
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit
TASK, KEYS = "acme/support", TaskKeys("acme", "support")
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
SHIFTED = (0.2, 0.3, 0.5)


class Away(MemoryStore):
    """A store that may be away."""

    away = False

    def put(self, key: str, body: bytes) -> str:
        if self.away:
            raise Unavailable("no answer")
        return super().put(key, body)


class Slow(Away):
    """A store whose first put of live texts waits until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.begun, self.go_on = True, Event(), Event()

    def put(self, key: str, body: bytes) -> str:
        if key.startswith(KEYS.live) and self.first:
            self.first = False
            self.begun.set()
            assert self.go_on.wait(60)
        return super().put(key, body)


class House:
    """A store with a version that was judged, replicas and a clock."""

    def __init__(self, held: Reference | None, store: Away | None = None) -> None:
        self.store, self.now, self.meter = store or Away(), NOON, RecordingMeter()
        manifest, iteration, result = SAMPLES["manifest"], SAMPLES["iteration"], SAMPLES["run-result"]
        assert isinstance(manifest, Manifest)
        assert isinstance(iteration, Iteration)
        assert isinstance(result, RunResult)
        manifest = manifest.evolve(version="v1", workspace="acme", task="support", iteration=1, blobs={})
        output = EvaluateOutput(
            verdict=GateVerdict(promoted=True, integrity=True, reasons=()), reference=held.part if held else None
        )
        self.store.put(KEYS.version("v1"), manifest.encode())
        self.store.put(KEYS.iteration(1), iteration.evolve(number=1, version="v1", evaluate_run="e1").encode())
        self.store.put(KEYS.run("e1").result, result.evolve(output=output.model_dump(mode="json")).encode())

    def replica(self, name: str = "r1") -> Live:
        return Live(
            self.store,
            name,
            lambda task: "v1",
            self.meter,
            seconds=3600,
            days=14,
            clock=lambda: self.now,
            monotonic=lambda: float(self.now.timestamp()),
        )

    def turn(self, live: Live) -> None:
        live.write()
        live.measure(live.compare())

    def texts(self) -> list[int]:
        """The stored texts of each window, oldest first."""
        found = [read(self.store, keys, "v1") for keys in listed(self.store, KEYS).values()]
        return [counts.texts for counts in found if counts is not None]

    def alarms(self) -> dict[str, float]:
        """The last value of each measure."""
        name = metrics.DRIFT_ALARM.name
        return {
            dict(tags)["measure"]: values[-1] for (metric, tags), values in self.meter.values.items() if metric == name
        }


def batches(seed: int, mix: tuple[float, ...], texts: int = 600) -> Iterable[Counts]:
    world = World(seed)
    return [world.texts(texts // 3, mix)[0] for _ in range(3)]


def test_what_replicas_count_is_compared_together_and_survives_them() -> None:
    house = House(World(0).texts(300)[1])
    for name in ("r1", "r2"):
        live = house.replica(name)
        for counts in batches(1, SHIFTED):
            live.add(TASK, "v1", counts)
            live.write()
    drift = DriftReader(house.store, KEYS).read("v1", house.now)
    assert drift is not None
    (window,) = drift.windows
    assert (drift.holdout, window.texts, window.over) == (300, 1200, False)
    assert {"label-mix"} <= {effect.measure for effect in window.alarms}
    assert window.labels["c"] == pytest.approx(0.5, abs=0.1)
    assert window.interval is not None
    assert window.accuracy is not None


def test_the_last_window_and_the_present_one_are_shown() -> None:
    house = House(World(0).texts(300)[1])
    live = house.replica()
    for mix in (MIX, SHIFTED, SHIFTED):
        for counts in batches(2, mix):
            live.add(TASK, "v1", counts)
        live.write()
        house.now += timedelta(hours=1)
    house.now -= timedelta(minutes=30)
    drift = DriftReader(house.store, KEYS).read("v1", house.now)
    assert drift is not None
    assert [(window.start.hour, window.over, bool(window.alarms)) for window in drift.windows] == [
        (13, True, True),
        (14, False, True),
    ]


def test_metrics_show_the_drift_and_forget_it_when_nobody_asks_any_more() -> None:
    house = House(World(0).texts(300)[1])
    live = house.replica()
    for counts in batches(3, SHIFTED):
        live.add(TASK, "v1", counts)
    house.turn(live)
    assert house.alarms()["label-mix"] == 1
    (accuracy,) = house.meter.of(metrics.ESTIMATED_ACCURACY, task=TASK)
    assert 0 < accuracy < 1
    assert sum(house.meter.of(metrics.TOKENS, task=TASK)) == 9 * 600
    house.now += timedelta(seconds=COMPARE_S / 2)
    house.turn(live)
    assert len(house.meter.of(metrics.DRIFT, task=TASK, measure="label-mix")) == 1  # not due again
    house.now += timedelta(hours=3)
    house.turn(live)
    assert set(house.alarms().values()) == {0}
    assert np.isnan(house.meter.of(metrics.ESTIMATED_ACCURACY, task=TASK)[1:]).tolist() == [True]
    assert not live.compare()


@pytest.mark.parametrize(
    ("later", "alarm"), [(timedelta(minutes=119), 1), (timedelta(minutes=120), 0), (timedelta(days=12), 0)]
)
def test_metrics_show_a_window_for_as_long_as_it_lasted(later: timedelta, alarm: int) -> None:
    house = House(World(0).texts(300)[1])
    live = house.replica()
    for counts in batches(3, SHIFTED):
        live.add(TASK, "v1", counts)
    house.turn(live)
    house.now += later
    live.add(TASK, "v1", World(1).texts(10)[0])
    house.turn(live)
    assert house.alarms()["label-mix"] == alarm
    drift = DriftReader(house.store, KEYS).read("v1", house.now)
    assert drift is not None
    assert [(window.start == NOON, window.texts) for window in drift.windows] == [(True, 600), (False, 10)]
    assert drift.windows[1].why == "100 texts are needed"


def test_the_last_window_is_the_last_one_in_which_the_version_answered() -> None:
    house = House(World(0).texts(300)[1])
    live = house.replica()
    for version in ("v1", "v0"):
        for counts in batches(6, SHIFTED):
            live.add(TASK, version, counts)
        live.write()
        house.now += timedelta(hours=1)
    drift = DriftReader(house.store, KEYS).read("v1", house.now)
    assert drift is not None
    (window,) = drift.windows
    assert (window.start, window.over, bool(window.alarms)) == (NOON, True, True)


def test_one_task_that_cannot_be_compared_does_not_silence_the_others(caplog: pytest.LogCaptureFixture) -> None:
    house = House(World(0).texts(300)[1])
    live = house.replica()
    others = ("acme/a", "acme/z")  # they have no version v1
    for task in (others[0], TASK, others[1]):
        for counts in batches(3, SHIFTED):
            live.add(task, "v1", counts)
    live.write()
    found = live.compare()
    assert set(found) == {TASK, *others}
    assert found[TASK] is not None
    assert [found[task] for task in others] == [None, None]
    assert all(f"{task} could not be compared" in caplog.text for task in others)


def test_counts_wait_while_the_store_is_away_and_are_written_once_they_can_be() -> None:
    house = House(World(0).texts(300)[1])
    live = house.replica()
    first, *others = batches(4, MIX)
    house.store.away = True
    live.add(TASK, "v1", first)
    live.write()
    house.now += timedelta(hours=2)  # the window is over meanwhile
    for counts in others:
        live.add(TASK, "v1", counts)
    live.write()
    assert not listed(house.store, KEYS)
    house.store.away = False
    live.write()
    drift = DriftReader(house.store, KEYS).read("v1", house.now)
    assert drift is not None
    assert [window.texts for window in drift.windows] == [200, 400]


def test_a_slow_write_does_not_replace_a_later_one() -> None:
    house = House(None, store := Slow())
    live = house.replica()
    first, second, _ = batches(4, MIX)
    live.add(TASK, "v1", first)
    slow = Thread(target=live.write)
    slow.start()
    assert store.begun.wait(60)
    live.add(TASK, "v1", second)
    last = Thread(target=live.write)
    last.start()
    last.join(0.2)  # without a lock it ends here, before the first one
    store.go_on.set()
    slow.join(60)
    last.join(60)
    assert house.texts() == [400]


@pytest.mark.parametrize("late", [timedelta(seconds=1), timedelta(minutes=59)])
def test_a_clock_that_steps_back_loses_no_counts(late: timedelta) -> None:
    house = House(None)
    live = house.replica()
    first, second, third = batches(4, MIX)
    live.add(TASK, "v1", first)
    live.write()
    house.now = NOON + timedelta(hours=1) + late
    live.add(TASK, "v1", second)
    live.write()
    house.now = NOON + timedelta(minutes=59)
    live.add(TASK, "v1", third)
    live.write()
    assert house.texts() == [400, 200]


def test_counts_leave_the_memory_a_window_after_they_cannot_change() -> None:
    house = House(None)
    live = house.replica()
    live.add(TASK, "v1", World(0).texts(20)[0])
    house.turn(live)
    house.now += timedelta(hours=2)
    house.turn(live)
    assert not live.compare()


def test_only_windows_that_changed_are_written_and_old_ones_expire() -> None:
    house = House(None)
    live = house.replica()
    (first, second, _) = batches(5, MIX)
    live.add(TASK, "v1", first)
    live.write()
    (before,) = list(house.store.list(KEYS.live))
    live.write()
    assert list(house.store.list(KEYS.live)) == [before]
    house.now += timedelta(days=20)
    live.add(TASK, "v1", second)
    live.write()
    (after,) = list(house.store.list(KEYS.live))
    assert after.key != before.key


def test_why_nothing_is_compared_is_said() -> None:
    for held, words in (
        (None, "nothing to compare with"),
        (World(0).texts(12)[1], "the hold-out had 12 labels"),
        (World(0).texts(300)[1], "100 texts are needed"),
    ):
        house = House(held)
        assert DriftReader(house.store, KEYS).read("v1", house.now) is None
        live = house.replica()
        live.add(TASK, "v1", World(1).texts(20)[0])
        live.write()
        drift = DriftReader(house.store, KEYS).read("v1", house.now)
        assert drift is not None
        assert words in str(drift.windows[0].why)


def test_texts_of_another_version_are_not_compared_with_this_one() -> None:
    house = House(World(0).texts(300)[1])
    live = house.replica()
    for counts in batches(6, SHIFTED):
        live.add(TASK, "v0", counts)
    live.write()
    drift = DriftReader(house.store, KEYS).read("v1", house.now)
    assert drift is not None
    assert drift.windows == []


def test_counting_a_batch_changes_no_array_that_was_given() -> None:
    house = House(None)
    live = house.replica()
    first = World(0).texts(50)[0]
    before = first.confidence.copy()
    live.add(TASK, "v1", first)
    live.add(TASK, "v1", World(1).texts(50)[0])
    assert np.array_equal(first.confidence, before)
