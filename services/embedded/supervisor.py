"""The child processes of one `tornio up`: each is started with a log file, and all are watched and ended together.

They end for three reasons: `Supervisor.stop`, the death of one of them during the start (`check` reports which and why;
later, `revival` starts it again), and the death of the parent, even by SIGKILL (see `guard`). Every child leads a
process group of its own. So a Ctrl-C in the terminal only reaches the parent, which then ends the children in order.
SIGTERM does the same (see `interrupts`).
"""

import contextlib
import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import psutil

from services.embedded import guard
from services.embedded.interrupts import Interrupts
from tornio.errors import Conflict, Unavailable

log = logging.getLogger(__name__)
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
_LOG_TAIL_LINES = 20
LOCK_FILE = "lock"
"""In the state folder. The client looks into it, too."""


class ChildDied(Unavailable):
    """A process of the embedded stack ended by itself. The message contains the end of its log."""


@dataclass(frozen=True)
class Program:
    """A program to run.

    `env` is added to a minimal environment (search path, home, locale), so that no child sees another's secrets.
    `grace_s` is how long the program may take to end after SIGTERM before it is killed.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: Path | None = None
    grace_s: float = 10.0


@dataclass(frozen=True)
class Child:
    """A started program. ``prepare`` makes what it is started from once more."""

    program: Program
    prepare: Callable[[], Program]
    process: "subprocess.Popen[bytes]"
    log: Path
    started: float

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def pid(self) -> int:
        return self.process.pid

    def log_tail(self, lines: int = _LOG_TAIL_LINES) -> str:
        """Return the end of the log, for an error message."""
        return tail(self.log, lines)


class Supervisor:
    """Starts programs and ends all of them. A state directory has only one supervisor at a time.

    Raises `Conflict` on entry if another process supervises the same directory. Children that an earlier, killed
    supervisor left behind are ended first, if command line and start time prove that they are its children.
    """

    def __init__(self, state_dir: Path) -> None:
        self._dir = state_dir.resolve()
        self._logs = self._dir / "logs"
        self._record = self._dir / "processes.json"
        self._children: list[Child] = []
        self._lock: IO[str] | None = None
        self._guard: subprocess.Popen[str] | None = None
        self._interrupts = Interrupts()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def children(self) -> tuple[Child, ...]:
        return tuple(self._children)

    def open(self) -> None:
        """Lock the state directory, end what a killed predecessor left, and start the guard.

        From now on until `stop`, Ctrl-C and SIGTERM raise `KeyboardInterrupt`.
        """
        self._dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._dir.chmod(0o700)  # also an existing one, as its databases hold users' keys
        self._logs.mkdir(exist_ok=True)
        self._lock = _take_lock(self._dir / LOCK_FILE)
        self._interrupts.catch()
        end_stale(self._record)
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__],
            stdin=subprocess.PIPE,
            text=True,
            bufsize=1,
            start_new_session=True,
        )

    def start(self, what: Program | Callable[[], Program]) -> Child:
        """Start a program. Its output goes to ``logs/NAME.log``; the previous log becomes ``NAME.log.1``.

        A callable prepares what the program needs, and does so again when it is started again. Raises OSError if the
        program cannot be started, and then nothing has been.
        """
        program = what if isinstance(what, Program) else what()
        log = self._logs / f"{program.name}.log"
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        inherited = {key: os.environ[key] for key in _INHERITED if key in os.environ}
        with self._interrupts.deferred(), log.open("wb") as output:  # no child is started and not known
            process = subprocess.Popen(
                program.argv,
                env={**inherited, "PYTHONUNBUFFERED": "1", **program.env},
                cwd=program.cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            prepare = (lambda: program) if isinstance(what, Program) else what
            child = Child(program, prepare, process, log, time.monotonic())
            self._children.append(child)
            self._send_to_guard(f"+{process.pid}")
            self._write_record()
        return child

    def check(self) -> None:
        """Raise `ChildDied` if any child has ended, and `KeyboardInterrupt` if a Ctrl-C or SIGTERM arrived."""
        self.interrupted()
        for child in self.ended():
            raise ChildDied(f"{self.how_it_ended(child)} The end of its log, {child.log}:\n{child.log_tail()}")

    def interrupted(self) -> None:
        """Raise `KeyboardInterrupt` if a Ctrl-C or SIGTERM arrived."""
        self._interrupts.check()

    def ended(self) -> list[Child]:
        """Return the children that have ended by themselves."""
        return [child for child in self._children if child.process.poll() is not None]

    @staticmethod
    def how_it_ended(child: Child) -> str:
        """Return a sentence about a child that has ended."""
        how = _how_it_ended(child.process.wait())
        return f"{child.name} {how} {time.monotonic() - child.started:.0f} s after its start."

    def bury(self, child: Child) -> None:
        """End what a child that has ended left in its process group. It is not watched any longer."""
        self._reap(child)
        self._children.remove(child)
        self._write_record()

    @staticmethod
    def keep_log(child: Child) -> Path:
        """Set the log of a child that has ended aside, where only a further call replaces it. Returns its path."""
        kept = child.log.with_suffix(".log.died")
        with contextlib.suppress(FileNotFoundError):  # somebody removed it
            child.log.replace(kept)
        return kept

    def wait_ready(self, child: Child, ready: Callable[[], bool], timeout_s: float) -> None:
        """Wait until `ready()`. Raises `ChildDied` if any child ends, `Unavailable` after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while True:
            self.check()
            if ready():
                return
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"{child.name} was not ready after {timeout_s:.0f} s. This machine may be very busy. "
                    f"The end of its log, {child.log}:\n{child.log_tail()}"
                )
            time.sleep(0.05)

    def end(self, child: Child) -> None:
        """End one child and no other: SIGTERM, the grace period, SIGKILL. It is not watched any longer."""
        _signal_group(child.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.process.wait(child.program.grace_s)
        self.bury(child)

    def stop(self) -> None:
        """End all children, the last one first: SIGTERM, the grace period, SIGKILL. May be called again."""
        try:
            for child in reversed(self._children):
                _signal_group(child.pid, signal.SIGTERM)
            for child in reversed(self._children):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.process.wait(child.program.grace_s)
        finally:  # a second Ctrl-C only shortens the grace period
            for child in self._children:
                self._reap(child)
            self._children.clear()
            self._close()

    def _reap(self, child: Child) -> None:
        _signal_group(child.pid, signal.SIGKILL)  # also processes that a child left in its group
        child.process.wait()
        self._send_to_guard(f"-{child.pid}")

    def _close(self) -> None:
        if self._lock is None:
            return
        self._record.unlink(missing_ok=True)
        if self._guard is not None and self._guard.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._guard.stdin.close()
            self._guard.wait()
            self._guard = None
        self._lock.close()
        self._lock = None
        self._interrupts.release()

    def _send_to_guard(self, line: str) -> None:
        if self._guard is not None and self._guard.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # a killed guard does no harm
                self._guard.stdin.write(line + "\n")

    def _write_record(self) -> None:
        rows = [
            {"pid": child.pid, "argv": list(child.program.argv), "started": _start_time(child.pid)}
            for child in self._children
        ]
        written = self._record.with_suffix(".new")
        try:
            written.write_text(json.dumps(rows))
            written.replace(self._record)
        except OSError as error:  # the guard does not need it
            log.warning("%s cannot be written (%s). All programs go on.", self._record, error)


def end_stale(record: Path) -> list[int]:
    """End the children that a killed supervisor recorded in `record`, if they are surely those. Returns their pids."""
    if not record.exists():
        return []
    ended = []
    for row in json.loads(record.read_text() or "[]"):
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(row["pid"])
            same_start = row["started"] is not None and abs(process.create_time() - row["started"]) < 1
            if same_start and process.cmdline() == row["argv"]:
                _signal_group(process.pid, signal.SIGKILL)
                process.wait(5)
                ended.append(process.pid)
    record.unlink()
    return ended


def tail(path: Path, lines: int = _LOG_TAIL_LINES) -> str:
    """Return the last lines of a file, indented, or a note that there are none."""
    if not path.exists():
        return "    (there is no log)"
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 64 * 1024))
        text = file.read().decode("utf-8", errors="replace")
    last = text.rstrip().splitlines()[-lines:]
    return "\n".join(f"    {line}" for line in last) or "    (the log is empty)"


def _take_lock(path: Path) -> IO[str]:
    lock = path.open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise Conflict(
            f"Tornio already runs with the state folder {path.parent} (process {holder}), and all commands can use it. "
            "To start it anew, stop that process first. To run another one beside it, give `tornio up` another --state."
        ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _start_time(pid: int) -> float | None:
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None


def _how_it_ended(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
