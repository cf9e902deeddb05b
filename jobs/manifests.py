"""What the manifest of every version says, however the version was made."""

from __future__ import annotations

from datetime import UTC, datetime

from jobs.context import RunContext, software, version_name
from tornio.models.port import Model
from tornio.models.probes import make_probes
from tornio.schemas.jobs import ImportArgs, TrainArgs
from tornio.schemas.registry import EncoderUse, Manifest
from tornio.spec import TaskSpec


def manifest_of(
    args: TrainArgs | ImportArgs,
    context: RunContext,
    spec: TaskSpec,
    model: Model,
    use: EncoderUse,
    *,
    kind: str,
    why: str,
    seed: int,
) -> Manifest:
    """Return the manifest of the version that this run makes, without its files, which ``Registry.publish`` adds.

    ``use``: how the model uses its encoder.
    """
    return Manifest(
        version=version_name(args.iteration, context.run),
        workspace=spec.workspace,
        task=spec.name,
        kind=kind,
        why=why,
        generation=args.generation,
        iteration=args.iteration,
        labels=spec.label_names,
        label_set_rev=context.task.label_set_rev(args.spec_rev),
        multi_label=spec.multi_label,
        encoder=use,
        blobs={},
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
