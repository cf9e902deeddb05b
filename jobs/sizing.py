"""What the size of a task's run depends on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tornio.spec import TaskSpec


@dataclass(frozen=True, slots=True)
class Facts:
    """Numbers about a run's task.

    ``pool``: records of the pool. ``not_embedded``: those without a cached embedding. ``own_encoders``: how many of the
    versions that the plan names have an encoder of their own, so that cached embeddings do not help them.
    ``count_labels``: counts the records that have a label, which reads the task's whole label log.
    """

    spec: TaskSpec
    pool: int
    not_embedded: int
    own_encoders: int
    count_labels: Callable[[], int]

    @property
    def labels(self) -> int:
        """Records that have a label. Counted only for sizes that depend on it."""
        return self.count_labels()
