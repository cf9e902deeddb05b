"""The job ``compare``: train each contender on slices of a task's labels, and say which method pays.

Each training is a cell, which is stored when it is done. A run that is repeated does only the cells that are missing.
"""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from jobs.context import JobContext, RunContext
from jobs.kept_parts import completed, keep, missing
from jobs.parts import Stages
from jobs.slice_inputs import Corpus, SliceInputs, predicted, trained
from tornio.api import CompareRequest, TaskName
from tornio.arrays import BoolMatrix, FloatMatrix, IntArray
from tornio.comparison.advice import next_labels, summarise, use_now
from tornio.comparison.baselines import BASELINES, Examples
from tornio.comparison.page import ComparisonPage, render
from tornio.comparison.slices import check_sizes, judged_by, nested_rows, whole_numbers
from tornio.errors import InvalidInput, InvalidSpec
from tornio.evaluation.metrics import indicators, macro_f1, micro_f1
from tornio.models.decide import decide
from tornio.models.kinds import ASKED, KINDS, kind_for
from tornio.models.loading import Loader
from tornio.plugins import check_choice
from tornio.registry import Encoders
from tornio.schemas.comparison import Cell, CellResult, CompareArgs, CompareOutput, Contender
from tornio.schemas.runs import RunPlan
from tornio.schemas.tables import COMPARISON
from tornio.spec import NO_TEACHER, NoSettings, TaskSpec, TrainingSpec
from tornio.storage.port import ObjectStore
from tornio.tasks import Tasks, TrainingSet
from tornio.training.methods import METHODS, check_training

__all__ = ["STAGES", "CompareArgs", "plan", "run"]

TRAIN = "train"


def plan(
    request: CompareRequest, task: TaskName, context: JobContext, on_test: bool = False, data: str = ""
) -> RunPlan:
    """Return the plan for the labels, the pool and the spec that the task has now.

    ``on_test``, ``data``: see ``CompareArgs``.

    Raises InvalidInput for sizes that the labels cannot fill, InvalidSpec for a method that does not exist or makes
    none of the kinds, and NotFound for an encoder that cannot be had.
    """
    opened = context.tasks.open(*task)
    spec = opened.spec
    args = CompareArgs(
        label_seq=opened.labels.last_seq(),
        pool_seq=opened.pool.last_seq(),
        spec_rev=opened.document.spec_rev,
        contenders=(*_trained(request, spec), *_always(spec)),
        sizes=whole_numbers(request.sizes, "--sizes", "8,16,32", 1),
        per_class=request.per_class,
        seeds=request.seeds,
        on_test=on_test,
        data=data,
        precision=context.loader.precision,
    )
    plan = RunPlan.of(request.job, *task, args)
    run_context = RunContext(context, plan, 1)
    corpus = Corpus.of(args, run_context, spec)
    corpus.check_judges()
    for seed in range(args.seeds):
        rows, _ = corpus.split(seed)
        check_sizes(corpus.targets[rows], spec.label_names, args.sizes, args.per_class, spec.multi_label)
    for contender in args.contenders:
        if contender.encoder is not None:
            run_context.encoder_use(_spec_of(contender, spec).classifier)
    return plan


def run(args: CompareArgs, context: RunContext) -> CompareOutput:
    """Do the cells that are missing, then write ``results.parquet`` and ``comparison.html`` beside them.

    Raises what a teacher raises that cannot label the pool: no cell is begun then.
    """
    cells = _cells(args)
    keys = [_key(context.plan, number) for number in range(len(cells))]
    left = missing(context.job.store, keys)
    _ask_teachers(args, context, [cells[number].contender for number in left])
    results = completed(context, STAGES, TRAIN, keys, left, "trainings", CellResult)
    return _output(args, context, results)


def _ask_teachers(args: CompareArgs, context: RunContext, missing: list[Contender]) -> None:
    """Let each teacher of the missing cells label the pool, before workers begin, or each of them would ask it."""
    spec, loader = context.task.spec_at(args.spec_rev), context.job.loader
    if spec.teacher.kind == NO_TEACHER:
        return
    taught: dict[str, TaskSpec] = {}
    for contender in missing:
        if contender.teacher or (contender.method is not None and METHODS.get(contender.method).asks_teacher):
            one = _spec_of(contender, spec)
            taught.setdefault(loader.teacher_digest(one.teacher, one.classifier), one)
    for one in taught.values():
        context.soft_labels(one, args.pool_seq)


