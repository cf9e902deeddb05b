"""What gives the rows of a part their probabilities: a finished model, or heads that did not learn from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import numpy as np

from tornio.arrays import BoolVector, FloatMatrix
from tornio.errors import InvalidInput
from tornio.models.loading import Loader
from tornio.models.port import Scores
from tornio.models.sequence import SequenceClassifier
from tornio.registry import Encoders, Registry
from tornio.schemas.jobs import ScoreArgs
from tornio.schemas.runs import RunPlan
from tornio.scoring.out_of_sample import ARRAYS_FILE, CONFIG_FILE, OutOfSampleScorer
from tornio.scoring.parts import Parts
from tornio.storage.keys import TaskKeys

SCORER_FILES = (ARRAYS_FILE, CONFIG_FILE)


def scorer_key(parts: Parts, name: str) -> str:
    """Where a file of the fitted scorer stands in the store."""
    return parts.keys.folder("scorer") + name


@dataclass(frozen=True, slots=True)
class PartScores:
    """What the model says of a part's texts: float32 [n, labels], and which of them were cut."""

    probabilities: FloatMatrix
    truncated: BoolVector


def no_scores(labels: int) -> PartScores:
    """Of a part whose rows were all rejected."""
    return PartScores(np.zeros((0, labels), dtype=np.float32), np.zeros(0, dtype=bool))


class PartScorer(Protocol):
    """What gives a part its probabilities."""

    name: str

    def score(self, part: int, texts: Sequence[str]) -> PartScores: ...


class _Scores(Protocol):
    def score(self, texts: Sequence[str]) -> Scores: ...


class _ModelScorer:
    """A finished model, which may have seen the rows."""

    def __init__(self, name: str, model: _Scores) -> None:
        self.name = name
        self._model = model

    def score(self, part: int, texts: Sequence[str]) -> PartScores:
        scores = self._model.score(texts)
        return PartScores(scores.probabilities, scores.truncated)


def part_scorer(plan: RunPlan, args: ScoreArgs, parts: Parts, loader: Loader) -> PartScorer:
    if args.folds:
        return HeadScorer(args, parts)
    if args.version is not None and plan.task is not None:
        manifest = Registry(parts.store, TaskKeys(plan.workspace, plan.task)).manifest(args.version)
        return _ModelScorer(args.version, loader.model(manifest))
    if args.classifier is None:
        raise InvalidInput("nothing scores: name a version, a model, or a number of folds")
    document = Encoders(parts.store).get(args.classifier.digest)
    classifier = SequenceClassifier(
        loader.cache.folder(document.files),
        args.labels,
        multi_label=args.multi_label,
        max_length=args.classifier.max_length,
        precision=args.precision,
    )
    return _ModelScorer(document.source, classifier)


class HeadScorer:
    """Scores each row by what did not learn from it; the texts are embedded already."""

    def __init__(self, args: ScoreArgs, parts: Parts) -> None:
        self.name = f"cross-validated:{args.folds}"
        self._parts = parts
        with TemporaryDirectory() as folder:
            for name in SCORER_FILES:
                parts.store.download(scorer_key(parts, name), Path(folder) / name)
            self._scorer = OutOfSampleScorer.load(Path(folder))

    def score(self, part: int, texts: Sequence[str]) -> PartScores:
        vectors, truncated = self._parts.embeddings(part)
        return PartScores(self._scorer.score(vectors, texts), truncated)
