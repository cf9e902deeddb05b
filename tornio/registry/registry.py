"""The versions of a task, and the aliases that name them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from tornio.errors import Changed, NotFound, NotServable
from tornio.registry import blobs
from tornio.registry.history import earlier_version
from tornio.schemas.keys import TaskKeys
from tornio.schemas.registry import Alias, Manifest
from tornio.schemas.trial import TrialTerms
from tornio.storage import documents
from tornio.storage.port import ObjectStore

CURRENT = "current"
"""The alias of the version that is served."""
CANDIDATE = "candidate"
"""The alias of the version that replicas load in addition, before it becomes current."""
PREVIOUS = "previous"
"""What a request calls the version that ``current`` named before. No alias has this name."""


class Registry:
    """Publish, resolve, promote and roll back the versions of one task. Safe to share between threads."""

    def __init__(self, store: ObjectStore, keys: TaskKeys) -> None:
        self._store = store
        self._keys = keys
        self._manifests: dict[str, Manifest] = {}  # immutable, so each is read once

    def publish(self, manifest: Manifest, folder: Path) -> Manifest:
        """Upload the files of a model's folder, then write the manifest that names them.

        ``manifest.blobs`` is filled in from the folder. If another attempt published the version first, that
        manifest is returned, so that a run has only one result. Raises InvalidInput for an empty folder.
        """
        complete = manifest.evolve(blobs=blobs.upload(self._store, blobs.files_of(folder)))
        return documents.create_or_get(self._store, self._keys.version(manifest.version), complete)

    def manifest(self, version: str) -> Manifest:
        """Return the manifest of a version. Raises NotFound, IntegrityError, SchemaTooNew."""
        manifest = self._manifests.get(version)
        if manifest is None:
            manifest, _ = documents.load(self._store, self._keys.version(version), Manifest)
            blobs.check_names(manifest.blobs)
            self._manifests[version] = manifest
        return manifest

    def names(self) -> tuple[str, ...]:
        """Return the names of all versions, in alphabetical order."""
        return tuple(
            info.key.removeprefix(self._keys.versions).removesuffix(".json")
            for info in self._store.list(self._keys.versions)
        )

    def versions(self) -> tuple[Manifest, ...]:
        """Return all versions, oldest first."""
        with ThreadPoolExecutor(8) as pool:
            manifests = list(pool.map(self.manifest, self.names()))
        return tuple(sorted(manifests, key=lambda manifest: (manifest.created_at, manifest.version)))

    def alias(self, name: str) -> Alias | None:
        """Return an alias, or None if it does not exist."""
        stored = documents.find(self._store, self._keys.alias(name), Alias)
        return None if stored is None else stored[0]

    def move(
        self,
        alias: str,
        version: str,
        expected_revision: int,
        who: str,
        why: str,
        cause: str = "promotion",
        outdated_labels: bool = False,
        trial: TrialTerms | None = None,
    ) -> Alias:
        """Point an alias at ``version``, if its revision is ``expected_revision`` (0: it does not exist yet).

        ``trial``: how replicas try the version on live traffic.

        Idempotent: if the alias already names the version, with the same trial, at this revision or the next, its
        document is returned, whoever made that move. The replaced document is first copied to the history, so that a
        kill between the two writes loses nothing. Raises Changed at any other revision, NotFound for a version that
        does not exist.
        """
        self.manifest(version)

        def follow(present: Alias | None) -> Alias:
            revision = 0 if present is None else present.revision
            same = present is not None and present.version == version
            if present is not None and same and present.trial == trial and revision - expected_revision in (0, 1):
                return present
            if revision != expected_revision:
                raise Changed(
                    f"{alias} of {self._name} is at revision {revision}, not {expected_revision}. "
                    "Look at the version that it names now, and decide again."
                )
            if present is not None:
                documents.create_or_get(self._store, self._keys.alias_history(alias, revision), present)
            return Alias(
                alias=alias,
                version=version,
                revision=revision + 1,
                previous=None if present is None else present.previous if same else present.version,
                cause=cause,
                who=who,
                why=why,
                outdated_labels=outdated_labels,
                trial=trial,
                moved_at=datetime.now(UTC),
            )

        key = self._keys.alias(alias)
        try:
            return documents.update(self._store, key, Alias, follow)
        except NotFound:
            return follow(documents.create_or_get(self._store, key, follow(None)))

    def rollback(
        self,
        who: str,
        why: str,
        expected_revision: int | None = None,
        moves: Sequence[Alias] | None = None,
        label_set_rev: int = 1,
    ) -> Alias:
        """Point ``current`` at the version that served before. See ``earlier_version``.

        A second rollback goes one further back. A caller that may send one twice passes ``expected_revision``, and gets
        Changed if it was already done. ``moves``: the history of ``current``, if the caller has read it.
        ``label_set_rev``: the task's present label set; the alias says if the version has an earlier one. Raises
        NotServable, and NotFound if no version served before.
        """
        moves = self.history(CURRENT) if moves is None else moves
        earlier = self.check_rollback(moves, expected_revision)
        outdated = self.manifest(earlier).label_set_rev < label_set_rev
        return self.move(CURRENT, earlier, moves[0].revision, who, why, "rollback", outdated)

    def check_rollback(self, moves: Sequence[Alias], expected_revision: int | None = None) -> str:
        """Return the version that a rollback goes to. ``moves``: the history of ``current``.

        The revision is compared first: a rollback that is sent again, because its answer was lost, was done. Raises
        what ``rollback`` raises.
        """
        if not moves:
            raise NotServable(f"{self._name} has no {CURRENT} version yet, so there is nothing to roll back.")
        present = moves[0]
        if expected_revision is not None and present.revision != expected_revision:
            raise Changed(
                f"{CURRENT} of {self._name} is at revision {present.revision}, not {expected_revision}. "
                "It was rolled back or promoted meanwhile."
            )
        earlier = earlier_version(moves)
        if earlier is None:
            raise NotFound(
                f"No version served {self._name} before {present.version}, so there is nothing to go back to."
            )
        return earlier

    def history(self, alias: str) -> tuple[Alias, ...]:
        """Return every document that the alias has had, the present one first."""
        present = self.alias(alias)  # read first, so that its predecessors are in the history
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
