"""How errors become HTTP responses: each error gets its status here, and each protocol gives it its own format.

The default format is a problem document of RFC 9457.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import Scope

from services.gateway.paths import app_path, endpoint, is_marked_page, methods
from tornio import errors
from tornio.api import PROBLEM_JSON, FieldError, Problem, problem_type
from tornio.spec.base import PATTERNS
from tornio.spec.limits import cut

log = logging.getLogger(__name__)

STATUS: dict[type[errors.TornioError], HTTPStatus] = {
    errors.Unauthorized: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.ChangeRefused: HTTPStatus.CONFLICT,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Throttled: HTTPStatus.TOO_MANY_REQUESTS,
    errors.TemporaryError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.TornioError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""The status of each error. For an error that is not listed, its nearest listed base class counts."""

_KINDS: dict[int, type[errors.TornioError]] = {
    404: errors.NotFound,
    408: errors.TemporaryError,
    503: errors.Unavailable,
}
"""The error that a client gets for a status of the routing itself. All others are InvalidInput."""
_HEADERS: dict[HTTPStatus, dict[str, str]] = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": "Bearer"},
    HTTPStatus.TOO_MANY_REQUESTS: {"Retry-After": "1"},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "1"},
}
_PATTERNS = {r"\S": "contain at least one character that is not white space"} | {
    pattern: f"be {meaning}" for pattern, meaning in PATTERNS.items()
}
_MOST_ERRORS = 20
"""Most faults of a body that a response lists."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request failed, before a protocol gives it its format. ``detail`` is valid Unicode."""

    kind: type[errors.TornioError]
    status: HTTPStatus
    detail: str
    faults: tuple[FieldError, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, error: errors.TornioError) -> Failure:
        """Return the failure that this error causes."""
        status = status_of(error)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.warning("%s: %s", type(error).__name__, error)
        headers = {"Retry-After": str(math.ceil(error.retry_after))} if isinstance(error, errors.Throttled) else {}
        return cls(type(error), status, errors.storable(str(error)), headers=headers)


ErrorFormat = Callable[[Failure], Response]
"""Writes a failure as a protocol's response. ``Problems`` adds the headers."""
PageFormat = Callable[[Scope, Failure], Response]
"""Shows a person a failure of the request of this ASGI scope."""


def problem_document(failure: Failure) -> Response:
    """Return the failure as a problem document of RFC 9457."""
    problem = Problem(
        type=problem_type(failure.kind),
        title=failure.status.phrase,
        status=failure.status,
        detail=failure.detail,
        errors=list(failure.faults),
    )
    return Response(problem.model_dump_json(), failure.status, media_type=PROBLEM_JSON)


class Problems:
    """Answers every error in the format of the protocol that the request's path belongs to.

    ``formats``: by path prefix. The longest prefix counts; all other paths get problem documents.
    ``page``: for routes of the web page, which has no prefix of its own: their endpoints are marked with ``of_page``.
    """

    def __init__(self, formats: Mapping[str, ErrorFormat] | None = None, page: PageFormat | None = None) -> None:
        self._formats = sorted((formats or {}).items(), key=lambda item: -len(item[0]))
        self._page = page

    def response(self, scope: Scope, failure: Failure) -> Response:
        """Return the response to the request of this ASGI scope, which need not have been routed yet."""
        if self._page is not None and is_marked_page(endpoint(scope["app"].routes, scope)):
            return self._page(scope, failure)
        response = self._format(app_path(scope))(failure)
        response.headers.update({**_HEADERS.get(failure.status, {}), **failure.headers})
        return response

    def install(self, app: FastAPI) -> None:
        """Let the app answer every error that its routes raise."""

        async def on_error(request: Request, error: Exception) -> Response:
            assert isinstance(error, errors.TornioError)
            return self.response(request.scope, Failure.of(error))

        async def on_http(request: Request, error: Exception) -> Response:
            assert isinstance(error, HTTPException)
            return self.response(request.scope, _of_routing(request, error))

        async def on_validation(request: Request, error: Exception) -> Response:
            assert isinstance(error, RequestValidationError)
            return self.response(request.scope, _invalid(error))

        async def on_bug(request: Request, error: Exception) -> Response:
            log.error("%s %s failed", request.method, request.url.path, exc_info=error)
            detail = (
                "An unexpected error happened, and the server's log has the details. Report it to the operator of "
                "this server."
            )
            failure = Failure(errors.TornioError, HTTPStatus.INTERNAL_SERVER_ERROR, detail)
            return self.response(request.scope, failure)

        app.add_exception_handler(errors.TornioError, on_error)
        app.add_exception_handler(HTTPException, on_http)
        app.add_exception_handler(RequestValidationError, on_validation)
        app.add_exception_handler(Exception, on_bug)

    def _format(self, path: str) -> ErrorFormat:
        for prefix, form in self._formats:
            if path == prefix or path.startswith(f"{prefix}/"):
                return form
        return problem_document


def status_of(error: errors.TornioError) -> HTTPStatus:
    """Return the HTTP status of an error."""
    return next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)


def _of_routing(request: Request, error: HTTPException) -> Failure:
    status = HTTPStatus(error.status_code)
    detail, headers = error.detail, dict(error.headers or {})
    if status == HTTPStatus.NOT_FOUND:
        detail = f"The path {cut(request.url.path)} does not exist. /docs lists all paths."
    elif status == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{cut(request.url.path)} knows no {cut(request.method)}. /docs lists the methods of all paths."
        headers["Allow"] = ", ".join(methods(request.app.routes, request.scope))
    kind = _KINDS.get(status, errors.InvalidInput)
    return Failure(kind, status, errors.storable(detail), headers=headers)


def _invalid(error: RequestValidationError) -> Failure:
    found = error.errors()
    listed = tuple(FieldError(where=_place(one["loc"]), message=_message(one)) for one in found[:_MOST_ERRORS])
    detail = "; ".join(f"{fault.where}: {fault.message}" for fault in listed[:3])
    if len(found) > 3:
        detail += f"; and {len(found) - 3} more"
    return Failure(errors.InvalidInput, HTTPStatus.UNPROCESSABLE_ENTITY, errors.storable(detail), listed)


def _place(loc: tuple[str | int, ...]) -> str:
    return errors.storable(cut(".".join(str(step) for step in loc)))


def _message(fault: Mapping[str, object]) -> str:
    """Return pydantic's message, with the value that was found if it is short."""
    if fault["type"] == "json_invalid":
        context = fault.get("ctx")
        return errors.storable(f"not JSON: {context.get('error') if isinstance(context, dict) else fault['msg']}")
    if fault["loc"] == ("body",) and isinstance(fault.get("input"), bytes):
        return "the request does not say that its body is JSON. Send the header 'Content-Type: application/json'"
    message = cut(str(fault["msg"]).removeprefix("Value error, "), 1_000)
    for pattern, meaning in _PATTERNS.items():
        message = message.replace(f"match pattern '{pattern}'", meaning)
    value = fault.get("input")
    if isinstance(value, str | int | float) and len(str(value)) <= 80:
        message += f" (found {value!r})"
    elif isinstance(value, str):
        message += f" (found {len(value):,} characters)"
    return errors.storable(message)
