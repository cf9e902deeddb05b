"""Documents in the object store: typed reads, and writes that carry a token of their own.

The token makes the bodies of two writers differ, so that after an unclear conditional write the store can tell
by reading back whose body stands there.
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
"""Lost races in a row after which ``update`` gives up: far more than there are writers."""


def load(store: ObjectStore, key: str, cls: type[D]) -> tuple[D, str]:
    """The document and its ETag. Raises NotFound, IntegrityError, SchemaTooNew."""
    stored = store.get(key)
    return cls.decode(stored.body, key), stored.etag


def find(store: ObjectStore, key: str, cls: type[D]) -> tuple[D, str] | None:
    """The document and its ETag, or None where nothing stands. Raises IntegrityError, SchemaTooNew."""
    try:
        return load(store, key, cls)
    except NotFound:
        return None


def create(store: ObjectStore, key: str, document: D) -> D:
    """Write where nothing stands and return what was written. Raises AlreadyExists."""
    stamped = _stamped(document)
    store.put_if_absent(key, stamped.encode(stamped.writer))
    return stamped


def create_or_get(store: ObjectStore, key: str, document: D) -> D:
    """Write where nothing stands; who comes second gets what the first has written."""
    try:
        return create(store, key, document)
    except AlreadyExists:
        return load(store, key, type(document))[0]


def replace(store: ObjectStore, key: str, document: Document, etag: str) -> str:
    """Write over the body that has this ETag and return the new ETag. Raises Changed."""
    stamped = _stamped(document)
    return store.put_if_match(key, stamped.encode(stamped.writer), etag)


def update(store: ObjectStore, key: str, cls: type[D], change: Callable[[D], D]) -> D:
    """Apply ``change`` to what stands there, again on what another writer put there meanwhile, until it holds.

    ``change`` may run several times, so running it again must do no harm; where it changes nothing, nothing is
    written, and what it raises is passed on. Raises NotFound, and Changed when the race is lost time after time.
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
    raise Changed(f"{key} was changed by somebody else {_UPDATES} times in a row: look for a writer that runs wild")


def _stamped(document: D) -> D:
    return document.evolve(writer=uuid4().hex)