class CompareCell:
    """Does one cell: train the contender, let it predict the texts that judge, and store its scores."""

    def __init__(self, plan: RunPlan, store: ObjectStore, loader: Loader) -> None:
        self._args = CompareArgs.model_validate(plan.args)
        self._context = RunContext(JobContext(store, loader.cache, loader, Tasks(store)), plan, 1)
        self._spec = self._context.task.spec_at(self._args.spec_rev)
        self._corpus = Corpus.of(self._args, self._context, self._spec)
        self._cells = _cells(self._args)

    def do(self, part: int) -> None:
        cell, key = self._cells[part], _key(self._context.plan, part)
        what = f"{cell.contender.name} with {cell.size} labels, seed {cell.seed},"
        keep(self._context.job.store, key, what, lambda: self._done(cell), lambda why: CellResult(cell=cell, error=why))

    def _done(self, cell: Cell) -> CellResult:
        args, corpus = self._args, self._corpus
        rows, test = corpus.split(cell.seed)
        slice_rows = nested_rows(corpus.targets, rows, cell.size, args.per_class, cell.seed) if cell.size else rows[:0]
        self._prepare(cell.contender)
        begun = time.monotonic()
        answers = self._answers(cell, slice_rows, test)
        seconds = time.monotonic() - begun
        truth = indicators(test.labels, self._spec.label_names)
        return CellResult(
            cell=cell,
            texts=len(slice_rows),
            judged=len(test),
            micro_f1=micro_f1(truth, answers),
            macro_f1=macro_f1(truth, answers),
            seconds=seconds,
        )

    def _prepare(self, contender: Contender) -> None:
        """Do what the trainings share, so that the first of them does not seem slow."""
        classifier, kind = _spec_of(contender, self._spec).classifier, kind_for(contender.kind or "")
        if contender.encoder is None or (kind is not None and KINDS[kind].own_encoder):
            return
        one_layer = kind is None
        use = self._context.encoder_use(classifier) if one_layer else self._context.layered_use(classifier)
        self._context.embed_pool(use, self._args.pool_seq)

    def _answers(self, cell: Cell, rows: IntArray, test: TrainingSet) -> BoolMatrix:
        """Return the labels that the contender gives the texts that judge, bool [test, labels]."""
        contender, spec = cell.contender, _spec_of(cell.contender, self._spec)
        method = METHODS.get(contender.method) if contender.method else None
        settings: Any = method.settings_of(spec) if method else NoSettings()
        inputs = SliceInputs(self._args, self._context, spec, settings, cell.seed, self._corpus, rows, test.record_ids)
        if contender.teacher:
            return decide(inputs.soft_labels(test.record_ids), spec.multi_label)
        if method is None:
            return BASELINES[str(contender.baseline)].predict(_examples(inputs, self._corpus, rows, test, spec))
        with TemporaryDirectory(prefix="tornio-") as folder:
            model = trained(method, inputs, Path(folder))
            view_rows = self._context.task.pool.read(self._args.pool_seq).rows_of(test.record_ids)
            said = predicted(self._context, self._args.pool_seq, spec, model, view_rows)
        return indicators(said.predicted, spec.label_names)


STAGES: Stages = {TRAIN: CompareCell}


def _examples(inputs: SliceInputs[Any], corpus: Corpus, rows: IntArray, test: TrainingSet, spec: TaskSpec) -> Examples:
    def vectors() -> tuple[FloatMatrix, FloatMatrix]:
        return inputs.embeddings(inputs.training_set.record_ids), inputs.embeddings(test.record_ids)

    texts = inputs.training_set.texts
    return Examples(texts, corpus.targets[rows], test.texts, spec.multi_label, vectors)


def _trained(request: CompareRequest, spec: TaskSpec) -> list[Contender]:
    """The contenders that methods make: each method, with each kind that it makes, on each encoder."""
    encoders = tuple(dict.fromkeys(request.encoders)) or (spec.classifier.encoder,)
    for kind in request.kinds:
        check_choice(kind, ASKED, "model kind", "--kinds")
    found = []
    for method in dict.fromkeys(request.methods):
        METHODS.check(method, "--methods")
        refusals: list[InvalidSpec] = []
        made = [kind for kind in dict.fromkeys(request.kinds) if _makes(method, kind, spec, refusals)]
        if not made:
            raise refusals[0] if refusals else InvalidInput("--kinds names no kind of model")
        found += [
            Contender(name=_title(method, kind, name, encoders), method=method, kind=kind, encoder=name)
            for kind in made
            for name in encoders
        ]
    return found


