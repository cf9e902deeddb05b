"""What the size of a task's run depends on."""

from __future__ import annotations

from dataclasses import dataclass

from tornio.spec import TaskSpec

TRAINING_COST = 3
"""Passes through the model that a training step costs for each of its texts: one forward and about two backward."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Numbers about a run's task.

    ``pool``: records of the pool. ``not_embedded``: those without a cached embedding. ``labels``: records that have a
    label; 0 where the size does not depend on them. ``own_encoders``: how many of the versions that the plan names
    have an encoder of their own, so that cached embeddings do not help them.
    """

    spec: TaskSpec
    pool: int
    not_embedded: int
    labels: int
    own_encoders: int
