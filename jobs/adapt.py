"""The job ``adapt``: let an encoder go on with its pre-training on a task's texts, and publish it under a name."""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from jobs.access import check_model
from jobs.context import JobContext, RunContext
from jobs.training_hooks import forget_checkpoints, run_hooks, several_workers, spread, step_record
from tornio.api import AdaptRequest, TaskName
from tornio.errors import AlreadyExists, InvalidInput, NotFound
from tornio.models.sources import MINILM, check_name, describe, publish_encoder
from tornio.registry import Encoders
from tornio.schemas.jobs import AdaptArgs, AdaptOutput, CurvePoint
from tornio.schemas.registry import EncoderDocument
from tornio.schemas.runs import RunPlan
from tornio.seeds import derive_seed
from tornio.settings import StorageSettings
from tornio.storage.port import ObjectStore
from tornio.tasks import adaptable_rows
from tornio.tasks.encoder import encoder_of
from tornio.training.adapting.adapt import Adapted, Settings, adapt
from tornio.training.adapting.objectives import ADAPTATIONS
from tornio.training.adapting.texts import Split, split_texts

__all__ = ["AdaptArgs", "plan", "run", "work"]

RESULT = "adapted"
"""Folder of the run where the training leaves its numbers, for a process that did not train itself."""
_MOST_POINTS = 200
"""About the most points of the loss curve in the result. All of them are in the attempts' metrics.jsonl."""


def plan(request: AdaptRequest, task: TaskName, context: JobContext) -> RunPlan:
    """Return the plan for the pool, the labels and the spec that the task has now.

    Raises InvalidInput, such as for a name that another base model has, NotFound, Forbidden.
    """
    opened = context.tasks.open(*task)
    spec, pool_seq = opened.spec, opened.pool.last_seq()
    _check_own(request.name)
    if not pool_seq:
        raise InvalidInput(f"the pool of {task} is empty. Add texts first: tornio pool add {task} FILE")
    if request.base is None:
        source, use = spec.classifier.encoder, encoder_of(opened, spec.classifier, context.loader)
    else:
        settings = StorageSettings()
        check_model(request.base, task.workspace, settings.bucket, settings.root)
        source, use = request.base, context.loader.encoder_use(request.base, request.max_length)
    document = Encoders(context.store).get(use.digest)
    args = AdaptArgs(
        pool_seq=pool_seq,
        label_seq=opened.labels.last_seq(),
        spec_rev=opened.document.spec_rev,
        base=document.use(use.layer, request.max_length),
        source=source,
        name=request.name,
        objective=request.objective,
        whole_words=request.whole_words,
        epochs=request.epochs,
        batch_size=request.batch_size,
        learning_rate=request.learning_rate or ADAPTATIONS[request.objective].learning_rate,
        seed=request.seed,
    )
    planned = RunPlan.of(request.job, *task, args)
    _check_free(planned, request.name, context)
    return planned


def run(args: AdaptArgs, context: RunContext) -> AdaptOutput:
    """Train, publish the encoder and give it its name. A pure function of the arguments and of what they name.

    The training is shared by TORNIO_TRAIN_WORKERS workers, where these are more than one. Raises InvalidInput for a
    name that another base model has, and where the texts or the encoder do not suffice.
    """
    _check_free(context.plan, args.name, context.job)
    if args.objective not in ADAPTATIONS:
        raise InvalidInput(f"this release has no objective {args.objective!r}: upgrade Tornio")
    texts = _texts(args, context)
    try:
        document, adapted = _published(args, context)
    except NotFound:  # the normal case: no earlier attempt has published
        if several_workers():
            spread(context)
        else:
            _train(args, context, texts)
        document, adapted = _published(args, context)
    forget_checkpoints(context)
    return AdaptOutput(
        name=args.name,
        digest=document.digest,
        parent=args.base.digest,
        objective=args.objective,
        head=_head(args, adapted),
        texts=len(texts.train),
        held_out=len(texts.held_out),
        loss_before=adapted.metrics["validation_before"],
        loss_after=adapted.metrics["validation_after"],
        metrics=dict(adapted.metrics),
        curve=_curve(context),
    )


def work(args: AdaptArgs, context: RunContext) -> None:
    """Train as one of several workers. The first of them publishes."""
    _train(args, context, _texts(args, context))


def _check_own(name: str) -> None:
    """Raise InvalidInput for a name that a task may not give: the name of a model hub would change what it means to all
    other tasks of the bucket."""
    check_name(name)
    if "/" in name:
        raise InvalidInput(f"{name!r:.99} looks like the name of a model on a hub. Write --name without a slash")


