"""All versions, what became of each, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from services.gateway.page.charts import range_bar
from services.gateway.page.gather import TaskPage
from services.gateway.page.words import Judged, judged
from tornio.api import TaskStatus, VersionOut
from tornio.metricnames import shown

_CANNOT_SERVE = frozenset({"serving", "loading", "unjudged", "failed"})
"""States of versions that nobody can promote, or that serve already."""
SHOWN = 10
"""Most versions that are shown at once."""
_TONES = {"serving": "good", "refused": "bad", "failed": "bad", "held": "warn", "on trial": "busy", "loading": "busy"}


@dataclass(frozen=True, slots=True)
class VersionRow:
    version: VersionOut
    tone: str
    scores: Sequence[Judged]
    bar: Markup | None

    @property
    def may_serve(self) -> bool:
        """Whether a person may promote it."""
        return self.version.state not in _CANNOT_SERVE


@dataclass(frozen=True, slots=True)
class History:
    """``status``: None if it could not be read."""

    rows: Sequence[VersionRow]
    metric: str
    status: TaskStatus | None
    shown: int = SHOWN


def show(page: TaskPage) -> History | None:
    """Return the versions, newest first; None if the caller may not see them. Raises PartUnread."""
    if page.versions.hidden:
        return None
    found = page.versions.get()
    metric = shown(found[0].metric) if found else ""
    return History([_row(one) for one in found], metric, page.status)


def _row(version: VersionOut) -> VersionRow:
    score = version.score
    return VersionRow(
        version,
        _TONES.get(version.state, "quiet"),
        list(judged(version)),
        None if score is None else range_bar(score, version.interval),
    )
