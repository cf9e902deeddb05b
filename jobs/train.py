"""Train a candidate from a frozen view of the task, and publish it."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from jobs.context import RunContext, software
from tornio.models.fewshot import FewShotModel
from tornio.models.probes import make_probes
from tornio.schemas.jobs import TrainArgs, TrainOutput
from tornio.schemas.registry import Manifest
from tornio.seeds import derive_seed
from tornio.tasks import training_set
from tornio.training.fewshot import fit_few_shot

__all__ = ["TrainArgs", "run"]


def run(args: TrainArgs, context: RunContext) -> TrainOutput:
    """The version that these labels make. A pure function of the arguments and what they name.

    Raises InvalidInput when the labels do not suffice, NotFound for an encoder that is not to be had.
    """
    task, spec = context.task, context.task.spec_at(args.spec_rev)
    data = training_set(task, args.label_seq, args.pool_seq, spec)
    use = context.encoder_use(spec.classifier)
    view = task.pool.read(args.pool_seq)
    vectors = context.pool_vectors(use, args.pool_seq).vectors[view.rows_of(data.record_ids)]
    seed = derive_seed(spec.full_name, args.generation, args.iteration)
    head = fit_few_shot(vectors, data.labels, spec.label_names, spec.multi_label, seed)
    model = FewShotModel(head, use, context.job.loader.encoder(use))
    counts = {name: sum(name in labels for labels in data.labels) for name in spec.label_names}
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder))
        manifest = Manifest(
            version=f"v{args.iteration:04d}-{context.run.rpartition('-')[2][:8]}",
            workspace=spec.workspace,
            task=spec.name,
            kind=spec.classifier.kind,
            generation=args.generation,
            iteration=args.iteration,
            labels=spec.label_names,
            label_set_rev=task.document.label_set_rev,
            multi_label=spec.multi_label,
            encoder=use,
            blobs={},
            metrics=head.metrics,
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
        published = context.registry.publish(manifest, Path(folder))
    return TrainOutput(version=published.version, labels=counts, metrics=published.metrics)