def _makes(method: str, kind: str, spec: TaskSpec, refusals: list[InvalidSpec]) -> bool:
    try:
        check_training(_spec_of(Contender(name="", method=method, kind=kind), spec))
    except InvalidSpec as refusal:
        refusals.append(refusal)
        return False
    return True


def _title(method: str, kind: str, encoder: str, encoders: tuple[str, ...]) -> str:
    return f"{method}, {kind}" + (f", {encoder}" if len(encoders) > 1 else "")


def _always(spec: TaskSpec) -> list[Contender]:
    """The baselines, and the teacher where the task has one."""
    encoder = spec.classifier.encoder
    found = [
        Contender(name=entry.title, baseline=name, encoder=encoder if entry.embeds else None)
        for name, entry in BASELINES.items()
    ]
    if spec.teacher.kind != NO_TEACHER:
        found.append(Contender(name="teacher (no labels)", teacher=True))
    return found


def _spec_of(contender: Contender, spec: TaskSpec) -> TaskSpec:
    """The task's spec as it would be if the contender were chosen."""
    changes: dict[str, Any] = {}
    if contender.encoder is not None:
        changes["encoder"] = contender.encoder
    if contender.kind is not None:
        changes["kind"] = contender.kind
    training = spec.training
    if contender.method is not None and contender.method != training.method:
        training = TrainingSpec(method=contender.method)
    return spec.model_copy(update={"classifier": spec.classifier.model_copy(update=changes), "training": training})


def _cells(args: CompareArgs) -> list[Cell]:
    return [
        Cell(contender=contender, size=size, seed=seed)
        for contender in args.contenders
        for size in ((0,) if contender.teacher else args.sizes)
        for seed in range(args.seeds)
    ]


def _key(plan: RunPlan, number: int) -> str:
    return f"{plan.run_keys.folder('cells')}{number:06d}.json"


def _output(args: CompareArgs, context: RunContext, results: list[CellResult]) -> CompareOutput:
    keys, rows = context.keys, summarise(results)
    use, more = use_now(results) + _forewarned(args, context), next_labels(results)
    table_key, page_key = keys.root + "results.parquet", keys.root + "comparison.html"
    context.job.store.put(table_key, COMPARISON.encode(_table(results)))
    judged = max(one.judged for one in results)
    page = ComparisonPage(
        data=args.data or f"{context.plan.workspace}/{context.plan.task}",
        judged_by=judged_by(judged, args.on_test),
        rows=rows,
        use_now=use,
        next_labels=more,
        per_class=args.per_class,
        seeds=args.seeds,
    )
    context.job.store.put(page_key, render(page).encode())
    return CompareOutput(rows=rows, use_now=use, next_labels=more, results=table_key, report=page_key)


def _forewarned(args: CompareArgs, context: RunContext) -> str:
    """Name the base models that were adapted to this task: they have read the texts that judge. Empty: none has."""
    if args.on_test:
        return ""
    spec = context.task.spec_at(args.spec_rev)
    uses = {one.encoder: context.encoder_use(_spec_of(one, spec).classifier) for one in args.contenders if one.encoder}
    named = ", ".join(name for name, use in uses.items() if _is_adapted_here(use.digest, context))
    said = " These base models were adapted to this task, and have read the texts that judge, without their labels"
    return f"{said}, so their scores may be too high: {named}." if named else ""


def _is_adapted_here(digest: str, context: RunContext) -> bool:
    """Return whether a run of this task made the encoder, or one that it descends from."""
    encoder = Encoders(context.job.store).get(digest)
    if encoder.run is not None and context.job.store.head(context.task.keys.run(encoder.run).plan) is not None:
        return True
    return encoder.parent is not None and _is_adapted_here(encoder.parent, context)


def _table(results: list[CellResult]) -> pa.Table:
    rows = [
        {
            **{name: getattr(one.cell.contender, name) for name in ("method", "kind", "encoder", "baseline")},
            "contender": one.cell.contender.name,
            "size": one.cell.size,
            "seed": one.cell.seed,
            **{name: getattr(one, name) for name in ("texts", "judged", "micro_f1", "macro_f1", "seconds", "error")},
        }
        for one in results
    ]
    return pa.Table.from_pylist(rows, schema=COMPARISON.columns)
