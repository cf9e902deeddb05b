"""End process groups after the process that started them has ended, even if it was killed.

This is a program of its own: ``python guard.py`` with a pipe on standard input. Each line is ``+GROUP`` (watch it) or
``-GROUP`` (stop watching it). The pipe closes when its writer exits, for whatever reason. Then every watched group gets
SIGTERM and, five seconds later, SIGKILL. It uses only the standard library, and needs neither threads nor Linux.
"""

import contextlib
import os
import signal
import sys
import time

GRACE_S = 5.0


def _signal(groups: set[int], number: int) -> None:
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def main() -> None:
    watched: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line.startswith("+"):
            watched.add(group)
        else:
            watched.discard(group)
    _signal(watched, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_S
    while time.monotonic() < deadline and any(_alive(group) for group in watched):
        time.sleep(0.05)
    _signal(watched, signal.SIGKILL)


if __name__ == "__main__":
    main()
