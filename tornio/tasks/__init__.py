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
from tornio.tasks.progress import Progress, batch_progress
from tornio.tasks.task import Task
from tornio.tasks.tasks import Applied, Tasks

__all__ = [
    "Applied",
    "Askable",
    "HoldoutSet",
    "Progress",
    "Task",
    "Tasks",
    "TrainingSet",
    "askable",
    "batch_progress",
    "holdout_set",
    "reserve",
    "training_labels",
    "training_set",
]
