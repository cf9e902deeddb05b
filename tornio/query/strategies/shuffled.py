"""A random order: the baseline that every strategy is compared with."""

from __future__ import annotations

import numpy as np

from tornio.query.candidates import Candidates
from tornio.query.port import Selection
from tornio.query.strategies.uncertainty import chosen
from tornio.spec import NoSettings


class Shuffled:
    """Draws uniformly, which the seed decides. What is shown is the prediction entropy, where there is a model."""

    settings = NoSettings
    reads_pool = False

    def select(self, candidates: Candidates, n: int, seed: int) -> Selection:
        rank = np.random.default_rng(seed).permutation(len(candidates))
        rows = np.argsort(-rank, kind="stable")[:n].astype(np.int64)
        return chosen(candidates, rows)
