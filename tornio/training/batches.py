"""Which examples a training step sees: a pure function of lengths, seed and epoch, whoever computes and how often."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tornio.models.batching import token_batches
from tornio.seeds import derive_seed

Rows = NDArray[np.intp]

MICRO_ROWS = 16
"""Examples of a micro-batch at most. Fewer are slower (8: by a sixth), more leave less to share out among workers."""
MICRO_TOKENS = 4096
"""Tokens of a micro-batch at most, padding included, which bounds the memory of its activations."""


def epoch_batches(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[Rows]]:
    """The batches of an epoch, each as its micro-batches; together they are each example once.

    A batch is drawn at random whatever the lengths, so that its gradient is that of the data; inside it texts of
    similar length share a micro-batch, so that little is padded. The micro-batch is the unit of computation: one
    worker computes all of a batch, several share them out, and the sum of their gradients is the same.
    """
    order = np.random.default_rng(derive_seed("batches", seed, epoch)).permutation(len(lengths))
    sizes = np.asarray(lengths, dtype=np.int64)
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return [[rows[part] for part in token_batches(sizes[rows].tolist(), MICRO_TOKENS, MICRO_ROWS)] for rows in batches]
