"""Which object store this process works with."""

from __future__ import annotations

from pydantic import ValidationError

from tornio.errors import InvalidInput
from tornio.settings import NodeSettings, StorageSettings
from tornio.storage.port import ObjectStore


def store_from_environment() -> ObjectStore:
    """Return the folder that TORNIO_STORE_DIR names, for runs on one machine, or else the bucket of TORNIO_S3_...

    Raises InvalidInput if neither is set.
    """
    folder = NodeSettings().store_dir
    if folder is not None:
        from tornio.storage.local import LocalStore

        return LocalStore(folder)
    from tornio.storage.s3 import open_store

    try:
        return open_store(StorageSettings())
    except ValidationError as error:
        wrong = [f"TORNIO_S3_{'_'.join(map(str, one['loc'])).upper()}: {one['msg']}" for one in error.errors()]
        if any(one["type"] != "missing" for one in error.errors()):
            raise InvalidInput(f"The settings of the object store are wrong. {' '.join(wrong)}") from error
        raise InvalidInput(
            "No object store is configured. Set TORNIO_S3_BUCKET, or set TORNIO_STORE_DIR to a folder of this machine."
        ) from error
