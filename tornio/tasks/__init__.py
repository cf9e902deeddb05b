"""A task's documents, pool and labels behind one door, for gateway, jobs and controller."""

from tornio.tasks.asking import Askable, askable
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
    "Askable",
    "HoldoutSet",
    "Task",
    "Tasks",
    "TrainingSet",
    "askable",
    "holdout_set",
    "reserve",
    "training_labels",
    "training_set",
]
