"""From the data of a request to the object in the bucket."""

from __future__ import annotations

import re
from datetime import datetime

from tornio.api import UPLOAD, UPLOAD_PATTERN
from tornio.errors import InvalidInput, NotFound
from tornio.schemas.keys import UploadKeys
from tornio.schemas.uploads import Upload
from tornio.storage import documents
from tornio.storage.port import ObjectStore


def find_upload(data: str, workspace: str, store: ObjectStore, now: datetime) -> str:
    """Return the key of the upload that ``upload:NAME`` means in this workspace. It counts as used now.

    Raises InvalidInput for a name that no upload can have, and NotFound for one that is not there, or not whole.
    """
    name = data.removeprefix(UPLOAD)
    if not re.fullmatch(UPLOAD_PATTERN, name):
        raise InvalidInput(f"{data!r} names no upload. Its name is the SHA-256 of the file and its ending")
    keys = UploadKeys(workspace, name)
    try:
        used = documents.update(store, keys.document, Upload, lambda one: one.evolve(used_at=now))
    except NotFound:
        raise NotFound(
            f"There is no upload {name} in workspace {workspace!r}: it was never sent there, or nothing has used it "
            "for so long that it was deleted. Send the file again."
        ) from None
    if not used.whole:
        raise NotFound(f"The upload {name} ({used.file}) is not whole yet. Send the file again, which goes on with it.")
    return keys.data
