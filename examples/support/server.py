"""Run ``tornio up`` and the other commands as a user types them."""

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
    """The demo cannot continue; the message gives the reason."""


@dataclass(frozen=True)
class Server:
    """The addresses of `tornio up`, its API key, and the key of Argilla's owner."""

    url: str
    argilla_url: str
    api_key: str = field(repr=False)
    owner_key: str = field(repr=False)


@contextmanager
def tornio_up(state: Path, console: Console) -> Iterator[Server]:
    """Run ``tornio up`` in a process of its own until the block ends, for whatever reason. Raises DemoFailed."""
    console.print(f"\n[bold cyan]$ tornio up --state {state}[/]")
    session = state / "session.json"
    stale = _stamp(session)  # left by a killed server
    # A process session of its own: Ctrl-C only reaches this script, which then ends the server.
    process = subprocess.Popen([*TORNIO, "up", "--state", str(state)], start_new_session=True)
    try:
        deadline = time.monotonic() + START_S
        while _stamp(session) in (None, stale):
            if process.poll() is not None:
                raise DemoFailed("`tornio up` has ended. The reason is above.")
            if time.monotonic() > deadline:
                raise DemoFailed(f"`tornio up` did not serve within {START_S:.0f} s. Its logs are in {state}/logs.")
            time.sleep(0.2)
        values = json.loads(session.read_text())
        credentials = json.loads((state / "credentials.json").read_text())
        yield Server(values["url"], values["argilla_url"], values["api_key"], credentials["argilla_api_key"])
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
        with suppress(KeyboardInterrupt, subprocess.TimeoutExpired):  # a second Ctrl-C does not end it sooner
            process.wait(1.0)
    if process.poll() is None:
        process.kill()


def command(server: Server, console: Console, *args: str) -> None:
    """Run a command as a user types it, with its output. Raises DemoFailed."""
    shown = " ".join(f'"{arg}"' if " " in arg else arg for arg in args)
    console.print(f"[bold cyan]$ tornio {shown}[/]", highlight=False)
    known = {"TORNIO_URL": server.url, "TORNIO_API_KEY": server.api_key}
    done = subprocess.run([*TORNIO, *args], env={**os.environ, **known}, check=False)
    if done.returncode:
        raise DemoFailed(f"`tornio {shown}` ended with exit code {done.returncode}. The reason is above.")
