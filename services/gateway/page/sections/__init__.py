"""The sections of a task's page: pure functions from the answers of the API to what a template shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from services.gateway.page.gather import PartUnread, TaskPage
from services.gateway.page.sections import (
    automatic,
    batches,
    changes,
    classes,
    curve,
    drift,
    labels,
    replicas,
    runs,
    savings,
    standing,
    suspicious,
    swaps,
    versions,
)


@dataclass(frozen=True, slots=True)
class Section:
    """A section as it is shown: its ``content``, or why it cannot be read now (``trouble``).

    ``name``: the id of its heading; the template is ``task/NAME.html.j2``.
    """

    name: str
    title: str
    content: object
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class _Entry:
    """``show`` returns what the section shows, or None where there is nothing to show. It raises PartUnread."""

    name: str
    title: str
    show: Callable[[TaskPage], object]


_TABLE = (
    _Entry("standing", "How it stands", standing.show),
    _Entry("curve", "Learning curve", curve.show),
    _Entry("batches", "Annotation", batches.show),
    _Entry("savings", "Labels saved", savings.show),
    _Entry("labels", "Labels", labels.show),
    _Entry("classes", "Scores by label", classes.show),
    _Entry("changes", "What changed between two versions", changes.show),
    _Entry("versions", "Versions", versions.show),
    _Entry("automatic", "Automatic labels", automatic.show),
    _Entry("drift", "Live texts", drift.show),
    _Entry("suspicious", "Most suspicious labels", suspicious.show),
    _Entry("runs", "Runs", runs.show),
    _Entry("swaps", "Swaps", swaps.show),
    _Entry("replicas", "Replicas", replicas.show),
)
"""In their order on the page. A new section is entered here, and has a template of its name."""


def sections(page: TaskPage) -> Iterator[Section]:
    """Yield what there is to show, in the order of the page."""
    for entry in _TABLE:
        try:
            content = entry.show(page)
        except PartUnread as unread:
            yield Section(entry.name, entry.title, None, str(unread))
        else:
            if content is not None:
                yield Section(entry.name, entry.title, content)
