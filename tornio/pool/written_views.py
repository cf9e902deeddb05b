"""Texts that an augmentation has written as views of a task's texts, stored beside the pool."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence

import pyarrow as pa

from tornio.errors import IntegrityError
from tornio.schemas.keys import TaskKeys
from tornio.schemas.tables import WRITTEN_VIEWS
from tornio.storage.port import ObjectStore

log = logging.getLogger(__name__)


class WrittenViews:
    """The views that were written for one purpose: see ``TaskKeys.written_views``. They may be deleted at any time."""

    def __init__(self, store: ObjectStore, keys: TaskKeys, purpose: str) -> None:
        self._store = store
        self._folder = keys.written_views(purpose)

    def read(self) -> dict[str, tuple[str, ...]]:
        """Return the views of every text. Files that cannot be read are left out, with a warning in the log."""
        found: dict[str, tuple[str, ...]] = {}
        for info in self._store.list(self._folder):
            try:
                table = WRITTEN_VIEWS.decode(self._store.get(info.key).body, info.key)
            except IntegrityError as error:
                log.warning("Some views are written again: %s", error)
                continue
            for row in table.to_pylist():
                found[row["text"]] = tuple(row["views"])
        return found

    def keep(self, views: Mapping[str, Sequence[str]]) -> None:
        """Store the views of some texts, in a file of their own."""
        rows = [{"text": text, "views": list(found)} for text, found in views.items()]
        body = WRITTEN_VIEWS.encode(pa.Table.from_pylist(rows, schema=WRITTEN_VIEWS.columns))
        part = hashlib.sha256("\0".join(sorted(views)).encode("utf-8", "surrogatepass")).hexdigest()[:32]
        self._store.put(f"{self._folder}{part}.parquet", body)
