"""The work of one part: embed its texts, or score them with a trained model or out of sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from tornio.arrays import BoolMatrix, BoolVector, FloatMatrix
from tornio.errors import InvalidInput
from tornio.models.decide import decide_labels
from tornio.models.loading import Loader
from tornio.schemas.runs import RunPlan
from tornio.schemas.scoring import ScoreArgs
from tornio.schemas.tables import EMBEDDINGS, list_column, scores_table
from tornio.scoring.finished import FinishedModel, finished_model
from tornio.scoring.fitting import load_scorer
from tornio.scoring.measures import LEAST, given_matrix, measure
from tornio.scoring.parts import Parts, scored_as
from tornio.scoring.ranking import LOSS, RANKINGS, set_apart, suspicion
from tornio.storage.port import ObjectStore


class EmbedPart:
    """Embeds the texts of a part, and stores the vectors beside it."""

    def __init__(self, plan: RunPlan, store: ObjectStore, loader: Loader) -> None:
        args = ScoreArgs.model_validate(plan.args)
        if args.encoder is None:
            raise InvalidInput("cross-validation needs an encoder, and the run names none. Name one with --encoder")
        self._encoder = loader.encoder(args.encoder)
        self._parts = Parts(plan.run_keys, store)

    def do(self, part: int) -> None:
        table = self._parts.input(part)
        embedded = self._encoder.embed(table.column("text").to_pylist())
        columns = [table.column("record_id"), list_column(embedded.vectors), pa.array(embedded.truncated)]
        self._parts.write("embeddings", part, EMBEDDINGS.encode(pa.table(columns, schema=EMBEDDINGS.columns)))


class ScorePart:
    """Scores the rows of a part by how well a model's probabilities fit their given labels."""

    def __init__(self, plan: RunPlan, store: ObjectStore, loader: Loader) -> None:
        self._args = ScoreArgs.model_validate(plan.args)
        self._parts = Parts(plan.run_keys, store)
        self._scorer = _scorer(plan, self._args, self._parts, loader)

    def do(self, part: int) -> None:
        args, table = self._args, self._parts.input(part)
        given = [tuple(names) for names in table.column("given").to_pylist()]
        matrix = given_matrix(given, args.labels, args.multi_label)
        texts = table.column("text").to_pylist()
        scores = self._scorer.score(part, texts, matrix) if given else _no_scores(len(args.labels))
        measures = measure(scores.probabilities, matrix, args.multi_label)
        predicted = decide_labels(scores.probabilities, args.labels, args.multi_label, self._scorer.thresholds)
        ranking = LOSS if RANKINGS[args.ranking].whole else args.ranking
        rows = len(table)
        columns = {
            "predicted": [list(row) for row in predicted],
            "loss": measures.loss,
            "given_probability": measures.given_probability,
            "margin": measures.normalized_margin,
            "entropy": measures.entropy,
            "suspicion": set_apart(suspicion(ranking, scores.probabilities, matrix, args.multi_label), scores.unjudged),
            "label_losses": _lists(-np.log(np.maximum(measures.label_probability, LEAST)))
            if args.multi_label
            else pa.nulls(rows, pa.list_(pa.float32(), len(args.labels))),
            "probabilities": _lists(scores.probabilities),
            "truncated": scores.truncated,
            "model": [self._scorer.name] * rows,
            "unjudged": scores.unjudged,
        }
        format = scores_table(len(args.labels))
        for name, values in columns.items():
            table = table.append_column(name, pa.array(values, format.columns.field(name).type))
        self._parts.write(scored_as(args), part, format.encode(table))


def _lists(matrix: FloatMatrix) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.astype(np.float32).ravel()), matrix.shape[1])


@dataclass(frozen=True, slots=True)
class PartScores:
    """The probabilities of the texts of a part, float32 [n, labels], and two of bool [n]: which of the texts were cut,
    and which rows have a label that the model could not judge (``OutOfSampleScorer.unjudged``)."""

    probabilities: FloatMatrix
    truncated: BoolVector
    unjudged: BoolVector


class _Scorer(Protocol):
    """Gives the texts of a part their probabilities. ``name``: written beside the scores. ``thresholds``: see
    ``decide_labels``."""

    name: str
    thresholds: Mapping[str, float]

    def score(self, part: int, texts: Sequence[str], given: BoolMatrix) -> PartScores: ...


def _scorer(plan: RunPlan, args: ScoreArgs, parts: Parts, loader: Loader) -> _Scorer:
    """The scorer that the plan names. Raises NotFound, IntegrityError."""
    if args.folds:
        return _OutOfSample(args, parts)
    return _Finished(finished_model(args, plan, parts.store, loader))


class _Finished:
    """A trained model, which may have been trained on the rows."""

    def __init__(self, model: FinishedModel) -> None:
        self.name, self.thresholds = model.name, model.thresholds
        self._model = model

    def score(self, part: int, texts: Sequence[str], given: BoolMatrix) -> PartScores:
        scores = self._model.score(texts)
        return PartScores(scores.probabilities, scores.truncated, np.zeros(len(texts), dtype=bool))


class _OutOfSample:
    """Scores each row by heads that were not trained on it. The texts are embedded already."""

    def __init__(self, args: ScoreArgs, parts: Parts) -> None:
        self.name = f"cross-validated:{args.folds}"
        self.thresholds: Mapping[str, float] = {}
        self._parts = parts
        self._scorer = load_scorer(parts)

    def score(self, part: int, texts: Sequence[str], given: BoolMatrix) -> PartScores:
        vectors, truncated = self._parts.embeddings(part)
        return PartScores(self._scorer.score(vectors, texts), truncated, self._scorer.unjudged(texts, given))


def _no_scores(labels: int) -> PartScores:
    """The scores of a part whose rows were all rejected."""
    return PartScores(np.zeros((0, labels), dtype=np.float32), np.zeros(0, dtype=bool), np.zeros(0, dtype=bool))
