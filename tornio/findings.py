"""The result of a check of a machine or of a deployment."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    NOTE = "note"
    """It may be as it is wanted. It does not count as an error."""
    UNKNOWN = "unknown"
    """It could not be checked."""
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of a check. ``todo``: what to do about it; empty if nothing needs to be done."""

    level: Level
    what: str
    found: str
    todo: str = ""


def ok(what: str, found: str) -> Finding:
    return Finding(Level.OK, what, found)


def note(what: str, found: str, todo: str) -> Finding:
    return Finding(Level.NOTE, what, found, todo)


def unknown(what: str, found: str, todo: str) -> Finding:
    return Finding(Level.UNKNOWN, what, found, todo)


def missing(what: str, found: str, todo: str) -> Finding:
    return Finding(Level.MISSING, what, found, todo)
