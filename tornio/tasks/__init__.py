"""Tasks: their documents, pool and labels, and what users do with them. For gateway, jobs and controller."""

from tornio.tasks.asking import Askable, askable
from tornio.tasks.automatic import withdraw_automatic, write_automatic
from tornio.tasks.counts import Counter, Counts
from tornio.tasks.data import (
    HoldoutSet,
    TrainingSet,
    adaptable_rows,
    holdout_set,
    labels_of,
    reserve,
    training_labels,
    training_set,
    unlabelled_rows,
)
from tornio.tasks.deletion import Deletion, Learned, delete_records, last_deletion, learned_from, preview_deletion
from tornio.tasks.export import LabelsExport, export_labels
from tornio.tasks.imports import match_records, new_record
from tornio.tasks.live import Chosen, choose_live
from tornio.tasks.named import named_version
from tornio.tasks.progress import Progress, batch_progress
from tornio.tasks.rollback import roll_back
from tornio.tasks.task import Task
from tornio.tasks.tasks import Applied, Tasks

__all__ = [
    "Applied",
    "Askable",
    "Chosen",
    "Counter",
    "Counts",
    "Deletion",
    "HoldoutSet",
    "LabelsExport",
    "Learned",
    "Progress",
    "Task",
    "Tasks",
    "TrainingSet",
    "adaptable_rows",
    "askable",
    "batch_progress",
    "choose_live",
    "delete_records",
    "export_labels",
    "holdout_set",
    "labels_of",
    "last_deletion",
    "learned_from",
    "match_records",
    "named_version",
    "new_record",
    "preview_deletion",
    "reserve",
    "roll_back",
    "training_labels",
    "training_set",
    "unlabelled_rows",
    "withdraw_automatic",
    "write_automatic",
]
