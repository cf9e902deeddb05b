"""Every ``tornio up`` of this user that runs on this machine, so that a command finds it from any folder.

Each has a JSON file (mode 0600) in ``$XDG_STATE_HOME/tornio/stacks``, or ``~/.local/state/tornio/stacks``, with its
state folder, its process id, and when that process started. Addresses and keys stay in the state folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from tornio.storage.files import appearing

STATE_HOME_VARIABLE = "XDG_STATE_HOME"
_SYSTEM = Path("/proc")


@contextmanager
def registered(
    state: Path, complain: Callable[[str], None], environ: Mapping[str, str] = os.environ, pid: int | None = None
) -> Iterator[None]:
    """Other commands find the stack of this state folder while the block runs.

    ``pid``: its process, by default this one. ``complain`` gets a line if the file cannot be written. The stack then
    runs all the same, and commands in its own folder find it.
    """
    pid = pid or os.getpid()
    state = state.resolve()
    try:
        folder = _folder(environ)
        _remove_stale(folder)
        path = folder / f"{sha256(os.fsencode(state)).hexdigest()[:16]}.json"
        with appearing(path) as part:  # readable by its owner alone
            part.write_text(json.dumps({"state": str(state), "pid": pid, "started": _started(pid)}), "utf-8")
    except (OSError, RuntimeError) as error:
        complain(f"Commands in other folders do not find this Tornio, because its file cannot be written: {error}")
        yield
        return
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def running(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Return the state folders of all stacks whose process runs, in the order of their names."""
    try:
        files = sorted(_folder(environ).glob("*.json"))
    except (OSError, RuntimeError):
        return []  # without a readable folder, no stack has registered there
    return sorted(state for path in files if (state := _living(path)) is not None)


def _folder(environ: Mapping[str, str]) -> Path:
    """Raises RuntimeError if the user has no home."""
    named = Path(environ.get(STATE_HOME_VARIABLE) or "")
    home = named if named.is_absolute() else Path.home() / ".local" / "state"  # the standard ignores relative paths
    return home / "tornio" / "stacks"


def _remove_stale(folder: Path) -> None:
    for path in folder.glob("*.json"):
        if _living(path) is None:
            path.unlink(missing_ok=True)


def _living(path: Path) -> Path | None:
    """The state folder that a file names; None if its process has ended, or if the file is damaged."""
    try:
        values = json.loads(path.read_text("utf-8"))
        state, pid, started = Path(values["state"]), int(values["pid"]), values["started"]
        os.kill(pid, 0)
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None
    return state if started == _started(pid) else None


def _started(pid: int) -> str | None:
    """When a process started, in a form that no other process with this id has. None where the system does not say."""
    try:
        boot = (_SYSTEM / "sys/kernel/random/boot_id").read_text("ascii").strip()
        fields = (_SYSTEM / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        return f"{boot}/{fields[19]}"  # field 22 of the line; the name before the bracket may contain spaces
    except (OSError, IndexError):
        return None
