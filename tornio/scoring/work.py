"""What a worker does with one part: embed its texts, or score them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tornio.arrays import FloatMatrix
from tornio.errors import InvalidInput
from tornio.models.loading import Loader
from tornio.schemas.jobs import ScoreArgs
from tornio.schemas.runs import RunPlan
from tornio.schemas.tables import EMBEDDINGS, scores_table
from tornio.scoring.measures import LEAST, given_matrix, measure
from tornio.scoring.parts import Parts, scored_as
from tornio.scoring.ranking import LOSS, RANKINGS, suspicion
from tornio.scoring.scorers import no_scores, part_scorer
from tornio.storage.port import ObjectStore


class EmbedPart:
    """The texts of a part as vectors, kept beside it."""

    def __init__(self, plan: RunPlan, store: ObjectStore, loader: Loader) -> None:
        args = ScoreArgs.model_validate(plan.args)
        if args.encoder is None:
            raise InvalidInput("cross-validation needs an encoder: name one")
        self._encoder = loader.encoder(args.encoder)
        self._parts = Parts(plan.run_keys, store)

    def do(self, part: int) -> None:
        table = self._parts.input(part)
        embedded = self._encoder.embed(table.column("text").to_pylist())
        vectors = pa.FixedSizeListArray.from_arrays(embedded.vectors.ravel(), embedded.vectors.shape[1])
        columns = [table.column("record_id"), vectors.cast(pa.list_(pa.float32())), pa.array(embedded.truncated)]
        self._parts.write("embeddings", part, EMBEDDINGS.encode(pa.table(columns, schema=EMBEDDINGS.columns)))


class ScorePart:
    """The rows of a part with what a model says of the labels that they were given."""

    def __init__(self, plan: RunPlan, store: ObjectStore, loader: Loader) -> None:
        self._args = ScoreArgs.model_validate(plan.args)
        self._parts = Parts(plan.run_keys, store)
        self._scorer = part_scorer(plan, self._args, self._parts, loader)

    def do(self, part: int) -> None:
        args, table = self._args, self._parts.input(part)
        given = [tuple(names) for names in table.column("given").to_pylist()]
        scores = self._scorer.score(part, table.column("text").to_pylist()) if given else no_scores(len(args.labels))
        matrix = given_matrix(given, args.labels, args.multi_label)
        known = measure(scores.probabilities, matrix, args.multi_label)
        ranking = LOSS if RANKINGS[args.ranking].whole else args.ranking
        names = np.array(args.labels, dtype=object)
        rows = len(table)
        made = {
            "predicted": [list(names[row]) for row in known.predicted],
            "loss": known.loss,
            "given_probability": known.given_probability,
            "margin": known.normalized_margin,
            "entropy": known.entropy,
            "suspicion": suspicion(ranking, scores.probabilities, matrix, args.multi_label),
            "label_losses": _lists(-np.log(np.maximum(known.label_probability, LEAST)))
            if args.multi_label
            else pa.nulls(rows, pa.list_(pa.float32(), len(names))),
            "probabilities": _lists(scores.probabilities),
            "truncated": scores.truncated,
            "model": [self._scorer.name] * rows,
        }
        format = scores_table(len(names))
        for name, values in made.items():
            table = table.append_column(name, pa.array(values, format.columns.field(name).type))
        self._parts.write(scored_as(args), part, format.encode(table))


def _lists(matrix: FloatMatrix) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.astype(np.float32).ravel()), matrix.shape[1])
