"""The versions of a task and the aliases that name them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from tornio.errors import Changed, NotFound, NotServable
from tornio.registry import blobs
from tornio.schemas.registry import Alias, Manifest
from tornio.storage import documents
from tornio.storage.keys import TaskKeys
from tornio.storage.port import ObjectStore

CURRENT = "current"
"""The alias that serves."""
CANDIDATE = "candidate"
"""The alias that replicas load beside it, ready to become current."""


class Registry:
    """Publish, resolve, promote and roll back the versions of one task. Safe to share between threads."""

    def __init__(self, store: ObjectStore, keys: TaskKeys) -> None:
        self._store = store
        self._keys = keys
        self._manifests: dict[str, Manifest] = {}  # immutable, so each is read once

    def publish(self, manifest: Manifest, folder: Path) -> Manifest:
        """Upload the files of a model's folder, then write the manifest that names them.

        ``manifest.blobs`` is filled in from the folder. Who loses a race for the version gets the winner's
        manifest: of two attempts at a run one result counts. Raises InvalidInput for an empty folder.
        """
        whole = manifest.evolve(blobs=blobs.upload(self._store, blobs.files_of(folder)))
        return documents.create_or_get(self._store, self._keys.version(manifest.version), whole)

    def manifest(self, version: str) -> Manifest:
        """Raises NotFound, IntegrityError, SchemaTooNew."""
        found = self._manifests.get(version)
        if found is None:
            found, _ = documents.load(self._store, self._keys.version(version), Manifest)
            blobs.check_names(found.blobs)
            self._manifests[version] = found
        return found

    def versions(self) -> tuple[Manifest, ...]:
        """All versions, oldest first."""
        names = [
            info.key.removeprefix(self._keys.versions).removesuffix(".json")
            for info in self._store.list(self._keys.versions)
        ]
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(self.manifest, names))
        return tuple(sorted(found, key=lambda manifest: (manifest.created_at, manifest.version)))

    def alias(self, name: str) -> Alias | None:
        """Where an alias stands, or None."""
        found = documents.find(self._store, self._keys.alias(name), Alias)
        return None if found is None else found[0]

    def move(
        self, alias: str, version: str, expected_revision: int, who: str, why: str, cause: str = "promotion"
    ) -> Alias:
        """Let an alias that stands at ``expected_revision`` (0: nowhere yet) name ``version``.

        Idempotent: a move that has been made, by whomever, and one to where the alias stands already return what
        stands there. The document that the move replaces is first copied to the history, so that a kill between
        the two loses nothing. Raises Changed at any other revision, NotFound for a version that is not there.
        """
        self.manifest(version)

        def follow(present: Alias | None) -> Alias:
            revision = 0 if present is None else present.revision
            if present is not None and present.version == version and revision - expected_revision in (0, 1):
                return present
            if revision != expected_revision:
                raise Changed(
                    f"{alias} of {self._name} is at revision {revision}, not {expected_revision}: "
                    "look at what it names now and decide again"
                )
            if present is not None:
                documents.create_or_get(self._store, self._keys.alias_history(alias, revision), present)
            return Alias(
                alias=alias,
                version=version,
                revision=revision + 1,
                previous=None if present is None else present.version,
                cause=cause,
                who=who,
                why=why,
                moved_at=datetime.now(UTC),
            )

        key = self._keys.alias(alias)
        try:
            return documents.update(self._store, key, Alias, follow)
        except NotFound:
            return follow(documents.create_or_get(self._store, key, follow(None)))

    def rollback(self, who: str, why: str, expected_revision: int | None = None) -> Alias:
        """Let ``current`` name its previous version. Raises NotServable, NotFound when there is no previous one.

        Two rollbacks are back where they began; who may send one twice gives ``expected_revision`` and gets Changed.
        """
        present = self.alias(CURRENT)
        if present is None:
            raise NotServable(f"{self._name} has no {CURRENT} version yet: there is nothing to roll back")
        if expected_revision is not None and present.revision != expected_revision:
            raise Changed(
                f"{CURRENT} of {self._name} is at revision {present.revision}, not {expected_revision}: "
                "it was rolled back or promoted meanwhile"
            )
        if present.previous is None:
            raise NotFound(f"{present.version} is the first version that {self._name} serves: none came before it")
        return self.move(CURRENT, present.previous, present.revision, who, why, "rollback")

    def history(self, alias: str) -> tuple[Alias, ...]:
        """Every document that the alias has been, the present one first."""
        present = self.alias(alias)  # read before the past: what it replaced is there by then
        if present is None:
            return ()
        past = [
            document
            for info in self._store.list(self._keys.alias_history(alias))
            if (document := documents.load(self._store, info.key, Alias)[0]).revision < present.revision
        ]
        return (present, *reversed(past))

    @property
    def _name(self) -> str:
        return f"{self._keys.workspace}/{self._keys.task}"
