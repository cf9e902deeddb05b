"""The finished models of runs: a version of the task, or a sequence classifier that was trained elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tornio.errors import InvalidInput
from tornio.models.loading import Loader
from tornio.models.port import Scores
from tornio.models.sequence import SequenceClassifier
from tornio.registry import Encoders, Registry
from tornio.schemas.keys import TaskKeys
from tornio.schemas.runs import RunPlan
from tornio.schemas.scoring import PredictArgs, ScoreArgs
from tornio.storage.port import ObjectStore


class _ScoresTexts(Protocol):
    def score(self, texts: Sequence[str]) -> Scores: ...


@dataclass(frozen=True, slots=True)
class FinishedModel:
    """A model that learns no more. ``name``: the version, or the address of a classifier. ``thresholds``: see
    ``decide_labels``."""

    name: str
    labels: tuple[str, ...]
    thresholds: Mapping[str, float]
    model: _ScoresTexts

    def score(self, texts: Sequence[str]) -> Scores:
        """Return the scores of these texts, of which there may be none."""
        if texts:
            return self.model.score(texts)
        none = np.zeros((0, len(self.labels)), dtype=np.float32)
        return Scores(none, none, np.zeros(0, dtype=bool))


def finished_model(args: ScoreArgs | PredictArgs, plan: RunPlan, store: ObjectStore, loader: Loader) -> FinishedModel:
    """Return the model that the plan names. Raises NotFound, IntegrityError, and InvalidInput where it names none."""
    if args.version is not None and plan.task is not None:
        manifest = Registry(store, TaskKeys(plan.workspace, plan.task)).manifest(args.version)
        model = loader.model(manifest)
        return FinishedModel(args.version, args.labels, model.thresholds, model)
    if args.classifier is None:
        raise InvalidInput("the run names nothing that scores. Name a version, a model, or a number of folds")
    document = Encoders(store).get(args.classifier.digest)
    classifier = SequenceClassifier(
        loader.cache.folder(document.files),
        args.labels,
        multi_label=args.multi_label,
        max_length=args.classifier.max_length,
        precision=args.precision,
    )
    return FinishedModel(document.source, args.labels, {}, classifier)


def model_name(args: PredictArgs, store: ObjectStore) -> str:
    """Return the name of the model without loading it: see ``FinishedModel``."""
    if args.classifier is None:
        return args.version or ""
    return Encoders(store).get(args.classifier.digest).source
