"""What a worker does with one part: embed its texts, or score them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from jobs.context import JobContext
from tornio.errors import AlreadyExists, InvalidInput
from tornio.models.port import BoolVector, FloatMatrix, Scores
from tornio.models.sequence import SequenceClassifier
from tornio.registry import Encoders, Registry
from tornio.schemas.jobs import ScoreArgs
from tornio.schemas.runs import RunPlan
from tornio.schemas.tables import EMBEDDINGS, SCORE_INPUT, scores_table
from tornio.scoring.measures import LEAST, given_matrix, measure
from tornio.scoring.ranking import LOSS, RANKINGS, suspicion
from tornio.storage.keys import RunKeys, TaskKeys
from tornio.storage.port import ObjectStore


class EmbedPart:
    """The texts of a part as vectors, kept beside it."""

    def __init__(self, plan: RunPlan, job: JobContext) -> None:
        args = ScoreArgs.model_validate(plan.args)
        if args.encoder is None:
            raise InvalidInput("cross-validation needs an encoder: name one")
        self._encoder = job.loader.encoder(args.encoder)
        self._parts = Parts(plan.run_keys, job.store)

    def do(self, part: int) -> None:
        table = self._parts.input(part)
        embedded = self._encoder.embed(table.column("text").to_pylist())
        vectors = pa.FixedSizeListArray.from_arrays(embedded.vectors.ravel(), embedded.vectors.shape[1])
        columns = [table.column("record_id"), vectors.cast(pa.list_(pa.float32())), pa.array(embedded.truncated)]
        self._parts.write("embeddings", part, EMBEDDINGS.encode(pa.table(columns, schema=EMBEDDINGS.columns)))


class ScorePart:
    """The rows of a part with what a model says of the labels that they were given."""

    def __init__(self, plan: RunPlan, job: JobContext) -> None:
        self._args = ScoreArgs.model_validate(plan.args)
        self._parts = Parts(plan.run_keys, job.store)
        self._scorer = _scorer(plan, self._args, self._parts, job)

    def do(self, part: int) -> None:
        args, table = self._args, self._parts.input(part)
        given = [tuple(names) for names in table.column("given").to_pylist()]
        found = self._scorer.score(part, table.column("text").to_pylist()) if given else nothing(len(args.labels))
        matrix = given_matrix(given, args.labels, args.multi_label)
        known = measure(found.probabilities, matrix, args.multi_label)
        ranking = LOSS if RANKINGS[args.ranking].whole else args.ranking
        names = np.array(args.labels, dtype=object)
        rows = len(table)
        made = {
            "predicted": [list(names[row]) for row in known.predicted],
            "loss": known.loss,
            "given_probability": known.given_probability,
            "margin": known.normalized_margin,
            "entropy": known.entropy,
            "suspicion": suspicion(ranking, found.probabilities, matrix, args.multi_label),
            "label_losses": _lists(-np.log(np.maximum(known.label_probability, LEAST)))
            if args.multi_label
            else pa.nulls(rows, pa.list_(pa.float32(), len(names))),
            "probabilities": _lists(found.probabilities),
            "truncated": found.truncated,
            "model": [self._scorer.name] * rows,
        }
        scores = scores_table(len(names))
        for name, values in made.items():
            table = table.append_column(name, pa.array(values, scores.columns.field(name).type))
        self._parts.write(scored_as(args), part, scores.encode(table))


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a run in the store."""

    keys: RunKeys
    store: ObjectStore

    def input(self, part: int) -> pa.Table:
        key = self.keys.part("input", part)
        return SCORE_INPUT.decode(self.store.get(key).body, key)

    def embeddings(self, part: int) -> tuple[FloatMatrix, BoolVector]:
        """float32 [rows, dim], and which of the texts were cut."""
        key = self.keys.part("embeddings", part)
        table = EMBEDDINGS.decode(self.store.get(key).body, key)
        flat = table.column("embedding").combine_chunks().flatten().to_numpy(zero_copy_only=False)
        vectors = flat.astype(np.float32, copy=False).reshape(len(table), -1)
        return vectors, table.column("truncated").to_numpy(zero_copy_only=False)

    def write(self, name: str, part: int, body: bytes) -> None:
        """Once: of two workers that did the same part the second leaves what stands there."""
        self.write_once(self.keys.part(name, part), body)

    def write_once(self, key: str, body: bytes) -> None:
        """Leave what stands there."""
        with contextlib.suppress(AlreadyExists):
            self.store.put_if_absent(key, body)

    def missing(self, name: str, count: int) -> list[int]:
        """The parts that nobody has written yet."""
        there = {info.key for info in self.store.list(self.keys.folder(name))}
        return [part for part in range(count) if self.keys.part(name, part) not in there]


@dataclass(frozen=True, slots=True)
class Found:
    """What the model says of a part's texts: float32 [n, labels], and which of them were cut."""

    probabilities: FloatMatrix
    truncated: BoolVector


def nothing(labels: int) -> Found:
    """Of a part whose rows were all rejected."""
    return Found(np.zeros((0, labels), dtype=np.float32), np.zeros(0, dtype=bool))


class PartScorer(Protocol):
    """What gives a part its probabilities."""

    name: str

    def score(self, part: int, texts: Sequence[str]) -> Found: ...


class _Scores(Protocol):
    def score(self, texts: Sequence[str]) -> Scores: ...


class _ModelScorer:
    """A finished model, which may have seen the rows."""

    def __init__(self, name: str, model: _Scores) -> None:
        self.name = name
        self._model = model

    def score(self, part: int, texts: Sequence[str]) -> Found:
        scores = self._model.score(texts)
        return Found(scores.probabilities, scores.truncated)


def _scorer(plan: RunPlan, args: ScoreArgs, parts: Parts, job: JobContext) -> PartScorer:
    if args.folds:
        from jobs.scoring.heads import HeadScorer

        return HeadScorer(args, parts)
    if args.version is not None and plan.task is not None:
        manifest = Registry(job.store, TaskKeys(plan.workspace, plan.task)).manifest(args.version)
        return _ModelScorer(args.version, job.loader.model(manifest))
    if args.classifier is None:
        raise InvalidInput("nothing scores: name a version, a model, or a number of folds")
    document = Encoders(job.store).get(args.classifier.digest)
    classifier = SequenceClassifier(
        job.cache.folder(document.files),
        args.labels,
        multi_label=args.multi_label,
        max_length=args.classifier.max_length,
        precision=args.precision,
    )
    return _ModelScorer(document.source, classifier)


def scored_as(args: ScoreArgs) -> str:
    """The folder that workers write to: some rankings must see all rows before any has its suspicion."""
    return "unranked" if RANKINGS[args.ranking].whole else "scores"


def _lists(matrix: FloatMatrix) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.astype(np.float32).ravel()), matrix.shape[1])
