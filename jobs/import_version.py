"""Take in a model that was exported before, and publish it as a version that the gate is still to judge."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from jobs.context import RunContext, version_name
from jobs.manifests import manifest_of
from tornio.api import UPLOAD
from tornio.errors import InvalidInput, NotFound, UnfitCheckpoint
from tornio.exchange.packing import check_labels, read_about, unpack
from tornio.exchange.readers import read_export
from tornio.models.finetuned import FineTunedModel
from tornio.models.kinds import FINE_TUNED
from tornio.schemas.jobs import ImportArgs, TrainOutput
from tornio.schemas.registry import ImportedFrom, Manifest
from tornio.spec import TaskSpec
from tornio.storage.files import sha256_of
from tornio.uploads import find_upload

__all__ = ["ImportArgs", "run"]


def run(args: ImportArgs, context: RunContext) -> TrainOutput:
    """Return the version that the upload makes. Its output is that of a training without labels.

    Raises NotFound for an upload that is gone, InvalidInput for a model that is no export or does not fit the task.
    """
    name = version_name(args.iteration, context.run)
    try:
        published = context.registry.manifest(name)
    except NotFound:  # the normal case: no earlier attempt has published
        published = _publish(args, context)
    return TrainOutput(version=published.version, labels={}, kind=published.kind, why=published.why)


def _publish(args: ImportArgs, context: RunContext) -> Manifest:
    spec = context.task.spec_at(args.spec_rev)
    with tempfile.TemporaryDirectory(prefix="tornio-import-") as scratch:
        tar, came, made = (Path(scratch) / part for part in ("model.tar", "came", "made"))
        came.mkdir()
        made.mkdir()
        _fetch(args, context, tar)
        unpack(tar, came)
        tar.unlink()
        about = read_about(came)
        check_labels(about.labels, about.multi_label, spec.label_names, spec.multi_label)
        digest = args.upload.partition(".")[0]
        try:
            model = _model(came, made, spec, digest, context)
        except UnfitCheckpoint as error:
            raise InvalidInput(f"The model cannot be used: {error}") from error
        said = f": {args.why}" if args.why else ""
        why = f"imported by {args.who}, was {about.version} of {about.task}{said}"
        thresholds = {label: value for label, value in about.thresholds.items() if 0 <= value <= 1}
        manifest = manifest_of(args, context, spec, model, model.use, kind=FINE_TUNED, why=why, seed=0).evolve(
            thresholds=thresholds if spec.multi_label else {},
            imported=ImportedFrom(who=args.who, why=args.why, digest=digest, task=about.task, version=about.version),
        )
        return context.registry.publish(manifest, made)


def _fetch(args: ImportArgs, context: RunContext, path: Path) -> None:
    """Download the tar. Raises NotFound, and InvalidInput for other bytes than were sent."""
    key = find_upload(UPLOAD + args.upload, context.plan.workspace, context.job.store, datetime.now(UTC))
    context.job.store.download(key, path)
    if path.stat().st_size != args.size or sha256_of(path) != args.upload.partition(".")[0]:
        raise InvalidInput(f"The bytes of {args.upload} are not those of its digest. Send the model again.")


def _model(came: Path, made: Path, spec: TaskSpec, digest: str, context: RunContext) -> FineTunedModel:
    """The model in ``made``, with its outputs in the order of the task's labels."""
    head, use, _ = read_export(came, made, digest)
    order = [head.labels.index(name) for name in spec.label_names]
    replace(head, labels=spec.label_names, weight=head.weight[order], bias=head.bias[order]).save(made)
    return FineTunedModel.load(made, use, context.job.loader.precision)
