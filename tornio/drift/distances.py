"""How far two histograms are apart, and how far chance alone would put them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tornio.arrays import DoubleArray, IntArray

DRAWS = 400
"""Pairs of samples that ``chance`` draws: its result varies by a few per cent with another seed."""
DEVIATIONS = 3.0
"""Standard deviations above the mean that count as chance."""
Distance = Callable[[DoubleArray, DoubleArray], DoubleArray]
"""Takes two arrays of shares, float64 [..., bins], and returns float64 [...]. ``farthest`` takes one axis more."""


def total_variation(one: DoubleArray, other: DoubleArray) -> DoubleArray:
    """Return the share of texts that would have to move to another bin to make the histograms equal, 0 to 1."""
    return np.asarray(np.abs(one - other).sum(axis=-1) / 2)


def farthest(one: DoubleArray, other: DoubleArray) -> DoubleArray:
    """Return the largest total variation of several histograms, float64 [..., histograms, bins]."""
    return np.asarray(total_variation(one, other).max(axis=-1))


def wasserstein(one: DoubleArray, other: DoubleArray) -> DoubleArray:
    """Return by how many bins the texts must move on average to make the histograms equal: the earth mover's distance.

    Source: Rubner, Tomasi and Guibas (2000), "The Earth Mover's Distance as a Metric for Image Retrieval". In one
    dimension it is the area between the two cumulative histograms.
    """
    return np.asarray(np.abs(np.cumsum(one - other, axis=-1)).sum(axis=-1))


def shares(counts: IntArray) -> DoubleArray:
    """Return float64 [..., bins] that sum to 1; all 0 where there is nothing."""
    return np.asarray(counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1), dtype=np.float64)


def chance(distance: Distance, one: IntArray, other: IntArray) -> float:
    """Return the distance that two samples of these sizes hardly exceed where nothing has changed.

    Both are drawn from the pooled histogram, again and again: the mean of the distances, and three of their standard
    deviations more. It assumes that texts come independently of each other. 0.0 where one has no texts. Several
    histograms, int64 [histograms, bins], are drawn independently of each other.
    """
    if not one.sum() or not other.sum():
        return 0.0
    random = np.random.default_rng(0)
    pooled = shares(one + other)
    size = (DRAWS, *one.shape[:-1])
    drawn = [shares(random.multinomial(counts.sum(axis=-1), pooled, size)) for counts in (one, other)]
    found = distance(*drawn)
    return float(found.mean() + DEVIATIONS * found.std())
