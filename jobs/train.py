"""Train a candidate from a frozen view of the task, and publish it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from jobs.context import RunContext, version_name
from jobs.manifests import manifest_of
from jobs.training_hooks import forget_checkpoints, run_hooks, several_workers, spread, step_record
from jobs.training_inputs import RunInputs
from tornio.errors import InvalidInput, NotFound
from tornio.schemas.jobs import TrainArgs, TrainOutput
from tornio.schemas.registry import Manifest
from tornio.tasks import holdout_set, labels_of
from tornio.training.methods import METHODS
from tornio.training.methods.port import TrainedModel, TrainingMethod
from tornio.training.thresholds import thresholds_of

__all__ = ["TrainArgs", "run"]


def run(args: TrainArgs, context: RunContext) -> TrainOutput:
    """Return the version that the task's labels make. A pure function of the arguments and of what they name.

    A training that spreads is shared by TORNIO_TRAIN_WORKERS workers, where these are more than one. Raises
    InvalidInput where the labels do not suffice, MissingPlugin for a training method that this machine does not have,
    NotFound for an encoder that cannot be had.
    """
    method, inputs = _opened(args, context)
    try:
        published = context.registry.manifest(version_name(args.iteration, context.run))
    except NotFound:  # the normal case: no earlier attempt has published
        _spread(method, inputs, args, context)
        published = context.registry.manifest(version_name(args.iteration, context.run))
    forget_checkpoints(context)
    return TrainOutput(
        version=published.version,
        labels=labels_of(inputs.training_set, inputs.spec),
        texts=len(inputs.training_set),
        metrics=published.metrics,
        kind=published.kind,
        why=published.why,
        taught_by=published.taught_by,
        tally=dict(inputs.tally),
    )


def _opened(args: TrainArgs, context: RunContext) -> tuple[TrainingMethod[Any], RunInputs[Any]]:
    """Return the spec's training method and its inputs. Raises MissingPlugin, InvalidSpec."""
    spec = context.task.spec_at(args.spec_rev)
    method = METHODS.get(args.method or spec.training.method)
    settings = method.settings_of(spec) if method.name == spec.training.method else method.settings()
    return method, RunInputs(args, context, spec, settings)


def _spread(method: TrainingMethod[Any], inputs: RunInputs[Any], args: TrainArgs, context: RunContext) -> None:
    """Train with as many workers as the method and the settings ask for."""
    if several_workers() and method.spreads(inputs):
        spread(context)
    elif not _train(method, inputs, args, context):
        raise InvalidInput(f"the training method {method.name!r} returned no model")


def train(args: TrainArgs, context: RunContext) -> None:
    """Train as one of several workers. The first of them publishes."""
    _train(*_opened(args, context), args, context)


def _train(method: TrainingMethod[Any], inputs: RunInputs[Any], args: TrainArgs, context: RunContext) -> bool:
    """Train, and publish the version unless another worker has the model. Returns whether this worker has it."""
    kind, why = method.choose_kind(inputs)
    record = step_record(context)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = method.fit(inputs, folder, run_hooks(context, record))
        if model is None:
            return False
        record.write()
        kind, why = model.chosen or (kind, why)
        context.registry.publish(_manifest(args, context, inputs, model, kind, why), folder)
    return True


def _manifest(
    args: TrainArgs, context: RunContext, inputs: RunInputs[Any], model: TrainedModel, kind: str, why: str
) -> Manifest:
    spec = inputs.spec
    manifest = manifest_of(args, context, spec, model, model.use, kind=kind, why=why, seed=inputs.seed)
    return manifest.evolve(
        metrics=dict(model.head.metrics),
        counts=_counts(args, context, inputs),
        thresholds=thresholds_of(spec, model.head),
        taught_by=inputs.taught_by,
    )


def _counts(args: TrainArgs, context: RunContext, inputs: RunInputs[Any]) -> dict[str, int]:
    """Count what the version is trained on, and what will judge it, by where the labels come from."""
    judged = holdout_set(context.task, args.label_seq, args.pool_seq, inputs.spec, args.spec_rev)
    return {
        "training_texts": len(inputs.training_set),
        "training_labels": sum(map(len, inputs.training_set.labels)),
        "holdout_imported": len(judged.imported),
        "holdout_annotators": len(judged) - len(judged.imported),
        **inputs.consensus,
    }
