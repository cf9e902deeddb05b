"""Train a candidate from a frozen view of the task, and publish it."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from jobs.context import RunContext, software
from jobs.fine_tune import fine_tune, forget_checkpoints
from tornio.errors import NotFound, RunFailed
from tornio.models.fewshot import KIND as FEW_SHOT
from tornio.models.fewshot import FewShotModel
from tornio.models.finetuned import FineTunedModel
from tornio.models.probes import make_probes
from tornio.schemas.jobs import TrainArgs, TrainOutput
from tornio.schemas.registry import EncoderUse, Manifest
from tornio.seeds import derive_seed
from tornio.settings import TrainSettings
from tornio.spec import TaskSpec
from tornio.tasks import TrainingSet, training_set
from tornio.training.fewshot import fit_few_shot
from tornio.training.kinds import choose_kind
from tornio.training.targets import check_sufficient, indicators

__all__ = ["TrainArgs", "run"]


def run(args: TrainArgs, context: RunContext) -> TrainOutput:
    """The version that these labels make. A pure function of the arguments and what they name.

    Fine-tuning is spread over TORNIO_TRAIN_WORKERS, where these are more than one. Raises InvalidInput when the labels
    do not suffice, NotFound for an encoder that is not to be had.
    """
    spec = context.task.spec_at(args.spec_rev)
    data = training_set(context.task, args.label_seq, args.pool_seq, spec)
    try:
        published = context.registry.manifest(_version(args, context))
    except NotFound:  # as it should be, unless an earlier attempt died after it had published
        _spread(args, context, spec, data)
        published = context.registry.manifest(_version(args, context))
    forget_checkpoints(context)
    counts = {name: sum(name in labels for labels in data.labels) for name in spec.label_names}
    return TrainOutput(
        version=published.version, labels=counts, metrics=published.metrics, kind=published.kind, why=published.why
    )


def _spread(args: TrainArgs, context: RunContext, spec: TaskSpec, data: TrainingSet) -> None:
    kind, _ = choose_kind(spec.classifier, len(data))
    if kind == FEW_SHOT or TrainSettings().workers == 1:
        train(args, context)
    else:
        spread = context.job.train_on_workers
        if spread is None:
            raise RunFailed(
                f"TORNIO_TRAIN_WORKERS is {TrainSettings().workers}, and this process cannot start workers: run the "
                "job on the cluster, or set TORNIO_TRAIN_WORKERS=1"
            )
        check_sufficient(
            indicators(data.labels, spec.label_names, spec.multi_label), spec.label_names, spec.multi_label
        )
        spread(context)  # which would try again, although no try could help


def train(args: TrainArgs, context: RunContext) -> None:
    """Train and publish, as one of the workers or as the only one; the first of them publishes."""
    task, spec = context.task, context.task.spec_at(args.spec_rev)
    data = training_set(task, args.label_seq, args.pool_seq, spec)
    use = context.encoder_use(spec.classifier)
    seed = derive_seed(spec.full_name, args.generation, args.iteration)
    kind, why = choose_kind(spec.classifier, len(data))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model: FewShotModel | FineTunedModel | None
        if kind == FEW_SHOT:
            model = _few_shot(args, context, spec, data, use, seed)
            model.save(folder)
        else:
            model = fine_tune(context, spec, data, use, seed, folder)
            if model is None:  # the first worker has it
                return
        manifest = Manifest(
            version=_version(args, context),
            workspace=spec.workspace,
            task=spec.name,
            kind=kind,
            why=why,
            generation=args.generation,
            iteration=args.iteration,
            labels=spec.label_names,
            label_set_rev=task.document.label_set_rev,
            multi_label=spec.multi_label,
            encoder=model.use,
            blobs={},
            metrics=dict(model.head.metrics),
            probes=make_probes(model, context.job.loader.precision),
            parent=args.parent,
            run=context.run,
            label_seq=args.label_seq,
            pool_seq=args.pool_seq,
            spec_rev=args.spec_rev,
            seed=seed,
            software=software(),
            created_at=datetime.now(UTC),
        )
        context.registry.publish(manifest, folder)


def _version(args: TrainArgs, context: RunContext) -> str:
    return f"v{args.iteration:04d}-{context.run.rpartition('-')[2][:8]}"


def _few_shot(
    args: TrainArgs, context: RunContext, spec: TaskSpec, data: TrainingSet, use: EncoderUse, seed: int
) -> FewShotModel:
    rows = context.task.pool.read(args.pool_seq).rows_of(data.record_ids)
    vectors = context.pool_vectors(use, args.pool_seq).vectors[rows]
    head = fit_few_shot(vectors, data.labels, spec.label_names, spec.multi_label, seed)
    return FewShotModel(head, use, context.job.loader.encoder(use))
