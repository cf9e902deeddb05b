"""Print what a check has found, and the exit code that follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tornio.cli import screen
from tornio.findings import Finding, Level

UNCHECKED = 3
"""The exit code if nothing was found to be wrong, but something could not be checked."""
_SHOWN = {
    Level.OK: ("ok", "green"),
    Level.NOTE: ("note", "cyan"),
    Level.UNKNOWN: ("?", "yellow"),
    Level.MISSING: ("missing", "red"),
}


def say(finding: Finding) -> None:
    """Print a finding, with what to do about it."""
    word, colour = _SHOWN[finding.level]
    screen.say(screen.Text.assemble((f"{word:<8}", colour), (finding.what, "bold"), f": {finding.found}"))
    if finding.todo:
        screen.say(f"         -> {finding.todo}")


def as_json(findings: Iterable[Finding]) -> list[dict[str, str]]:
    return [{"level": one.level, "what": one.what, "found": one.found, "todo": one.todo} for one in findings]


def exit_code(findings: Sequence[Finding]) -> int:
    """Return 0 if all is right, 1 if something is missing, and 3 if something could not be checked."""
    levels = {finding.level for finding in findings}
    if Level.MISSING in levels:
        return 1
    return UNCHECKED if Level.UNKNOWN in levels else 0
