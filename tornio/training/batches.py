"""Which examples a training step sees. A pure function of lengths, seed and epoch, the same on every worker."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tornio.models.batching import token_batches
from tornio.seeds import derive_seed

Rows = NDArray[np.intp]

MICRO_ROWS = 16
"""Most examples of a micro-batch. Fewer are slower (8: by a sixth), and more leave less to share among workers."""
MICRO_TOKENS = 4096
"""Most tokens of a micro-batch, padding included. This bounds the memory of its activations."""


def epoch_batches(
    lengths: Sequence[int], batch_size: int, seed: int, epoch: int, micro_rows: int = MICRO_ROWS
) -> list[list[Rows]]:
    """Return the batches of an epoch, each as a list of micro-batches. Together they contain each example once.

    A batch is drawn at random, independent of the lengths, so that its gradient estimates that of the data. Inside a
    batch, texts of similar length share a micro-batch, so that little is padded. The micro-batch is the unit of
    computation: one worker computes all micro-batches of a batch, or several workers share them, and the sum of the
    gradients is the same.
    """
    order = np.random.default_rng(derive_seed("batches", seed, epoch)).permutation(len(lengths))
    sizes = np.asarray(lengths, dtype=np.int64)
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return [[rows[part] for part in token_batches(sizes[rows].tolist(), MICRO_TOKENS, micro_rows)] for rows in batches]
