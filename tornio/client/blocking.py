"""Methods of ``Client`` made of those of ``AsyncClient``: the same names, arguments, results, errors and docstrings."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from tornio.client.wire import finished

P = ParamSpec("P")
R = TypeVar("R")


class Blocks(Protocol):
    """A client whose operations run over a ``BlockingWire``."""

    @property
    def _operations(self) -> Any: ...


def blocking(
    method: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[Blocks, P], R]:
    """Return a method that does what a coroutine method does, and returns when it is done."""

    @wraps(method)
    def call(self: Blocks, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return finished(method(self._operations, *args, **kwargs))

    return call


def blocking_each(
    method: Callable[Concatenate[Any, P], AsyncGenerator[R, None]],
) -> Callable[Concatenate[Blocks, P], Iterator[R]]:
    """Return a method that iterates over what an asynchronous generator yields."""

    @wraps(method)
    def call(self: Blocks, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
        return _each(method(self._operations, *args, **kwargs))

    signature = inspect.signature(method)
    returns = str(signature.return_annotation).removeprefix("AsyncGenerator[").removesuffix(", None]")
    call.__signature__ = signature.replace(return_annotation=f"Iterator[{returns}]")  # type: ignore[attr-defined]
    return call


def _each(items: AsyncGenerator[R, None]) -> Iterator[R]:
    try:
        while True:
            try:
                item = finished(items.__anext__())
            except StopAsyncIteration:
                return
            yield item
    finally:
        finished(items.aclose())
