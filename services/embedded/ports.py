"""Ports of the embedded stack: the given ones, or free ones that are used again at the next start."""

import json
import random
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

from tornio.errors import Conflict

HOST = "127.0.0.1"
# Below the range from which the kernel chooses ports of outgoing connections, so that these do not interfere.
_RANGE = range(20_000, 32_000)
_TRIES = 200


def assign(path: Path, names: Iterable[str], given: Mapping[str, int] | None = None) -> dict[str, int]:
    """Return a port for every name: the given one, the one remembered in `path` if it is free, or another free one.

    No two names get the same port, so assign all that run together in one call. The choice is remembered in `path`,
    which keeps the ports of other names. Raises `Conflict` if a given port is in use, or given twice.
    """
    remembered: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
    given = given or {}
    chosen: dict[str, int] = {}
    for name, port in given.items():
        if port in chosen.values():
            raise Conflict(f"Port {port} is given twice, once for {name}. Give each part a port of its own.")
        if not is_free(port):
            raise Conflict(f"Port {port} for {name} is in use on {HOST}. Give another port, or none to use a free one.")
        chosen[name] = port
    for name in names:
        if name not in chosen:
            others = {*chosen.values(), *(port for other, port in remembered.items() if other != name)}
            before = remembered.get(name, 0)
            keep = before and before not in chosen.values() and is_free(before)
            chosen[name] = before if keep else _free(others)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**remembered, **chosen}, indent=2))
    return chosen


def is_free(port: int) -> bool:
    """Whether this port of the loopback interface can be bound now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _free(avoid: set[int]) -> int:
    for port in random.sample(_RANGE, _TRIES):
        if port not in avoid and is_free(port):
            return port
    raise Conflict(f"No port between {_RANGE.start} and {_RANGE.stop} on {HOST} is free. End programs that use them.")
