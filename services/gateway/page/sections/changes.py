"""What two versions answer differently on the hold-out.

Each version was compared with the one that served when it was judged. Other pairs are compared through the versions in
between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from services.gateway.page.gather import TaskPage
from tornio.api import ChangedAnswer, VersionOut

SHOWN = 25
"""Most answers that are shown at once."""
LISTED = 100
"""How many changed answers the API lists of a version at most."""
_ORDER = {"worse": 0, "better": 1, "other": 2}


@dataclass(frozen=True, slots=True)
class Difference:
    """``verdict``: better, worse, or other where neither answer is right."""

    answer: ChangedAnswer
    verdict: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What ``after`` answers otherwise than ``before``. ``versions``: those that can be chosen, newest first.

    ``why_not``: why the two cannot be compared. ``through``: versions in between. ``cut``: whether a list on the way
    had its greatest length, so that more may differ.
    """

    versions: Sequence[VersionOut]
    before: str | None
    after: str
    differences: Sequence[Difference]
    counts: Mapping[str, int]
    why_not: str | None = None
    through: Sequence[str] = ()
    cut: bool = False
    shown: int = SHOWN


def show(page: TaskPage) -> Changes | None:
    """Return what differs between the chosen versions, by default the newest one and the one that it was compared with.

    None before there are two versions. Raises PartUnread.
    """
    if page.versions.hidden:
        return None
    by_name = {one.version: one for one in page.versions.get()}
    if len(by_name) < 2:
        return None
    chosen = by_name.get(page.choice.after or "") or _default(list(by_name.values()))
    before = page.choice.before if page.choice.before in by_name else chosen.compared_with
    versions = list(by_name.values())
    if before is None or before == chosen.version:
        why = "Choose two different versions." if before else _UNKNOWN
        return Changes(versions, before, chosen.version, [], {}, why_not=why)
    found = _between(before, chosen.version, by_name)
    if found is None:
        return Changes(versions, before, chosen.version, [], {}, why_not=_APART)
    steps, answers = found
    differences = sorted((_judged(one) for one in answers), key=lambda one: _ORDER[one.verdict])
    return Changes(
        versions,
        before,
        chosen.version,
        differences,
        {name: sum(one.verdict == name for one in differences) for name in _ORDER},
        through=[name for name in steps if name not in (before, chosen.version)],
        cut=any(len(by_name[name].changed) >= LISTED for name in steps),
    )


_UNKNOWN = "It is not known which version this one was compared with. Choose the version before it."
_APART = "These two versions were never compared with each other, nor each with a third one. Choose others."


def _default(versions: Sequence[VersionOut]) -> VersionOut:
    """Return the newest version that was compared with another one."""
    return next((one for one in versions if one.compared_with), versions[0])


def _between(
    before: str, after: str, by_name: Mapping[str, VersionOut]
) -> tuple[Sequence[str], Sequence[ChangedAnswer]] | None:
    """Return the versions whose comparisons were used, and what differs. None without a version that both go back to.

    Both chains go back to a version whose answers are taken as the same for both.
    """
    own, others = list(_chain(after, by_name)), list(_chain(before, by_name))
    root = next((name for name in own if name in others), None)
    if root is None:
        return None
    new, old = own[: own.index(root)], others[: others.index(root)]
    came, was = _moves(new, by_name), _moves(old, by_name)
    found = []
    for record in dict.fromkeys([*came, *was]):
        move = came.get(record) or was[record]
        root_said = move.first.before
        said = {
            "before": was[record].last.after if record in was else root_said,
            "after": came[record].last.after if record in came else root_said,
        }
        if set(said["before"]) != set(said["after"]):
            found.append(move.last.model_copy(update=said))
    return [*new, *old], found


@dataclass(frozen=True, slots=True)
class _Move:
    """The first and the last change of the answer to a record, on the way from one version to another."""

    first: ChangedAnswer
    last: ChangedAnswer


def _chain(version: str, by_name: Mapping[str, VersionOut]) -> Iterator[str]:
    """Yield the version, the one that it was compared with, and so on."""
    seen: set[str] = set()
    name: str | None = version
    while name is not None and name not in seen:
        seen.add(name)
        yield name
        name = by_name[name].compared_with if name in by_name else None


def _moves(steps: Sequence[str], by_name: Mapping[str, VersionOut]) -> dict[str, _Move]:
    """Return how the answer to each record moved. ``steps``: newest first."""
    found: dict[str, _Move] = {}
    for name in reversed(steps):
        for answer in by_name[name].changed:
            before = found.get(answer.record_id)
            found[answer.record_id] = _Move(before.first if before else answer, answer)
    return found


def _judged(answer: ChangedAnswer) -> Difference:
    right = set(answer.label)
    verdict = "better" if set(answer.after) == right else "worse" if set(answer.before) == right else "other"
    return Difference(answer, verdict)
