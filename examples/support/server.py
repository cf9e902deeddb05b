"""``tornio up`` and the other commands, as a user types them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from tornio.errors import TornioError

TORNIO = (sys.executable, "-m", "tornio")
START_S, END_S = 300.0, 90.0


class DemoFailed(TornioError):
    """The demo cannot go on; the reason is what it says."""


@dataclass(frozen=True)
class Server:
    """Where `tornio up` serves, and the key of Argilla's owner."""

    url: str
    argilla_url: str
    owner_key: str = field(repr=False)


@contextmanager
def tornio_up(state: Path, console: Console) -> Iterator[Server]:
    """``tornio up`` as a process of its own, until the block ends, however it ends. Raises DemoFailed."""
    console.print(f"\n[bold cyan]$ tornio up --state {state}[/]")
    session = state / "session.json"
    stale = _stamp(session)  # of one that was killed
    # A session of its own: Ctrl-C reaches this script alone, which ends the server in its own time.
    process = subprocess.Popen([*TORNIO, "up", "--state", str(state)], start_new_session=True)
    try:
        deadline = time.monotonic() + START_S
        while _stamp(session) in (None, stale):
            if process.poll() is not None:
                raise DemoFailed("`tornio up` ended; it says why above")
            if time.monotonic() > deadline:
                raise DemoFailed(f"`tornio up` did not serve within {START_S:.0f} s; its logs are in {state}/logs")
            time.sleep(0.2)
        told = json.loads(session.read_text())
        credentials = json.loads((state / "credentials.json").read_text())
        yield Server(told["url"], told["argilla_url"], credentials["argilla_api_key"])
    finally:
        _end(process)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + END_S
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(KeyboardInterrupt, subprocess.TimeoutExpired):  # a second Ctrl-C ends nothing sooner
            process.wait(1.0)
    if process.poll() is None:
        process.kill()


def command(server: Server, console: Console, *args: str) -> None:
    """A command as a user types it; its output is shown. Raises DemoFailed."""
    shown = " ".join(f'"{arg}"' if " " in arg else arg for arg in args)
    console.print(f"[bold cyan]$ tornio {shown}[/]", highlight=False)
    done = subprocess.run([*TORNIO, *args], env={**os.environ, "TORNIO_URL": server.url}, check=False)
    if done.returncode:
        raise DemoFailed(f"`tornio {shown}` ended with {done.returncode}; it says why above")
