"""What a replica and the controller measure."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from services import metrics
from services.batching import Batcher
from services.classifier.measured import Measured
from services.controller.keeper import Watched
from services.controller.measured import Measured as MeasuredLoop
from services.controller.reconciler import Look
from services.metrics import RecordingMeter
from tests.unit.loop.world import World
from tornio.errors import NotFound, NotServable
from tornio.loop.phase import Phase, Standing
from tornio.records import Prediction

pytestmark = pytest.mark.unit
TASK = "acme/support"


def prediction(label: str, probability: float, truncated: bool = False) -> Prediction:
    return Prediction((label,), {label: probability, "other": 1 - probability}, truncated, "v1", 1)


def test_a_request_is_counted_with_its_texts_labels_and_confidence() -> None:
    meter = RecordingMeter()
    with Measured(meter).request(TASK) as answered:
        answered([prediction("a", 0.9), prediction("a", 0.7, truncated=True), prediction("b", 0.6)])
    assert meter.of(metrics.REQUESTS, task=TASK, outcome="answered") == [1]
    assert meter.of(metrics.TEXTS, task=TASK) == [3]
    assert meter.of(metrics.TRUNCATED, task=TASK) == [1]
    assert meter.of(metrics.LABELS, task=TASK, label="a") == [2]
    assert meter.of(metrics.CONFIDENCE, task=TASK) == [0.9, 0.7, 0.6]
    assert len(meter.of(metrics.SECONDS, task=TASK)) == 1


def test_an_error_is_counted_by_its_name_and_goes_on() -> None:
    meter = RecordingMeter()
    with pytest.raises(NotServable), Measured(meter).request(TASK):
        raise NotServable("nothing serves")
    assert meter.of(metrics.REQUESTS, task=TASK, outcome="NotServable") == [1]
    assert not meter.of(metrics.TEXTS, task=TASK)


def test_tasks_that_do_not_exist_are_counted_together() -> None:
    meter = RecordingMeter()
    for task in ("a/1", "a/2"):
        with pytest.raises(NotFound), Measured(meter).request(task):
            raise NotFound("no such task")
    assert meter.of(metrics.REQUESTS, task="unknown", outcome="NotFound") == [1, 1]
    assert {name for name, tags in meter.values if dict(tags).get("task") != "unknown"} == set()


def test_each_batch_of_the_model_is_measured_with_what_waits() -> None:
    seen = list[tuple[int, int]]()
    free = threading.Event()

    def run(texts: Sequence[str]) -> Sequence[str]:
        free.wait(10)
        return texts

    async def ask() -> None:
        batcher = Batcher[str, str](
            lambda key: run,
            batch_tokens=1000,
            queue_tokens=1000,
            done=lambda texts, queued: seen.append((texts, queued)),
        )
        first = asyncio.create_task(batcher.submit("a", ["1", "2"]))
        while batcher.busy_s == 0:
            await asyncio.sleep(0)
        others = [asyncio.create_task(batcher.submit(key, [key])) for key in ("b", "c")]
        while batcher.queued < 2:
            await asyncio.sleep(0)
        free.set()
        await asyncio.gather(first, *others)
        batcher.close()

    asyncio.run(ask())
    assert seen == [(2, 2), (1, 1), (1, 0)]


def test_the_loop_s_phase_and_open_records_are_measured() -> None:
    meter, world = RecordingMeter(), World()
    for _ in range(2):
        world.turn()
    watched = Watched(("acme", "support"), standing=Standing(Phase.LABELLING, "a batch is open"))
    MeasuredLoop(meter).look(watched)
    assert not meter.of(metrics.ITERATION, task=TASK), "nothing was looked at yet"
    watched.last = Look(world.state, world.look(), watched.standing, busy=False)
    MeasuredLoop(meter).look(watched)
    assert meter.of(metrics.PHASE, task=TASK, phase=str(Phase.LABELLING)) == [1.0, 1.0]
    assert sum(meter.of(metrics.PHASE, task=TASK, phase=str(phase))[-1] for phase in Phase) == 1.0
    assert meter.of(metrics.ITERATION, task=TASK) == [world.state.iteration]


def test_the_table_names_everything_once_with_what_it_is() -> None:
    names = [one.name for one in metrics.METRICS]
    assert len(names) == len(set(names))
    defined = [one for one in vars(metrics).values() if isinstance(one, metrics.Metric)]
    assert {one.name for one in defined} == set(names)
    for one in metrics.METRICS:
        assert one.help.endswith(".")
        assert bool(one.bounds) == (one.kind is metrics.MetricKind.HISTOGRAM)
        assert list(one.bounds) == sorted(one.bounds)


def test_values_with_other_tags_than_the_table_s_are_refused_in_tests() -> None:
    with pytest.raises(ValueError, match="has the tags"):
        RecordingMeter().record(metrics.TEXTS, 1, wrong="x")
