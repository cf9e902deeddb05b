"""A task's documents, pool and labels behind one door, for gateway, jobs and controller."""

from tornio.tasks.data import (
    HoldoutSet,
    TrainingSet,
    holdout_set,
    reserve,
    training_labels,
    training_set,
)
from tornio.tasks.task import Task
from tornio.tasks.tasks import Applied, Tasks

__all__ = [
    "Applied",
    "HoldoutSet",
    "Task",
    "Tasks",
    "TrainingSet",
    "holdout_set",
    "reserve",
    "training_labels",
    "training_set",
]
