"""Tables of entries that may be added: the built-in ones, and those that installed packages bring.

A package adds an entry under a name through an entry point, for example in its ``pyproject.toml``::

    [project.entry-points."tornio.query_strategies"]
    my-strategy = "my_package.module:STRATEGY"
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from tornio.errors import InvalidSpec, MissingPlugin

T = TypeVar("T")
S = TypeVar("S", bound=BaseModel)


class Table(Generic[T]):
    """Entries by name. A built-in entry is never replaced by a package's entry of the same name.

    Looking at names imports nothing. A package's entry is imported when it is asked for, which happens only where a
    spec names it.
    """

    def __init__(self, what: str, group: str, entry: type[T], built_in: Mapping[str, T]) -> None:
        """``what``: what an entry is, for messages. ``group``: entry-point group. ``entry``: class of the entries."""
        self.what = what
        self.group = group
        self._entry = entry
        self._built_in = built_in
        self._imported: dict[str, T] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names to choose from: the built-in ones, then those of installed packages."""
        return (*self._built_in, *(name for name in sorted(self._points()) if name not in self._built_in))

    def __contains__(self, name: object) -> bool:
        return name in self._built_in or name in self._points()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def check(self, name: str, where: str) -> None:
        """Raise InvalidSpec where no entry has this name. ``where``: the field of the spec that names it."""
        if name not in self:
            close = get_close_matches(name, self.names, 1)
            guess = f" Did you mean {close[0]!r}?" if close else ""
            choices = ", ".join(self.names)
            raise InvalidSpec(f"{where}: there is no {self.what} {name!r}. Choose one of: {choices}.{guess}")

    def get(self, name: str) -> T:
        """Return the entry of this name.

        Raises MissingPlugin where there is none on this machine, or where its package cannot be imported or does not
        hold such an entry.
        """
        if name in self._built_in:
            return self._built_in[name]
        if name not in self._imported:
            self._imported[name] = self._load(name)
        return self._imported[name]

    def forget(self) -> None:
        """Forget the packages' entries that were imported: for a process in which packages come and go, as in tests."""
        self._imported.clear()

    def _load(self, name: str) -> T:
        point = self._points().get(name)
        if point is None:
            raise MissingPlugin(
                f"there is no {self.what} {name!r} on this machine. There are: {', '.join(self.names)}. Install the "
                "package that brings it on every node, upgrade Tornio, or name another in task.yaml"
            )
        try:
            entry = point.load()
        except Exception as error:  # whatever somebody else's module raises while it is imported
            raise MissingPlugin(
                f"the {self.what} {name!r} ({point.value}) cannot be imported: {type(error).__name__}: {error}"
            ) from error
        if not isinstance(entry, self._entry):
            raise MissingPlugin(
                f"the {self.what} {name!r} ({point.value}) is {type(entry).__name__!r}, and must be a "
                f"{self._entry.__name__}"
            )
        return entry

    def _points(self) -> Mapping[str, EntryPoint]:
        return _entry_points(self.group, tuple(sys.path))


@cache
def _entry_points(group: str, _path: tuple[str, ...]) -> Mapping[str, EntryPoint]:
    """The entry points of a group. They are read once: a process sees a package that was there when it started."""
    return {point.name: point for point in entry_points(group=group)}


def read_settings(model: type[S], values: Mapping[str, Any], where: str) -> S:
    """Check the settings of an entry by its model. ``where``: the field of the spec that has them.

    Raises InvalidSpec, which names each wrong setting.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join((where, *map(str, e['loc'])))}: {e['msg']}" for e in error.errors())
        allowed = ", ".join(model.model_fields) or "none"
        raise InvalidSpec(f"{faults}. Settings that can be given: {allowed}") from error
