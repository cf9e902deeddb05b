"""A query strategy: of the texts that the model is unsure of, those that are least like any labelled text."""

import numpy as np

from tornio.query import Candidates, Selection
from tornio.spec import Spec, setting


class FarFromLabelsSettings(Spec):
    """What can stand under ``loop.strategy_settings``."""

    unsure: int = setting(10, change="live", ge=1, doc="How many times the batch is taken by uncertainty first.")


class FarFromLabels:
    settings = FarFromLabelsSettings
    reads_pool = True

    def select(self, candidates: Candidates, n: int, seed: int) -> Selection:
        unsure = 1.0 - candidates.probabilities.max(axis=1)
        most_unsure = np.argsort(-unsure, kind="stable")[: n * candidates.settings.unsure]
        embeddings, labelled = candidates.take(most_unsure).embeddings, candidates.labelled.embeddings
        squares = (embeddings**2).sum(axis=1)[:, None] + (labelled**2).sum(axis=1) - 2.0 * embeddings @ labelled.T
        rows = most_unsure[np.argsort(-squares.min(axis=1), kind="stable")[:n]]
        return Selection(rows, unsure[rows])


STRATEGY = FarFromLabels()
