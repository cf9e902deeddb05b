"""Heads that differ in how much each labelled text counts: what the labels leave open."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from tornio.arrays import FloatMatrix
from tornio.models.head import LinearHead
from tornio.training.fewshot import Examples, fit_few_shot
from tornio.training.targets import indicators


def fit_committee(
    embeddings: FloatMatrix,
    labels: Sequence[tuple[str, ...]],
    label_names: Sequence[str],
    multi_label: bool,
    members: int,
    seed: int,
) -> list[LinearHead]:
    """Return so many few-shot heads of the same examples, each with its own weights of them.

    Source: Rubin (1981), "The Bayesian Bootstrap": the weights are uniform on the simplex, times the number of
    examples. The plain bootstrap would leave out the only example of a label. Strength and temperature are those that
    ``fit_few_shot`` chooses, once for all. Arguments and errors are those of ``fit_few_shot``.
    """
    first = fit_few_shot(embeddings, labels, label_names, multi_label, seed)
    X = np.asarray(embeddings, dtype=np.float32)
    scale = float(np.sqrt((X.astype(np.float64) ** 2).sum(axis=1).mean())) or 1.0
    Y = indicators(labels, label_names, multi_label)
    random, heads = np.random.default_rng(seed), []
    with threadpool_limits(1):  # as in ``fit_few_shot``
        for _ in range(members):
            weights = (random.dirichlet(np.ones(len(X))) * len(X)).astype(np.float32)
            examples = Examples(X / np.float32(scale), Y, multi_label, weights)
            fitted = examples.fit(first.metrics["c"])
            heads.append(examples.head(fitted, label_names, scale, first.metrics["temperature"]))
    return heads
