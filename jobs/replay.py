"""One replay: ask for the labels of a file batch by batch, as the loop would, and judge the model after each batch."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from pydantic import ValidationError

from jobs.candidates import PoolSource, pick
from jobs.context import RunContext
from jobs.slice_inputs import Corpus, SliceInputs, predicted, trained
from tornio.arrays import BoolMatrix, IntArray
from tornio.evaluation.metrics import indicators, macro_f1, micro_f1
from tornio.schemas.loop import HoldoutLook
from tornio.schemas.simulation import Arm, Point, ReplayResult, SimulateArgs
from tornio.seeds import derive_seed
from tornio.spec import StopSpec, TaskSpec
from tornio.stopping import CRITERIA, StopFacts, StopPredictions, stop_state
from tornio.tasks import TrainingSet
from tornio.training.methods import METHODS
from tornio.training.methods.port import TrainedModel


def replay(
    args: SimulateArgs,
    arm: Arm,
    seed: int,
    context: RunContext,
    spec: TaskSpec,
    corpus: Corpus,
    learned: IntArray,
    judges: TrainingSet,
) -> ReplayResult:
    """Return how the arm learns.

    ``spec``: with the arm's strategy, cold start, kind and size of batches. ``learned``: rows of the corpus that may be
    asked, int64. ``judges``: texts that are never asked.
    """
    begun = time.monotonic()
    with TemporaryDirectory(prefix="tornio-") as folder:
        one = _Replay(args, seed, context, spec, corpus, judges, Path(folder))
        points = tuple(one.points(learned))
    return ReplayResult(
        arm=arm, seed=seed, judged=len(judges), points=points, stops=one.stops, seconds=time.monotonic() - begun
    )


@dataclass(frozen=True, eq=False)
class _Answered(PoolSource):
    """What a strategy may use: the pool, and the labels that the replay has asked for."""

    answered: TrainingSet

    @cached_property
    def _training(self) -> tuple[IntArray, Sequence[tuple[str, ...]]]:
        rows = self.context.task.pool.read(self.pool_seq).rows_of(self.answered.record_ids)
        return np.asarray(rows, dtype=np.int64), self.answered.labels


@dataclass(eq=False)
class _Replay:
    args: SimulateArgs
    seed: int
    context: RunContext
    spec: TaskSpec
    corpus: Corpus
    judges: TrainingSet
    folder: Path
    stops: dict[str, int] = field(default_factory=dict)
    _models: int = 0
    _signals: dict[str, list[float]] = field(default_factory=dict)
    _last: StopPredictions | None = None

    def points(self, learned: IntArray) -> Iterator[Point]:
        asked = np.zeros(0, dtype=np.int64)
        model: TrainedModel | None = None
        watched = self._stop_set(learned)
        while len(asked) < min(self.args.labels, len(learned)):
            wanted = min(self.spec.loop.batch_size, self.args.labels - len(asked))
            asked = np.concatenate([asked, self._ask(np.setdiff1d(learned, asked), asked, wanted, model)])
            model = self._train(asked)
            yield self._judged(asked, model, watched)

    def _ask(self, left: IntArray, asked: IntArray, wanted: int, model: TrainedModel | None) -> IntArray:
        """Return rows of the corpus that the strategy picks; the cold start picks where there is no model."""
        answered = self.corpus.rows(np.sort(asked))
        args = self.args
        source = _Answered(self.context, self.spec, args.label_seq, args.pool_seq, args.spec_rev, model, answered)
        seed = derive_seed("simulate", self.seed, len(asked))
        return left[pick(source, self._pool_rows(left), wanted, seed).rows]

    def _train(self, asked: IntArray) -> TrainedModel | None:
        """Return the model that the labels make; None while they all say the same."""
        rows = np.sort(asked)
        targets = self.corpus.targets[rows]
        if (targets.any(axis=0) & ~targets.all(axis=0)).sum() < (1 if self.spec.multi_label else 2):
            return None
        method = METHODS.get(self.spec.training.method)
        settings: Any = method.settings_of(self.spec)
        judges = self.judges.record_ids
        inputs = SliceInputs(self.args, self.context, self.spec, settings, self.seed, self.corpus, rows, judges)
        for old in self.folder.iterdir():  # its model was loaded, and judged this batch
            shutil.rmtree(old)
        out = self.folder / str(len(asked))
        out.mkdir()
        return trained(method, inputs, out)

    def _judged(self, asked: IntArray, model: TrainedModel | None, watched: IntArray) -> Point:
        names = self.spec.label_names
        truth, answers = indicators(self.judges.labels, names), self._answers(asked, model)
        right = int((truth == answers).all(axis=1).sum())
        return Point(
            labels=len(asked),
            micro_f1=micro_f1(truth, answers),
            macro_f1=macro_f1(truth, answers),
            signals={} if model is None else self._watch(model, watched, len(asked), right),
        )

    def _answers(self, asked: IntArray, model: TrainedModel | None) -> BoolMatrix:
        """Return bool [judges, labels]. Where all labels say the same, that is the answer to every text."""
        if model is None:
            said = np.asarray(self.corpus.targets[asked].all(axis=0), dtype=bool)
            return np.repeat(said[None, :], len(self.judges), axis=0)
        rows = self.context.task.pool.read(self.args.pool_seq).rows_of(self.judges.record_ids)
        return indicators(self._predicted(model, rows).predicted, self.spec.label_names)

    def _predicted(self, model: TrainedModel, rows: IntArray) -> StopPredictions:
        return predicted(self.context, self.args.pool_seq, self.spec, model, rows)

    def _watch(self, model: TrainedModel, watched: IntArray, labels: int, right: int) -> dict[str, float]:
        """Return what each stopping criterion measures, and note the first stop of each."""
        before, self._last = self._last, self._predicted(model, watched)
        self._models += 1
        stopping, found = _stopping(self.spec.loop.stop), dict[str, float]()
        for name in CRITERIA:
            value = None if before is None else CRITERIA.get(name).signal(before, self._last)
            if value is not None:
                found[name] = float(value)
                self._signals.setdefault(name, []).append(found[name])
        look = HoldoutLook(iteration=self._models, right=right, labels=len(self.judges))
        facts = StopFacts(self._signals, self._models, labels, look)
        for name, spec in stopping.items():
            if name not in self.stops and stop_state(spec, facts).reason is not None:
                self.stops[name] = labels
        return found

    def _stop_set(self, learned: IntArray) -> IntArray:
        """Return the pool's rows that stopping criteria look at, drawn once."""
        size = min(self.spec.loop.stop.stop_set_size, len(learned))
        drawn = np.random.default_rng(derive_seed("simulate", "stop-set", self.seed)).choice(learned, size, False)
        return self._pool_rows(np.sort(drawn))

    def _pool_rows(self, rows: IntArray) -> IntArray:
        ids = [self.corpus.data.record_ids[row] for row in rows]
        return self.context.task.pool.read(self.args.pool_seq).rows_of(ids)


def _stopping(spec: StopSpec) -> dict[str, StopSpec]:
    """Return the task's criterion as it is, and the others as they are by default, without those that need settings."""
    found = {}
    for name in CRITERIA:
        limit = spec.max_iterations if name == "max-iterations" else None
        try:
            own = {**spec.model_dump(exclude={"settings", "max_iterations"}), "criterion": name}
            CRITERIA.get(name).settings()
            found[name] = StopSpec.model_validate({**own, "max_iterations": limit})
        except ValidationError:  # it needs settings that this task does not have
            continue
    return {**found, spec.criterion: spec}
