"""The table of jobs: everything that other code must know about a job. A job's module is imported at its first use."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.sizing import Facts
from tornio.api import (
    AdaptRequest,
    CompareRequest,
    LabelRequest,
    PredictRequest,
    PurgeRequest,
    ReviewExportRequest,
    ReviewSendRequest,
    ReviewSyncRequest,
    RunRequest,
    ScoreRequest,
    SimulateRequest,
    TaskName,
)
from tornio.errors import MissingPlugin, TemporaryError
from tornio.plugins import late
from tornio.schemas.automatic import AutoLabelArgs
from tornio.schemas.base import Part
from tornio.schemas.comparison import CompareArgs
from tornio.schemas.jobs import AdaptArgs, EvaluateArgs, ImportArgs, LabelArgs, PurgeArgs, QueryArgs, TrainArgs
from tornio.schemas.review import ReviewExportArgs, ReviewSendArgs, ReviewSyncArgs
from tornio.schemas.scoring import PredictArgs, ScoreArgs
from tornio.schemas.simulation import SimulateArgs

if TYPE_CHECKING:
    from jobs.context import JobContext, RunContext
    from jobs.parts import Stages
    from tornio.schemas.runs import RunPlan
    from tornio.storage.port import ObjectStore

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """One kind of run.

    ``args``: model of the arguments, which a plan freezes. ``run(args, context)``: does the work, returns the output.
    ``size(args, facts)``: estimate of how many texts pass through a model. ``stages``: returns the work of the stages,
    for a job that spreads its work over workers in parts; such a run is always large, and its own process only reads
    and waits.

    ``work(args, context)``: does the share of one worker, for a job that several workers of Ray Train may do together.

    ``request``: model of what users may ask of the job. None: users cannot ask for it.
    ``plan(request, task, context)``: returns the plan that answers a request. These two are all that the API
    (``POST .../runs``), ``Client.start_run`` and the command ``tornio run NAME`` need.
    ``irreversible``: whether what it does cannot be undone, so that only keys with the role `admin` may ask for it.

    ``annotates``: whether it uses the annotation tool. Only the serving cluster has its key, so such a run is small.

    ``forget(plan, store)``: writes again, or deletes, what a run of the job shows of the texts that it has read. A
    purge calls it when one of them is to go.

    ``files``: what users may fetch of a finished run, relative to its folder; folders end with '/'.
    ``write(plan, output, store, path, escape)``: writes all rows of a finished run into a .parquet, .csv or .jsonl.
    None: its result has no rows, or they are stored in the format that the user wants.
    """

    args: type[Part]
    run: Callable[[Any, RunContext], Part]
    size: Callable[[Any, Facts], float] = lambda _args, _facts: 0.0
    stages: Callable[[], Stages] | None = None
    work: Callable[[Any, RunContext], None] | None = None
    request: type[RunRequest] | None = None
    plan: Callable[[Any, TaskName, JobContext], RunPlan] | None = None
    irreversible: bool = False
    annotates: bool = False
    forget: Callable[[RunPlan, ObjectStore], None] | None = None
    files: tuple[str, ...] = ()
    write: Callable[[RunPlan, dict[str, Any], ObjectStore, Path, bool], None] | None = None

    @property
    def spreads(self) -> bool:
        """Whether the job spreads its work over workers."""
        return self.stages is not None


def _stages(module: str) -> Callable[[], Stages]:
    """Return what imports a job's module at its first use, and returns its stages."""

    def load() -> Stages:
        stages: Stages = import_module(module).STAGES
        return stages

    return load


def _training(args: TrainArgs, facts: Facts) -> float:
    """The size that the training method estimates, or 0 if it cannot. The run then reports the error."""
    from tornio.training.methods import METHODS  # needs numpy, which the client alone does not have

    name = args.method or facts.spec.training.method
    try:
        return METHODS.get(name).cost(facts)
    except TemporaryError:
        raise
    except Exception:  # another package's code must not stop the controller
        log.warning("The cost of training method %r is not known, so its run counts as small", name, exc_info=True)
        return 0.0


def _adaptation(args: AdaptArgs, facts: Facts) -> float:
    """A training step costs about three passes. An unknown objective is reported by the run."""
    from tornio.training.adapting.objectives import ADAPTATIONS, STEP_COST

    adaptation = ADAPTATIONS.get(args.objective)
    return 0.0 if adaptation is None else facts.pool * args.epochs * STEP_COST * adaptation.passes


