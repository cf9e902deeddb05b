"""Typed reads and writes of documents in the object store.

Each written body carries a token of its own, so that the bodies of two writers always differ. After a conditional
write with an unclear outcome, the store reads the body back and compares it to find out whose write succeeded.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar
from uuid import uuid4

from tornio.errors import AlreadyExists, Changed, NotFound
from tornio.schemas.base import Document
from tornio.storage.port import ObjectStore

D = TypeVar("D", bound=Document)

_UPDATES = 50
"""``update`` gives up after this many lost races in a row. It is far more than the number of writers."""


def load(store: ObjectStore, key: str, cls: type[D]) -> tuple[D, str]:
    """Return the document and its ETag. Raises NotFound, IntegrityError, SchemaTooNew."""
    stored = store.get(key)
    return cls.decode(stored.body, key), stored.etag


def find(store: ObjectStore, key: str, cls: type[D]) -> tuple[D, str] | None:
    """Return the document and its ETag, or None if it does not exist. Raises IntegrityError, SchemaTooNew."""
    try:
        return load(store, key, cls)
    except NotFound:
        return None


def create(store: ObjectStore, key: str, document: D) -> D:
    """Write a document that must not exist yet and return it as written. Raises AlreadyExists."""
    stamped = _stamped(document)
    store.put_if_absent(key, stamped.encode(stamped.writer))
    return stamped


def create_or_get(store: ObjectStore, key: str, document: D) -> D:
    """Write the document if it does not exist yet. Return the stored one, which may be another writer's."""
    try:
        return create(store, key, document)
    except AlreadyExists:
        return load(store, key, type(document))[0]


def replace(store: ObjectStore, key: str, document: Document, etag: str) -> str:
    """Overwrite the body that has this ETag and return the new ETag. Raises Changed."""
    stamped = _stamped(document)
    return store.put_if_match(key, stamped.encode(stamped.writer), etag)


def update(store: ObjectStore, key: str, cls: type[D], change: Callable[[D], D]) -> D:
    """Apply ``change`` to the stored document and write the outcome, again whenever another writer was faster.

    ``change`` may be called several times, so it must be safe to repeat. If it changes nothing, nothing is written.
    Its exceptions are passed on. Raises NotFound, and Changed when too many races in a row are lost.
    """
    for _ in range(_UPDATES):
        present, etag = load(store, key, cls)
        wanted = change(present)
        if wanted == present:
            return present
        stamped = _stamped(wanted)
        try:
            store.put_if_match(key, stamped.encode(stamped.writer), etag)
        except Changed:
            time.sleep(random.uniform(0, 0.02))
            continue
        return stamped
    raise Changed(
        f"Another writer changed {key} {_UPDATES} times in a row. Look for a process that writes it continuously."
    )


def _stamped(document: D) -> D:
    return document.evolve(writer=uuid4().hex)
