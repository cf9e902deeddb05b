"""What installed packages do to a live text before it may be stored.

A package brings a function from a text to a text, or to None for a text that must not be kept::

    [project.entry-points."tornio.redaction"]
    names = "my_package.module:without_names"

Every function that is installed applies to every text, in the order of their names. A function that cannot be used, or
that raises, drops the text: no text is stored that has not passed all of them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

log = logging.getLogger(__name__)

GROUP = "tornio.redaction"


class CannotRedact(Exception):
    """A function failed, so the text must be dropped. It carries no text."""


class Redaction:
    """The functions of a process. Each is imported when the first text comes. For one thread at a time."""

    def __init__(self, points: Iterable[EntryPoint] = ()) -> None:
        self._points = sorted(points, key=lambda point: (point.name, point.value))
        self._logged: set[str] = set()

    @classmethod
    def installed(cls) -> Redaction:
        """Return what the packages of this process bring."""
        return cls(entry_points(group=GROUP))

    def clean(self, text: str) -> str | None:
        """Return the text that may be kept; None if nothing may. Raises CannotRedact."""
        for point in self._points:
            try:
                cleaned = point.load()(text)
                if cleaned is not None and not isinstance(cleaned, str):
                    raise TypeError("neither a text nor None")
            except Exception as error:  # noqa: BLE001 - whatever somebody else's function does
                self._report(point, error)
                raise CannotRedact from None  # the error may show the text
            if cleaned is None:
                return None
            text = cleaned
        return text

    def _report(self, point: EntryPoint, error: Exception) -> None:
        """Log once for each function, without the error's message: it may have the text in it."""
        if point.name not in self._logged:
            self._logged.add(point.name)
            log.error(
                "The redaction %r (%s) failed with %s, so live texts are dropped. Correct it, or remove its package.",
                point.name,
                point.value,
                type(error).__name__,
            )
