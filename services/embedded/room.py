"""Says when the disk of the state folder is full, and when there is room again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

FULL_BYTES = 64 << 20
"""Below this many free bytes the disk has too little room."""
FULL_SHARE = 0.01
"""Below this share of free space, too: the object store then writes no more. Of 1 TiB this is 10 GiB."""
AGAIN = 1.5
"""There is room again above the limit times this. Otherwise a disk at its limit would be reported all the time."""


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
        limit = max(min(FULL_BYTES, total // 10), FULL_SHARE * total)
        full = free < limit * (AGAIN if self._full else 1)
        if full and not self._full:
            self._report(
                f"The disk of {self._folder} is full: {free >> 20} MiB are free, and {int(limit) >> 20} of its "
                f"{total >> 20} MiB must be, because the object store writes nothing below that. Until there is room, "
                "what is sent is refused and not kept. Free some space: nothing needs to be started again."
            )
        elif self._full and not full:
            self._report(f"The disk of {self._folder} has room again: {free >> 20} MiB are free.")
        self._full = full
