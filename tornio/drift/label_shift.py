"""The mix of true labels of live texts, estimated from the predicted ones and the hold-out's confusion."""

from __future__ import annotations

import numpy as np

from tornio.arrays import DoubleArray, IntArray


def estimated_mix(confusion: IntArray, predicted: IntArray) -> DoubleArray:
    """Return the estimated shares of the true labels among live texts, float64 [labels], which sum to 1.

    ``confusion``: int64 [labels, labels] of the hold-out; rows are true labels, columns predicted ones. ``predicted``:
    int64 [labels], how often live texts got each label. Both have at least one text.

    A version that takes a tenth of a for b predicts too few a, and the more the more a there are. The confusion says
    how the predicted mix follows from the true one, and this solves it for the true one. It assumes that only the mix
    has changed, and not what the texts of a label look like.

    Sources: black box shift estimation, BBSE (Lipton, Wang and Smola 2018, "Detecting and Correcting for Label Shift
    with Black Box Predictors", section 3.1), regularised as in RLLS (Azizzadenesheli et al. 2019, "Regularized Learning
    for Domain Adaptation under Label Shifts", section 2): the weights of the labels are 1 plus a change, and large
    changes cost. Deviations from RLLS: the penalty is the square of the change's norm, so that the solution is one
    linear system; its weight is the mean variance of what the counts say (a prior of variance 1 for the change of each
    weight); and negative shares become 0.
    """
    joint = confusion.T / confusion.sum()  # rows: predicted
    mix = predicted / predicted.sum()
    true, before = joint.sum(axis=0), joint.sum(axis=1)
    noise = mix * (1 - mix) / predicted.sum() + before * (1 - before) / confusion.sum()
    change = np.linalg.solve(
        joint.T @ joint + noise.mean() * np.eye(len(mix)) + 1e-12 * np.eye(len(mix)), joint.T @ (mix - before)
    )
    found = np.maximum(true * (1.0 + change), 0.0)
    return np.asarray(found / found.sum(), dtype=np.float64)