def _check_free(plan: RunPlan, name: str, context: JobContext) -> None:
    """Raise InvalidInput if a base model has this name that is not the result of this run.

    The encoder's document does not tell: two runs may have the same encoder as their result, under two names.
    """
    if name == MINILM:
        raise InvalidInput(f"{MINILM} is the name of the base model that Tornio brings. Choose another name")
    named = Encoders(context.store).named(name)
    if named is not None and named.digest != _digest_of(plan, context.store):
        raise InvalidInput(f"a base model of the name {name!r} exists already. Choose another name")


def _digest_of(plan: RunPlan, store: ObjectStore) -> str | None:
    """Return the digest of the encoder that an attempt of the run has published, or None where none has."""
    try:
        body = store.get(_result_key(plan)).body
    except NotFound:
        return None
    return str(json.loads(body)["digest"])


def _texts(args: AdaptArgs, context: RunContext) -> Split:
    task = context.task
    view = task.pool.read(args.pool_seq)
    events = task.label_view(args.label_seq, args.spec_rev).events
    rows = adaptable_rows(view, events, task.spec_at(args.spec_rev), task.document.holdout_key)
    return split_texts([view.texts[row] for row in rows])


def _train(args: AdaptArgs, context: RunContext, texts: Split) -> None:
    """Train, and publish unless another worker has the result."""
    loader, record = context.job.loader, step_record(context)
    settings = Settings(args.objective, args.epochs, args.batch_size, args.learning_rate, args.whole_words)
    seed = derive_seed("adapt", args.seed)
    base = loader.base_folder(args.base)
    with tempfile.TemporaryDirectory() as name:
        out, hooks = Path(name), run_hooks(context, record)
        adapted = adapt(texts, base, args.base, out, settings, seed, precision=loader.precision, hooks=hooks)
        if adapted is None:
            return
        record.write()
        source = describe(out, f"{args.source}, adapted to {context.plan.workspace}/{context.plan.task}")
        encoders = Encoders(context.job.store)
        document = publish_encoder(source, encoders, loader.precision, parent=args.base.digest, run=context.run)
        result = {"digest": document.digest, "new_head": adapted.new_head, "metrics": dict(adapted.metrics)}
        context.job.store.put(_result_key(context.plan), json.dumps({"schema": 1, **result}).encode())
        try:
            encoders.claim_name(args.name, document, args.base.layer, datetime.now(UTC))
        except AlreadyExists as error:  # another attempt could not have the name either
            raise InvalidInput(str(error)) from error


def _result_key(plan: RunPlan) -> str:
    return plan.run_keys.folder(RESULT) + "result.json"


def _published(args: AdaptArgs, context: RunContext) -> tuple[EncoderDocument, Adapted]:
    """Return the encoder that an attempt of this run has published and named. Raises NotFound where none has."""
    encoders = Encoders(context.job.store)
    if encoders.named(args.name) is None:
        raise NotFound(f"no base model has the name {args.name!r} yet")
    result = json.loads(context.job.store.get(_result_key(context.plan)).body)
    return encoders.get(result["digest"]), Adapted(result["new_head"], result["metrics"])


def _head(args: AdaptArgs, adapted: Adapted) -> str:
    """Say where the head of masked language modelling comes from."""
    if args.objective != "masked-language":
        return ""
    if adapted.new_head:
        return "new: the base has no masked-language head, so one began with random weights"
    return "that of the base"


def _curve(context: RunContext) -> tuple[CurvePoint, ...]:
    """Return the training's reports, thinned out, and all of its validations. An attempt that was interrupted has the
    first part of them."""
    points: dict[int, CurvePoint] = {}
    for attempt in range(1, context.attempt + 1):
        try:
            body = context.job.store.get(context.keys.attempt(attempt) + "metrics.jsonl").body
        except NotFound:
            continue
        for line in map(json.loads, body.splitlines()):
            judged = line["validation"]
            points[line["step"]] = CurvePoint(
                step=line["step"],
                epoch=line["epoch"],
                loss=line["loss"],
                validation=None if judged is None else judged["loss"],
            )
    every = -(-len(points) // _MOST_POINTS) or 1
    ordered = [points[step] for step in sorted(points)]
    return tuple(p for n, p in enumerate(ordered, 1) if n % every == 0 or p.validation is not None)
