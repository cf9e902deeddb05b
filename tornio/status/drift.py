"""How live texts of a task differ from its hold-out. Blocking; what never changes is read once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from threading import Lock

from tornio.api.drift import DriftStatus, DriftWindow, EffectOut
from tornio.drift.counts import Counts
from tornio.drift.reference import Reference
from tornio.drift.report import MIN_HOLDOUT, MIN_TEXTS, compare
from tornio.drift.windows import Window, latest, listed, read
from tornio.registry import Registry
from tornio.schemas.jobs import EvaluateOutput
from tornio.schemas.keys import TaskKeys
from tornio.schemas.runs import RunResult
from tornio.schemas.task import Iteration
from tornio.storage import documents
from tornio.storage.port import ObjectStore


class DriftReader:
    """Reads live windows of one task and compares them. Thread-safe."""

    def __init__(self, store: ObjectStore, keys: TaskKeys) -> None:
        self._store = store
        self._keys = keys
        self._references: dict[str, Reference] = {}
        self._lock = Lock()

    def read(self, version: str, now: datetime) -> DriftStatus | None:
        """Return how the live texts that a version answered differ; None where no live text of the task is known.

        Of the windows that are over, it is the last one in which this version answered, however old.

        Raises NotFound for an unknown version, IntegrityError, Unavailable.
        """
        windows = listed(self._store, self._keys)
        over, present = latest(windows, now)
        if not over and present is None:
            return None
        held = self.reference(version)
        labels = held.counts.labels if held else None

        def answered(candidates: Iterable[Window]) -> list[DriftWindow]:
            for window in candidates:
                counts = read(self._store, windows[window], version, labels)
                if counts is not None:
                    return [_window(window, counts, held, now)]
            return []

        found = [*answered(over), *answered([present] if present else [])]
        return DriftStatus(version=version, holdout=held.counts.texts if held else 0, windows=found)

    def reference(self, version: str) -> Reference | None:
        """Return what live texts of a version are compared with; None where its judgement has none."""
        with self._lock:
            known = self._references.get(version)
        if known is not None:
            return known
        number = Registry(self._store, self._keys).manifest(version).iteration
        iteration = documents.find(self._store, self._keys.iteration(number), Iteration)
        if iteration is None or iteration[0].version != version or iteration[0].evaluate_run is None:
            return None
        result = documents.find(self._store, self._keys.run(iteration[0].evaluate_run).result, RunResult)
        part = EvaluateOutput.model_validate(result[0].output).reference if result else None
        if part is None:
            return None
        found = Reference.of(part)
        with self._lock:
            self._references[version] = found
        return found


def _window(window: Window, counts: Counts, held: Reference | None, now: datetime) -> DriftWindow:
    drift = None if held is None else compare(counts, held)
    told = DriftWindow(start=window.start, end=window.end, over=window.end <= now, texts=counts.texts)
    if drift is None:
        return told.model_copy(update={"why": _why(counts, held)})
    effects = [
        EffectOut(
            measure=one.measure,
            size=one.size,
            threshold=one.threshold,
            chance=one.chance,
            alarm=one.alarm,
            says=one.says,
        )
        for one in drift.effects
    ]
    estimate = drift.accuracy
    found = {
        "effects": effects,
        "accuracy": estimate.value if estimate else None,
        "interval": (estimate.low, estimate.high) if estimate else None,
        "labels": dict(drift.labels),
    }
    return told.model_copy(update=found)


def _why(counts: Counts, held: Reference | None) -> str:
    """Return why the window is not compared."""
    if held is None:
        return "the judgement of this version has nothing to compare with: no hold-out labels, or an earlier release"
    if held.counts.texts < MIN_HOLDOUT:
        return f"the hold-out had {held.counts.texts} labels, and {MIN_HOLDOUT} are needed"
    return f"{MIN_TEXTS} texts are needed"
