"""The job ``simulate``: replay query strategies on a task's labels, and say what each would have saved.

Each replay is stored when it is done. A run that is repeated does only the replays that are missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pyarrow as pa

from jobs.context import JobContext, RunContext
from jobs.kept_parts import completed, keep, missing
from jobs.parts import Stages
from jobs.replay import replay
from jobs.slice_inputs import Corpus
from tornio.api import SimulateRequest, TaskName
from tornio.comparison.slices import judged_by, whole_numbers
from tornio.errors import InvalidInput, InvalidSpec
from tornio.models.kinds import ASKED
from tornio.models.loading import Loader
from tornio.plugins import check_choice
from tornio.query import COLD_STARTS, STRATEGIES
from tornio.schemas.runs import RunPlan
from tornio.schemas.simulation import Arm, ArmRow, ReplayResult, SimulateArgs, SimulateOutput
from tornio.schemas.tables import SIMULATION
from tornio.simulation.page import SimulationPage, render
from tornio.simulation.summary import RANDOM, conclusion, curves, failures, savings, stops
from tornio.spec import TaskSpec
from tornio.storage.port import ObjectStore
from tornio.tasks import Tasks
from tornio.tasks.names import check_asking
from tornio.training.methods import METHODS, check_training

__all__ = ["STAGES", "SimulateArgs", "plan", "run"]

REPLAY = "replay"
LEAST_BATCH = 4
"""The smallest batch that a task may have."""


def plan(
    request: SimulateRequest, task: TaskName, context: JobContext, on_test: bool = False, data: str = ""
) -> RunPlan:
    """Return the plan for the labels, the pool and the spec that the task has now.

    ``on_test``, ``data``: see ``SimulateArgs``.

    Raises InvalidInput for labels of one class, and for fewer texts than two batches; MissingPlugin for a strategy, a
    cold start or a kind that does not exist; InvalidSpec for a kind that the task's training method does not make; and
    NotFound for an encoder that cannot be had.
    """
    opened = context.tasks.open(*task)
    spec = opened.spec
    args = SimulateArgs(
        label_seq=opened.labels.last_seq(),
        pool_seq=opened.pool.last_seq(),
        spec_rev=opened.document.spec_rev,
        arms=tuple(_arms(request)),
        labels=request.budget,
        seeds=request.seeds,
        on_test=on_test,
        data=data,
        precision=context.loader.precision,
    )
    for arm in args.arms:
        _check(arm, spec)
    plan = RunPlan.of(request.job, *task, args)
    run_context = RunContext(context, plan, 1)
    _check_labels(Corpus.of(args, run_context, spec), args)
    run_context.encoder_use(spec.classifier)
    return plan


def run(args: SimulateArgs, context: RunContext) -> SimulateOutput:
    """Do the replays that are missing, then write ``results.parquet`` and ``simulation.html`` beside them.

    Raises what a teacher raises that cannot label the pool: no replay is begun then.
    """
    keys = [_key(context.plan, number) for number in range(len(_replays(args)))]
    left, spec = missing(context.job.store, keys), context.task.spec_at(args.spec_rev)
    if left and METHODS.get(spec.training.method).asks_teacher:
        context.soft_labels(spec, args.pool_seq)  # stored before workers begin, or each of them would ask the teacher
    return _output(args, context, completed(context, STAGES, REPLAY, keys, left, "replays", ReplayResult))


class ReplayWork:
    """Does one replay and stores it."""

    def __init__(self, plan: RunPlan, store: ObjectStore, loader: Loader) -> None:
        self._args = SimulateArgs.model_validate(plan.args)
        self._context = RunContext(JobContext(store, loader.cache, loader, Tasks(store)), plan, 1)
        self._spec = self._context.task.spec_at(self._args.spec_rev)
        self._corpus = Corpus.of(self._args, self._context, self._spec)
        self._replays = _replays(self._args)

    def do(self, part: int) -> None:
        arm, seed = self._replays[part]
        learned, judges = self._corpus.split(seed)

        def done() -> ReplayResult:
            spec = _spec_of(arm, self._spec)
            return replay(self._args, arm, seed, self._context, spec, self._corpus, learned, judges)

        def failed(why: str) -> ReplayResult:
            return ReplayResult(arm=arm, seed=seed, judged=len(judges), error=why)

        key = _key(self._context.plan, part)
        keep(self._context.job.store, key, f"{arm.name}, seed {seed},", done, failed)


STAGES: Stages = {REPLAY: ReplayWork}


def _arms(request: SimulateRequest) -> list[Arm]:
    """Return each strategy after each cold start, with each kind and size of batches, and always the random one."""
    sizes = whole_numbers(request.batch_sizes, "--batch-sizes", "20,50", LEAST_BATCH)
    pairs = dict.fromkeys([(RANDOM, RANDOM), *product(request.strategies, request.cold_starts)])
    every = list(product(pairs, dict.fromkeys(request.kinds), sizes))
    several = (len({cold for _, cold in pairs}) > 1, len(set(request.kinds)) > 1, len(sizes) > 1)
    return [
        Arm(
            name=_title(strategy, cold, kind, size, several),
            strategy=strategy,
            cold_start=cold,
            kind=kind,
            batch_size=size,
        )
        for (strategy, cold), kind, size in every
    ]


def _title(strategy: str, cold: str, kind: str, size: int, several: tuple[bool, bool, bool]) -> str:
    parts = [(strategy, True), (f"after {cold}", several[0] and cold != RANDOM), (kind, several[1])]
    return ", ".join([*(text for text, shown in parts if shown), *([f"batches of {size}"] if several[2] else [])])


def _check(arm: Arm, spec: TaskSpec) -> None:
    check_choice(arm.kind, ASKED, "model kind", "--kinds")
    STRATEGIES.check(arm.strategy, "--strategies")
    COLD_STARTS.check(arm.cold_start, "--cold-starts")
    changed = _spec_of(arm, spec)
    try:
        check_asking(changed)
    except InvalidSpec as error:
        raise InvalidInput(f"{arm.name} cannot be replayed on these labels: {error}") from error
    check_training(changed)


def _check_labels(corpus: Corpus, args: SimulateArgs) -> None:
    corpus.check_judges()
    if (corpus.targets.sum(axis=0) > 0).sum() < 2:
        raise InvalidInput("the labelled texts have one label only: label texts of at least two, then simulate")
    least = min(len(corpus.split(seed)[0]) for seed in range(args.seeds))
    largest = max(arm.batch_size for arm in args.arms)
    if least < 2 * largest:
        raise InvalidInput(
            f"there are {least} labelled texts to ask for beside those that judge, fewer than two batches of "
            f"{largest}. Label more texts, or make --batch-sizes smaller."
        )
    if args.labels < 2 * largest:
        raise InvalidInput(f"--budget is {args.labels}, less than two batches of {largest}: raise it")


def _spec_of(arm: Arm, spec: TaskSpec) -> TaskSpec:
    """The task's spec as it would be with this arm. The settings of a strategy are those of the task's own one."""
    loop = spec.loop
    settings = loop.strategy_settings if arm.strategy == loop.strategy else {}
    changes = {"strategy": arm.strategy, "strategy_settings": settings, "cold_start": arm.cold_start}
    loop = loop.model_copy(update={**changes, "batch_size": arm.batch_size})
    classifier = spec.classifier.model_copy(update={"kind": arm.kind})
    return spec.model_copy(update={"loop": loop, "classifier": classifier})


def _replays(args: SimulateArgs) -> list[tuple[Arm, int]]:
    return [(arm, seed) for arm in args.arms for seed in range(args.seeds)]


def _key(plan: RunPlan, number: int) -> str:
    return f"{plan.run_keys.folder('replays')}{number:06d}.json"


def _output(args: SimulateArgs, context: RunContext, results: list[ReplayResult]) -> SimulateOutput:
    keys, rows, saved, stopped = context.keys, curves(results), savings(results), stops(results)
    table_key, page_key = keys.root + "results.parquet", keys.root + "simulation.html"
    context.job.store.put(table_key, SIMULATION.encode(_table(results)))
    judged = max(one.judged for one in results)
    page = SimulationPage(
        data=args.data or f"{context.plan.workspace}/{context.plan.task}",
        judged_by=judged_by(judged, args.on_test),
        rows=rows,
        savings=saved,
        stops=stopped,
        errors=failures(results),
        conclusion=conclusion(saved) + _ended(args, rows),
        seeds=args.seeds,
    )
    context.job.store.put(page_key, render(page).encode())
    return SimulateOutput(
        rows=rows, savings=saved, stops=stopped, errors=page.errors, conclusion=page.conclusion,
        results=table_key, report=page_key,
    )  # fmt: skip


def _ended(args: SimulateArgs, rows: Sequence[ArmRow]) -> str:
    """Say where the replays ended, if that is before their budget."""
    most = max((row.labels for row in rows), default=args.labels)
    if most >= args.labels:
        return ""
    return f" There are only {most:,} texts to ask for, so the replays end before --budget {args.labels:,}."


def _table(results: list[ReplayResult]) -> pa.Table:
    rows = [
        {
            "arm": one.arm.name,
            **{name: getattr(one.arm, name) for name in ("strategy", "cold_start", "kind", "batch_size")},
            "seed": one.seed,
            "labels": point.labels,
            "micro_f1": point.micro_f1,
            "macro_f1": point.macro_f1,
        }
        for one in results
        for point in one.points
    ]
    return pa.Table.from_pylist(rows, schema=SIMULATION.columns)