def _query(args: QueryArgs, facts: Facts) -> float:
    from tornio.query import COLD_STARTS, STRATEGIES  # needs numpy, which the client alone does not have

    loop = facts.spec.loop
    try:
        strategy = COLD_STARTS.get(loop.cold_start) if args.version is None else STRATEGIES.get(loop.strategy)
    except MissingPlugin:
        return 0  # the run says what is missing
    if args.version is not None and not facts.own_encoders:
        return facts.not_embedded  # a model that shares its encoder embeds the whole pool before its first prediction
    if not strategy.reads_pool:
        return 0
    return facts.pool if facts.own_encoders else facts.not_embedded


def _evaluation(args: EvaluateArgs, facts: Facts) -> float:
    """Each version with an encoder of its own predicts the labelled hold-out; two of them predict the stop set."""
    if not facts.own_encoders:
        return facts.not_embedded
    judged = min(facts.labels, math.ceil(facts.spec.loop.holdout_share * facts.pool))
    stop = 2 * min(facts.spec.loop.stop.stop_set_size, facts.pool) if args.agree_with else 0
    return facts.not_embedded + facts.own_encoders * judged + stop


def _labelling(args: AutoLabelArgs, facts: Facts) -> float:
    """A version with an encoder of its own predicts the whole pool."""
    return facts.pool if facts.own_encoders else facts.not_embedded


JOBS: dict[str, Job] = {
    "train": Job(TrainArgs, late("jobs.train", "run"), _training, work=late("jobs.train", "train")),
    "import-version": Job(ImportArgs, late("jobs.import_version", "run")),
    "evaluate": Job(EvaluateArgs, late("jobs.evaluate", "run"), _evaluation),
    "query": Job(QueryArgs, late("jobs.query", "run"), _query),
    "auto-label": Job(AutoLabelArgs, late("jobs.auto_label", "run"), _labelling),
    "label": Job(
        LabelArgs,
        late("jobs.label", "run"),
        lambda _args, facts: facts.pool * facts.spec.teacher.cost,
        request=LabelRequest,
        plan=late("jobs.label", "plan"),
    ),
    "adapt": Job(
        AdaptArgs,
        late("jobs.adapt", "run"),
        _adaptation,
        work=late("jobs.adapt", "work"),
        request=AdaptRequest,
        plan=late("jobs.adapt", "plan"),
    ),
    "compare": Job(
        CompareArgs,
        late("jobs.compare", "run"),
        stages=_stages("jobs.compare"),
        request=CompareRequest,
        plan=late("jobs.compare", "plan"),
        files=("comparison.html", "results.parquet"),
    ),
    "simulate": Job(
        SimulateArgs,
        late("jobs.simulate", "run"),
        stages=_stages("jobs.simulate"),
        request=SimulateRequest,
        plan=late("jobs.simulate", "plan"),
        files=("simulation.html", "results.parquet"),
    ),
    "purge": Job(
        PurgeArgs,
        late("jobs.purge", "run"),
        request=PurgeRequest,
        plan=late("jobs.purge", "plan"),
        irreversible=True,
    ),
    "score": Job(
        ScoreArgs,
        late("jobs.score", "run"),
        stages=_stages("jobs.score"),
        request=ScoreRequest,
        plan=late("jobs.score", "plan"),
        forget=late("jobs.score", "forget"),
        files=("report.html", "scores/", "rejected/"),
        write=late("tornio.scoring.results", "write_fetched"),
    ),
    "predict": Job(
        PredictArgs,
        late("jobs.predict", "run"),
        stages=_stages("jobs.predict"),
        request=PredictRequest,
        plan=late("jobs.predict", "plan"),
        forget=late("jobs.predict", "forget"),
        files=("predicted/", "rejected/"),
    ),
    "review-send": Job(
        ReviewSendArgs,
        late("jobs.review", "send"),
        request=ReviewSendRequest,
        plan=late("jobs.review", "plan_send"),
        annotates=True,
    ),
    "review-sync": Job(
        ReviewSyncArgs,
        late("jobs.review", "sync"),
        request=ReviewSyncRequest,
        plan=late("jobs.review", "plan_sync"),
        annotates=True,
    ),
    "review-export": Job(
        ReviewExportArgs,
        late("jobs.review", "export"),
        request=ReviewExportRequest,
        plan=late("jobs.review", "plan_export"),
        forget=late("jobs.review", "forget"),
        files=("report.html", "corrected/"),
        write=late("tornio.review.export", "write_fetched"),
    ),
}
