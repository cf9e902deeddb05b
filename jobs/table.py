"""The jobs, each with all that others must know of it. A job's module is imported when it is run."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from jobs.sizing import Facts
from tornio.errors import MissingPlugin, TemporaryError
from tornio.query import COLD_STARTS, STRATEGIES
from tornio.schemas.base import Part
from tornio.schemas.jobs import EvaluateArgs, LabelArgs, QueryArgs, ScoreArgs, TrainArgs
from tornio.training.methods import METHODS

if TYPE_CHECKING:
    from jobs.context import RunContext
    from jobs.parts import Stages

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """One kind of run.

    ``args``: the model of its arguments. ``run(args, context)``: does it and returns the output. ``size(args, facts)``:
    about how many texts it passes through a model once. ``stages``: returns the work of its stages, for a job that
    gives its work to workers in parts; such a run is always large, and its own process only reads and waits.
    """

    args: type[Part]
    run: Callable[[Any, RunContext], Part]
    size: Callable[[Any, Facts], float] = lambda _args, _facts: 0.0
    stages: Callable[[], Stages] | None = None

    @property
    def spreads(self) -> bool:
        return self.stages is not None


def _late(module: str) -> Callable[[Any, RunContext], Part]:
    """The ``run`` of a module that is imported when it is called.

    What it needs (torch) costs seconds and memory, which a controller that only looks at sizes should not spend.
    """

    def run(args: Any, context: RunContext) -> Part:
        output: Part = import_module(module).run(args, context)
        return output

    return run


def _score_stages() -> Stages:
    from jobs.score import STAGES

    return STAGES


def _training(_args: TrainArgs, facts: Facts) -> float:
    """What the training method says. 0 where this cannot be known here: the run reports the error itself."""
    name = facts.spec.training.method
    try:
        return METHODS.get(name).cost(facts)
    except TemporaryError:
        raise
    except Exception:  # another package's code must not stop the controller
        log.warning("The cost of training method %r is not known, so its run counts as small", name, exc_info=True)
        return 0.0


def _query(args: QueryArgs, facts: Facts) -> float:
    loop = facts.spec.loop
    try:
        strategy = COLD_STARTS.get(loop.cold_start) if args.version is None else STRATEGIES.get(loop.strategy)
    except MissingPlugin:
        return 0  # the run says what is missing
    if not strategy.reads_pool:
        return 0
    return facts.pool if facts.own_encoders else facts.not_embedded


def _evaluation(args: EvaluateArgs, facts: Facts) -> float:
    """Each version with an encoder of its own answers the labelled hold-out; two of them answer the stop set."""
    judged = min(facts.labels, math.ceil(facts.spec.loop.holdout_share * facts.pool))
    stop = 2 * min(facts.spec.loop.stop.stop_set_size, facts.pool) if args.agree_with and facts.own_encoders else 0
    return facts.not_embedded + facts.own_encoders * judged + stop


JOBS: dict[str, Job] = {
    "train": Job(TrainArgs, _late("jobs.train"), _training),
    "evaluate": Job(EvaluateArgs, _late("jobs.evaluate"), _evaluation),
    "query": Job(QueryArgs, _late("jobs.query"), _query),
    "label": Job(LabelArgs, _late("jobs.label"), lambda _args, facts: facts.pool),
    "score": Job(ScoreArgs, _late("jobs.score"), stages=_score_stages),
}
