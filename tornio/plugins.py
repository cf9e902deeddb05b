"""Tables of entries that may be added: the built-in ones, and those that installed packages bring.

A package adds an entry under a name through an entry point, for example in its ``pyproject.toml``::

    [project.entry-points."tornio.query_strategies"]
    my-strategy = "my_package.module:STRATEGY"
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from tornio.errors import InvalidSpec, MissingPlugin, describe
from tornio.spec.base import NAME_PATTERN

T = TypeVar("T")
S = TypeVar("S", bound=BaseModel)


def late(module: str, function: str) -> Callable[..., Any]:
    """Return a function that imports the module when it is called, and calls the module's function.

    The module may need torch, which costs seconds and memory. Whoever only looks at a table must not load it.
    """

    def call(*args: Any) -> Any:
        return getattr(import_module(module), function)(*args)

    return call


class Table(Generic[T]):
    """Entries by name. A built-in entry is never replaced by a package's entry of the same name.

    Looking at names imports nothing. A package's entry is imported when it is asked for, which happens only where a
    spec names it.
    """

    def __init__(
        self, what: str, group: str, entry: type[T], built_in: Mapping[str, T], reserved: Collection[str] = ()
    ) -> None:
        """``what``: what an entry is, for messages. ``group``: entry-point group. ``entry``: class of the entries.

        ``reserved``: further names that no package's entry may have, such as those of another table of the group.
        """
        self.what = what
        self.group = group
        self._entry = entry
        self._built_in = built_in
        self._reserved = frozenset(reserved) | built_in.keys()
        self._imported: dict[str, T] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names to choose from: the built-in ones, then those of installed packages."""
        return (*self._built_in, *sorted(self._points()))

    def __contains__(self, name: object) -> bool:
        return name in self._built_in or name in self._points()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def check(self, name: str, where: str) -> None:
        """Raise InvalidSpec where no entry has this name. ``where``: the field of the spec that names it."""
        check_choice(name, self.names, self.what, where)

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
            entry: T = point.load()
            fits = isinstance(entry, self._entry) and issubclass(entry.settings, BaseModel)  # type: ignore[attr-defined]
        except (Exception, SystemExit) as error:  # whatever somebody else's module does while it is imported
            raise MissingPlugin(
                f"the {self.what} {name!r} ({point.value}) cannot be used: {describe(error)}"
            ) from error
        if isinstance(entry, type) or not fits:
            raise MissingPlugin(
                f"the {self.what} {name!r} ({point.value}) must be an instance of {self._entry.__name__}, with a model "
                "of its settings"
            )
        return entry

    def _points(self) -> Mapping[str, EntryPoint]:
        points = _entry_points(self.group, tuple(sys.path))
        return {name: point for name, point in points.items() if name not in self._reserved}


@cache
def _entry_points(group: str, _path: tuple[str, ...]) -> Mapping[str, EntryPoint]:
    """The entry points of a group whose names a spec can hold.

    They are read once: a process sees the packages that were installed when it started.
    """
    points = entry_points(group=group)
    return {point.name: point for point in points if re.fullmatch(NAME_PATTERN, point.name)}


def check_choice(name: str, names: Sequence[str], what: str, where: str) -> None:
    """Raise InvalidSpec where ``name`` is not among ``names``, with what there is to choose from.

    ``what``: what a name stands for. ``where``: the field of the spec that has it.
    """
    if name not in names:
        close = get_close_matches(name, names, 1)
        guess = f" Did you mean {close[0]!r}?" if close else ""
        raise InvalidSpec(f"{where}: there is no {what} {name!r}. Choose one of: {', '.join(names)}.{guess}")


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
