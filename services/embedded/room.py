"""Says when the disk of the state folder is full, and when there is room again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

FULL_BYTES = 64 << 20
"""Below this many free bytes the disk counts as full."""
FULL_SHARE = 0.01
"""Below this share of free space, too: the object store then writes no more."""


class Room:
    """Watches the disk of a folder. ``report`` is called when it becomes full and when it has room again.

    ``usage`` returns total, used and free bytes, as `shutil.disk_usage` does.
    """

    def __init__(
        self,
        folder: Path,
        report: Callable[[str], None],
        usage: Callable[[Path], tuple[int, int, int]] = shutil.disk_usage,
    ) -> None:
        self._folder, self._report, self._usage = folder, report, usage
        self._full = False

    def look(self) -> None:
        """Look once, and report a change."""
        total, _, free = self._usage(self._folder)
        full = free < min(FULL_BYTES, total // 10) or free < FULL_SHARE * total
        if full and not self._full:
            self._report(
                f"The disk of {self._folder} is full: {free >> 20} of {total >> 20} MiB are free. Until there "
                "is room, what is sent is refused and not kept. Free some space: nothing needs to be started again."
            )
        elif self._full and not full:
            self._report(f"The disk of {self._folder} has room again: {free >> 20} MiB are free.")
        self._full = full
