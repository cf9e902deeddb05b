"""Where a request is routed to, found before it is routed, and whether that is the web page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import routing
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

_each_route: Callable[[list[BaseRoute]], Any] = getattr(routing, "iter_route_contexts", iter)
"""Newer FastAPI keeps an included router as one entry of an app's routes; this lists the routes in it, in order."""


E = TypeVar("E")
_PAGE = "of_page"


def of_page(endpoint: E) -> E:
    """Mark an endpoint as part of the web page: its routes take a session in a cookie, and show errors to people."""
    setattr(endpoint, _PAGE, True)
    return endpoint


def is_marked_page(endpoint: object) -> bool:
    """Whether ``of_page`` marked the endpoint."""
    return getattr(endpoint, _PAGE, False) is True


def app_path(scope: Scope) -> str:
    """Return the request's path in the app, without the prefix that the app is mounted at."""
    path = str(scope["path"])
    root = str(scope.get("app_root_path", scope.get("root_path", "")))  # a mount in the app changes root_path
    return path.removeprefix(root) if path.startswith(f"{root}/") else path


def methods(routes: list[BaseRoute], scope: Scope) -> list[str]:
    """Return the methods that the app's routes know at the path of this request."""
    known: set[str] = set()
    for route in _each_route(routes):
        if route.matches(scope)[0] is not Match.NONE:
            known |= getattr(route, "methods", None) or set()
    return sorted(known | ({"HEAD"} if "GET" in known else set()))


def endpoint(routes: list[BaseRoute], scope: Scope) -> object | None:
    """Return what the app's router will call for this request: an endpoint, or the app of a mount.

    The router takes the first route that matches, else the first one that matches but for the method, which then
    answers 405. None means that no route matches.
    """
    other_method: object | None = None
    for route in _each_route(routes):
        match, child_scope = route.matches(scope)
        target: object | None = child_scope.get("endpoint")
        if match is Match.FULL:
            return target
        if match is Match.PARTIAL and other_method is None:
            other_method = target
    return other_method
