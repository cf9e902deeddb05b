"""What the controller measures of its tasks."""

from __future__ import annotations

from services import metrics
from services.controller.keeper import Watched
from services.metrics import Meter
from tornio.loop.phase import Phase


class Measured:
    """Turns looks into metrics. A task that was deleted keeps its last values until the process ends."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def look(self, watched: Watched) -> None:
        """Measure the last look at a task."""
        task, look = "/".join(watched.name), watched.last
        for phase in Phase:
            self._meter.record(metrics.PHASE, float(phase is watched.standing.phase), task=task, phase=str(phase))
        if look is None:
            return
        progress = [look.seen.batches.get(batch.batch) for batch in look.state.batches if not batch.closed]
        waiting = sum(one.total - one.answered for one in progress if one is not None)
        self._meter.record(metrics.BATCH_OPEN, waiting, task=task)
        self._meter.record(metrics.ITERATION, look.state.iteration, task=task)
        self._meter.record(metrics.ANSWERED, look.seen.answered, task=task)
        self._meter.record(metrics.LEFT, look.seen.queryable, task=task)
        if look.seen.current is not None:
            self._meter.record(metrics.REVISION, look.seen.current.revision, task=task)
