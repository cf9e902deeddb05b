"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    UNKNOWN = "unknown"
    """It could not be looked at, or may be right: nothing to stop for."""
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Finding:
    """``todo``: what to do; empty where all is well."""

    level: Level
    what: str
    found: str
    todo: str = ""


def ok(what: str, found: str) -> Finding:
    return Finding(Level.OK, what, found)


def unknown(what: str, found: str, todo: str) -> Finding:
    return Finding(Level.UNKNOWN, what, found, todo)


def missing(what: str, found: str, todo: str) -> Finding:
    return Finding(Level.MISSING, what, found, todo)
