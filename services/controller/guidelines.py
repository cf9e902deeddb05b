"""Keeps guidelines and descriptions of labels up to date where annotators are at work."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from services.controller.perform import dataset_specs
from tornio.annotation.port import AnnotationTool, DatasetSpec
from tornio.schemas.task import Batch
from tornio.tasks import Task


@dataclass
class Guidelines:
    """Updates the data sets of batches whenever the spec shows something else than this process saw last."""

    task: Task
    annotation: AnnotationTool
    _shown: dict[str, DatasetSpec] = field(default_factory=dict)

    def refresh(self, batches: Iterable[Batch], shown: Mapping[str, Collection[str]]) -> None:
        """Bring data sets of batches up to date. ``shown``: the records that the annotation tool has just shown.

        A data set without records is left alone: it may have been deleted, and would be created without its batch.
        Batches of an earlier generation keep their labels. Raises what the annotation tool raises.
        """
        task = self.task
        for batch in batches:
            if not shown.get(batch.batch) or batch.generation != task.document.generation:
                continue
            for name, wanted in dataset_specs(task.spec, batch).items():
                if self._shown.get(name) != wanted:
                    self.annotation.ensure_dataset(wanted)
                    self._shown[name] = wanted
