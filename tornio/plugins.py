"""Tables of entries that may be added: the built-in ones, and those that installed packages bring.

A package adds an entry under a name through an entry point, for example in its ``pyproject.toml``::

    [project.entry-points."tornio.query_strategies"]
    my-strategy = "my_package.module:STRATEGY"
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from tornio.errors import InvalidInput, MissingPlugin

T = TypeVar("T")


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
        """Raise InvalidInput where no entry has this name. ``where``: the field of the spec that names it."""
        if name not in self:
            raise InvalidInput(f"{where}: there is no {self.what} {name!r}. Choose one of: {', '.join(self.names)}")

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

    def _points(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=self.group)}
