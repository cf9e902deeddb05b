"""Fixed windows of live texts in the store. Each replica writes a document of its own, and whoever reads adds them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tornio.drift.counts import Counts
from tornio.errors import IntegrityError, NotFound
from tornio.schemas.keys import TaskKeys
from tornio.schemas.live import LiveWindow, TextCounts
from tornio.storage.port import ObjectStore

log = logging.getLogger(__name__)

_NAME = re.compile(r"(\d{8}T\d{6}Z)-(\d+)")
LOOKED_BACK = 24
"""Windows that are over, in which the answers of a version are looked for: each one costs a reading."""
_TIME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A span of time. Windows of the same length are aligned, so replicas agree on them without talking."""

    start: datetime
    seconds: int

    @property
    def end(self) -> datetime:
        return self.start + timedelta(seconds=self.seconds)

    @property
    def name(self) -> str:
        """``20261129T150000Z-3600``. Names are in the order of time."""
        return f"{self.start.strftime(_TIME)}-{self.seconds}"

    @classmethod
    def at(cls, moment: datetime, seconds: int) -> Window:
        """Return the window of this length that contains a moment."""
        since = int(moment.timestamp())
        return cls(datetime.fromtimestamp(since - since % seconds, UTC), seconds)

    @classmethod
    def named(cls, name: str) -> Window | None:
        """Return the window of this name; None for another name."""
        found = _NAME.fullmatch(name)
        if found is None:
            return None
        return cls(datetime.strptime(found[1], _TIME).replace(tzinfo=UTC), int(found[2]))


def write(store: ObjectStore, keys: TaskKeys, window: Window, replica: str, versions: Mapping[str, Counts]) -> None:
    """Write what a replica counted in a window, in place of what it wrote before. Raises Unavailable."""
    document = LiveWindow(
        start=window.start,
        seconds=window.seconds,
        replica=replica,
        versions={version: counts.part for version, counts in versions.items()},
    )
    store.put(keys.live_window(window.name, replica), document.encode())


def listed(store: ObjectStore, keys: TaskKeys) -> dict[Window, list[str]]:
    """Return the windows of a task, oldest first, each with the keys of its documents. Raises Unavailable."""
    found = dict[Window, list[str]]()
    for info in store.list(keys.live):
        window = Window.named(info.key.removeprefix(keys.live).split("/")[0])
        if window is not None:
            found.setdefault(window, []).append(info.key)
    return found


def latest(windows: Iterable[Window], now: datetime) -> tuple[list[Window], Window | None]:
    """Return the last windows that are over, newest first, and the present one, where there are texts in them."""
    ordered = sorted(windows, reverse=True)
    over = [window for window in ordered if window.end <= now]
    present = [window for window in ordered if window.start <= now < window.end]
    return over[:LOOKED_BACK], (present[0] if present else None)


def read(store: ObjectStore, keys: Iterable[str], version: str, labels: tuple[str, ...] | None = None) -> Counts | None:
    """Return the counts of a version over these documents; None where it answered nothing.

    ``labels``: those of the version, in its order. A document that cannot be read is left out, with a line in the log:
    its texts are missed, and those of other replicas are not. Raises Unavailable.
    """
    parts = list[TextCounts]()
    for key in keys:
        try:
            document = LiveWindow.decode(store.get(key).body, key)
        except NotFound:  # it expired meanwhile
            continue
        except IntegrityError as error:
            log.warning("Live texts of one replica are not counted: %s", error)
            continue
        if version in document.versions:
            parts.append(document.versions[version])
    names = labels or tuple(sorted({name for part in parts for name in part.labels}))
    each = [Counts.of(part, names) for part in parts]
    return sum(each[1:], each[0]) if each else None


def expire(store: ObjectStore, keys: TaskKeys, before: datetime) -> int:
    """Delete the windows that ended before this moment. Return how many documents. Raises Unavailable."""
    old = [key for window, found in listed(store, keys).items() if window.end < before for key in found]
    store.delete(old)
    return len(old)
