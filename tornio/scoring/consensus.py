"""Training labels by CROWDLAB, with a classifier that is cross-validated over embeddings."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np

from tornio.arrays import BoolMatrix, FloatMatrix
from tornio.labels.crowdlab import crowdlab
from tornio.scoring.folds import deal, text_keys
from tornio.scoring.out_of_sample import OutOfSampleScorer
from tornio.scoring.ranking import EMBEDDING
from tornio.tasks import TrainingSet
from tornio.tasks.answers import Answered

log = logging.getLogger(__name__)

FOLDS = 5


def agreed(
    by_majority: TrainingSet,
    answered: Answered,
    embed: Callable[[Sequence[str]], FloatMatrix],
    label_names: Sequence[str],
    seed: int,
) -> tuple[TrainingSet, dict[str, int]]:
    """Return the training set with CROWDLAB's labels for all texts that annotators decide on, and what became of them.

    The counts are ``consensus_texts``, the texts that CROWDLAB labels, and ``consensus_changed``, those of them whose
    label by majority is another or that have none. Until there are enough texts with several answers
    (``Answered.lacking``), the labels by majority and no counts. ``embed``: returns float32 [n, dim] for record ids.

    The classifier learns from the labels by majority and from imported ones, and says nothing of a text whose label it
    saw. The result follows from the arguments, so that it is the same for the same positions of log and pool.
    """
    known = dict(zip(by_majority.record_ids, by_majority.labels, strict=True))
    if answered.lacking:
        return by_majority, {}
    if len(set(known.values())) < 2 or len(set(text_keys(by_majority.texts).tolist())) < FOLDS:
        log.warning("CROWDLAB needs %d texts with a label by majority, of two labels: majority decides", FOLDS)
        return by_majority, {}
    texts = dict(zip(by_majority.record_ids, by_majority.texts, strict=True))
    texts |= dict(zip(answered.record_ids, answered.texts, strict=True))
    ids = sorted(texts)
    given = np.array([[(name,) == known.get(record_id) for name in label_names] for record_id in ids], dtype=bool)
    probabilities = out_of_sample(embed(ids), [texts[name] for name in ids], given, label_names, seed)
    row_of = {record_id: row for row, record_id in enumerate(ids)}
    found = crowdlab(answered.votes, probabilities[[row_of[record_id] for record_id in answered.record_ids]])
    said = {name: (label_names[j],) for name, j in zip(answered.record_ids, found.labels.tolist(), strict=True)}
    changed = sum(known.get(record_id) != labels for record_id, labels in said.items())
    labels = known | said
    together = TrainingSet(tuple(ids), tuple(texts[name] for name in ids), tuple(labels[name] for name in ids))
    return together, {"consensus_texts": len(said), "consensus_changed": changed}


def out_of_sample(
    vectors: FloatMatrix, texts: Sequence[str], given: BoolMatrix, label_names: Sequence[str], seed: int
) -> FloatMatrix:
    """Return float32 [n, labels]: the probabilities of each text, by a linear head that did not see its label.

    ``vectors``: float32 [n, dim]. ``given``: bool [n, labels], one label for each text, or none; texts without a label
    are not learned from. Copies of a text are in one fold. Raises InvalidInput for fewer texts with a label than folds.
    """
    learned = np.flatnonzero(given.any(axis=1))
    scorer = OutOfSampleScorer.fit(
        vectors[learned],
        [texts[row] for row in learned.tolist()],
        given[learned],
        deal(text_keys(texts), given, FOLDS, seed),
        label_names,
        multi_label=False,
        seed=seed,
        experts=(EMBEDDING,),
    )
    return scorer.score(vectors, texts)
