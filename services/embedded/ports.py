"""Ports of the embedded stack: given, or free ones, and the same again at the next start."""

import json
import random
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

from tornio.errors import Conflict

HOST = "127.0.0.1"
# Below the range from which the kernel takes ports for outgoing connections, so that none of those is in our way.
_RANGE = range(20_000, 32_000)
_TRIES = 200


def assign(path: Path, names: Iterable[str], given: Mapping[str, int] | None = None) -> dict[str, int]:
    """A port for every name: the given one, else the one remembered in `path` if it is free, else a free one.

    No two names get the same: assign all that run together in one call. The choice is remembered in `path`
    (names of others stay there). Raises `Conflict` if a given port is taken, or given twice.
    """
    remembered: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
    given = given or {}
    chosen: dict[str, int] = {}
    for name, asked in given.items():
        if asked in chosen.values():
            raise Conflict(f"Port {asked} is given twice, once for {name}: give each part a port of its own.")
        if not is_free(asked):
            raise Conflict(f"Port {asked} for {name} is taken on {HOST}: give another one, or none for a free one.")
        chosen[name] = asked
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
    raise Conflict(f"No free port between {_RANGE.start} and {_RANGE.stop} on {HOST}: end what holds them.")
