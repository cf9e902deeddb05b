"""The uploads of one workspace: begin one, take its parts, and put them together when all have come.

A file comes in parts, each of which is a request of its own. So no request is long, nothing has to hold more than a
part, and an interrupted upload goes on with the parts that are missing, whichever process takes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from tornio.api import MIB, PART_BYTES, UploadOut, UploadPartOut, Uploads
from tornio.errors import AlreadyExists, Conflict, InvalidInput, NotFound
from tornio.schemas.keys import UploadKeys, workspace_uploads
from tornio.schemas.uploads import Upload
from tornio.settings import UploadSettings
from tornio.storage import documents
from tornio.storage.port import ObjectStore

_MISSING_SHOWN = 1_000


class _OtherBytes(Exception):
    """The parts are not the file of the digest."""


@dataclass(frozen=True, slots=True)
class UploadRoom:
    """The uploads of a workspace. All methods may be repeated, also by several processes at once."""

    store: ObjectStore
    workspace: str
    settings: UploadSettings
    clock: Callable[[], datetime]

    def begin(self, name: str, size: int, file: str, who: str) -> UploadOut:
        """Begin an upload, or go on with it: the answer says which parts are missing. A whole one stays as it is.

        Raises InvalidInput for a file that is too large, and Conflict where it does not fit into the quota.
        """
        keys = UploadKeys(self.workspace, name)
        if size > self.settings.max_bytes:
            raise InvalidInput(
                f"The file has {size / MIB:,.0f} MiB, and an upload may have {self.settings.max_mib:,} MiB "
                "(TORNIO_UPLOAD_MAX_MIB). Put it into a bucket, and name it as s3://bucket/key."
            )
        stored = documents.find(self.store, keys.document, Upload)
        if stored is None:
            self._create(keys, size, file, who)
        elif stored[0].size != size:
            raise InvalidInput(
                f"{name} was begun with {stored[0].size:,} bytes, and this file has {size:,}. One of the two has "
                f"another digest than it says. Delete the upload and begin again: tornio uploads {self.workspace} "
                f"--delete {name}"
            )
        touched = documents.update(self.store, keys.document, Upload, lambda one: one.evolve(used_at=self.clock()))
        return self._out(touched)

    def put_part(self, name: str, number: int, body: bytes) -> UploadPartOut:
        """Take a part. Raises NotFound, and InvalidInput for a part that the file does not have, or of another size."""
        keys = UploadKeys(self.workspace, name)
        upload = self._load(keys)
        if number >= upload.count:
            raise InvalidInput(f"{name} has {upload.count} parts, from 0 to {upload.count - 1}, and no part {number}.")
        if len(body) != upload.part_size(number):
            raise InvalidInput(
                f"Part {number} of {name} has {upload.part_size(number):,} bytes, and {len(body):,} have come. "
                "Send it again."
            )
        if not upload.whole:
            self.store.put(keys.part(number), body)
        return UploadPartOut(part=number, size=len(body))

    def complete(self, name: str) -> UploadOut:
        """Put the parts together and check the digest; only then the upload can be used.

        Raises NotFound, Conflict while parts are missing, and InvalidInput for bytes of another digest, which are
        thrown away.
        """
        keys = UploadKeys(self.workspace, name)
        upload = self._load(keys)
        if not upload.whole and (missing := self._missing(upload)):
            upload = self._load(keys)  # another request, which drops the parts, may have put them together meanwhile
            if not upload.whole:
                raise Conflict(f"{len(missing):,} parts of {name} are missing, such as {missing[0]}. Send them first.")
        if not upload.whole:
            try:
                self.store.put_pieces(keys.data, lambda: self._checked(upload))
            except _OtherBytes as error:
                self._drop_parts(keys)
                raise InvalidInput(str(error)) from error
            except NotFound:  # another request has put them together meanwhile
                if not self._load(keys).whole:
                    raise
            try:
                upload = documents.update(
                    self.store, keys.document, Upload, lambda one: one.evolve(whole=True, used_at=self.clock())
                )
            except NotFound:  # it was deleted meanwhile, by a request that did not see the whole file
                self.store.delete([keys.data])
                self._drop_parts(keys)
                raise self._not_found(keys) from None
            self._drop_parts(keys)
        return self._out(upload)

    def delete(self, name: str) -> UploadOut:
        """Delete an upload, whole or not, and return what it was. Raises NotFound."""
        keys = UploadKeys(self.workspace, name)
        upload = self._load(keys)
        # The document goes last, so that an interrupted deletion can be repeated.
        others = [info.key for info in self.store.list(keys.root) if info.key != keys.document]
        self.store.delete(others)
        self.store.delete([keys.document])
        return self._out(upload)

    def get(self, name: str) -> UploadOut:
        """Return an upload. Raises NotFound."""
        return self._out(self._load(UploadKeys(self.workspace, name)))

    def all(self) -> Uploads:
        """Return the uploads, newest first."""
        uploads = sorted(self.documents(), key=lambda one: (one.created_at, one.name), reverse=True)
        return Uploads(
            uploads=[self._out(one) for one in uploads],
            bytes=sum(one.size for one in uploads),
            quota_bytes=self.settings.quota_bytes,
        )

    def documents(self) -> Iterator[Upload]:
        """Yield the document of each upload. The parts are not listed."""
        for keys in self._folders():
            stored = documents.find(self.store, keys.document, Upload)
            if stored is not None:
                yield stored[0]

    def drop_remains(self, before: datetime) -> None:
        """Delete what lies in folders without a document since then: a request wrote it beside a deletion."""
        for keys in self._folders():
            if self.store.head(keys.document) is None:
                found = list(self.store.list(keys.root))
                if all(info.modified is not None and info.modified < before for info in found):
                    self.store.delete([info.key for info in found])

    def _folders(self) -> Iterator[UploadKeys]:
        return (UploadKeys(self.workspace, name) for name in self.store.folders(workspace_uploads(self.workspace)))

    def _create(self, keys: UploadKeys, size: int, file: str, who: str) -> None:
        self._check_quota(size)
        now = self.clock()
        upload = Upload(
            name=keys.name, file=file, size=size, part_bytes=PART_BYTES, who=who, created_at=now, used_at=now
        )
        try:
            documents.create(self.store, keys.document, upload)
        except AlreadyExists:  # the same file, sent twice at the same time
            return
        try:
            self._check_quota(0)  # another upload may have begun since
        except Conflict:
            self.store.delete([keys.document])
            raise

    def _check_quota(self, size: int) -> None:
        """Raises Conflict if so many bytes more do not fit. What was begun counts as if it were whole."""
        used = sum(one.size for one in self.documents())
        if used + size > self.settings.quota_bytes:
            raise Conflict(
                f"The uploads of workspace {self.workspace!r} take {used / MIB:,.0f} MiB, and may take "
                f"{self.settings.quota_mib:,} MiB (TORNIO_UPLOAD_QUOTA_MIB), so the file does not fit. List them with "
                f"`tornio uploads {self.workspace}`, and delete what is no longer needed, with --delete."
            )

    def _load(self, keys: UploadKeys) -> Upload:
        stored = documents.find(self.store, keys.document, Upload)
        if stored is None:
            raise self._not_found(keys)
        return stored[0]

    def _not_found(self, keys: UploadKeys) -> NotFound:
        return NotFound(f"There is no upload {keys.name} in workspace {self.workspace!r}. Send the file again.")

    def _checked(self, upload: Upload) -> Iterator[bytes]:
        """Yield the parts. At the end, raises _OtherBytes if they are not those of the digest in the name."""
        keys, digest = UploadKeys(self.workspace, upload.name), hashlib.sha256()
        for number in range(upload.count):
            body = self.store.get(keys.part(number)).body
            digest.update(body)
            yield body
        if digest.hexdigest() != upload.name.partition(".")[0]:
            raise _OtherBytes(
                f"The bytes that came have the SHA-256 {digest.hexdigest()}, and not the one in {upload.name}. The "
                "file may have changed while it was sent. Send it again."
            )

    def _missing(self, upload: Upload) -> list[int]:
        parts = UploadKeys(self.workspace, upload.name).parts
        there = {info.key.removeprefix(parts): info.size for info in self.store.list(parts)}
        return [n for n in range(upload.count) if there.get(f"{n:06d}") != upload.part_size(n)]

    def _drop_parts(self, keys: UploadKeys) -> None:
        self.store.delete([info.key for info in self.store.list(keys.parts)])

    def _out(self, upload: Upload) -> UploadOut:
        missing = [] if upload.whole else self._missing(upload)
        return UploadOut(
            name=upload.name,
            file=upload.file,
            size=upload.size,
            part_bytes=upload.part_bytes,
            parts=upload.count,
            missing=missing[:_MISSING_SHOWN],
            received=upload.size - sum(map(upload.part_size, missing)),
            whole=upload.whole,
            who=upload.who,
            created_at=upload.created_at,
            expires_at=upload.used_at + timedelta(days=self.settings.days),
        )
