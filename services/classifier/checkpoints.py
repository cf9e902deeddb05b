"""Loads the model of a task's version, and proves that it may answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.classifier.shelf import Loaded
from tornio.errors import UnfitCheckpoint
from tornio.models.port import Model
from tornio.registry import Registry
from tornio.schemas.keys import TaskKeys
from tornio.schemas.registry import Manifest
from tornio.schemas.task import SpecDocument
from tornio.storage import documents
from tornio.storage.port import ObjectStore

if TYPE_CHECKING:
    from tornio.models.loading import Loader


class Checkpoints:
    """Loads versions from the store. For one thread at a time; the loader may be shared."""

    def __init__(self, store: ObjectStore, loader: Loader) -> None:
        self._store = store
        self._loader = loader

    def load(self, task: str, version: str) -> Loaded[Model]:
        """Return the model after checking digests, finite weights, labels and probes. Answering the probes warms it.

        Its size is that of its files. A base encoder that several models share is not counted.

        Raises IntegrityError or UnfitCheckpoint, with the reason, for a version that must not answer; NotFound;
        Unavailable.
        """
        workspace, _, name = task.partition("/")
        keys = TaskKeys(workspace, name)
        manifest = Registry(self._store, keys).manifest(version)
        if (manifest.workspace, manifest.task, manifest.version) != (workspace, name, version):
            other = f"{manifest.workspace}/{manifest.task} {manifest.version}"
            raise UnfitCheckpoint(f"The manifest of {task} {version} is that of {other}. Restore it from a backup.")
        self._check_labels(keys, manifest)
        size = sum(blob.size for blob in manifest.blobs.values())
        return Loaded(self._loader.proved(manifest), size, manifest.taught_by)

    def _check_labels(self, keys: TaskKeys, manifest: Manifest) -> None:
        """Raises UnfitCheckpoint unless its labels are those of the spec that it was trained under.

        A later set of labels belongs to a new generation.
        """
        spec = documents.load(self._store, keys.spec(manifest.spec_rev), SpecDocument)[0].task_spec()
        if manifest.labels != spec.label_names or manifest.multi_label != spec.multi_label:
            raise UnfitCheckpoint(
                f"Version {manifest.version} cannot serve: it has the labels {list(manifest.labels)}, the task has "
                f"{list(spec.label_names)} (spec {manifest.spec_rev}). Train again."
            )
