"""Errors become RFC 9457 problem documents here, and only here do they get an HTTP status."""

from __future__ import annotations

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from tornio import errors
from tornio.api import PROBLEM_JSON, FieldError, Problem, problem_type

log = logging.getLogger(__name__)

STATUS: dict[type[errors.TornioError], HTTPStatus] = {
    errors.Unauthorized: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.ChangeRefused: HTTPStatus.CONFLICT,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TemporaryError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.TornioError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""The nearest class counts."""

_KINDS: dict[int, type[errors.TornioError]] = {404: errors.NotFound, 503: errors.Unavailable}
"""What errors of the routing itself are to a client; all others are InvalidInput."""

_MOST_ERRORS = 20


def status_of(error: errors.TornioError) -> HTTPStatus:
    return next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)


def document(
    kind: type[errors.TornioError], status: HTTPStatus, detail: str, faults: list[FieldError] | None = None
) -> Response:
    """The response for a problem. Text that is no valid Unicode is shown escaped."""
    problem = Problem(
        type=problem_type(kind), title=status.phrase, status=status, detail=_valid(detail), errors=faults or []
    )
    headers = {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "1"
    return Response(problem.model_dump_json(), status, headers, media_type=PROBLEM_JSON)


def of_error(error: errors.TornioError) -> Response:
    status = status_of(error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("%s: %s", type(error).__name__, error)
    return document(type(error), status, str(error))


def install(app: FastAPI) -> None:
    """Let the app answer every error with a problem document."""

    async def on_error(_: Request, error: Exception) -> Response:
        assert isinstance(error, errors.TornioError)
        return of_error(error)

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        status = HTTPStatus(error.status_code)
        kind = _KINDS.get(status, errors.InvalidInput)
        detail = error.detail
        if status == HTTPStatus.NOT_FOUND:
            detail = f"there is nothing at {request.url.path}: /docs lists what there is"
        elif status == HTTPStatus.METHOD_NOT_ALLOWED:
            detail = f"{request.url.path} knows no {request.method}: /docs lists what there is"
        response = document(kind, status, detail)
        response.headers.update(error.headers or {})
        return response

    async def on_validation(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return _invalid(error)

    async def on_bug(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return document(
            errors.TornioError,
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "something unexpected went wrong; the server's log says what. Report it to whoever runs this server",
        )

    app.add_exception_handler(errors.TornioError, on_error)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(Exception, on_bug)


def _invalid(error: RequestValidationError) -> Response:
    faults = [FieldError(where=_place(fault["loc"]), message=_message(fault)) for fault in error.errors()]
    detail = "; ".join(f"{fault.where}: {fault.message}" for fault in faults[:3])
    if len(faults) > 3:
        detail += f"; and {len(faults) - 3} more"
    return document(errors.InvalidInput, HTTPStatus.UNPROCESSABLE_ENTITY, detail, faults[:_MOST_ERRORS])


def _place(loc: tuple[str | int, ...]) -> str:
    return ".".join(str(step) for step in loc)


def _message(fault: dict[str, object]) -> str:
    """pydantic's words, and what was found where that is short."""
    if fault["type"] == "json_invalid":
        context = fault.get("ctx")
        return _valid(f"not JSON: {context.get('error') if isinstance(context, dict) else fault['msg']}")
    message = str(fault["msg"]).replace(r"'\S'", "at least one character that is not white space")
    found = fault.get("input")
    if isinstance(found, str | int | float) and len(str(found)) <= 80:
        message += f" (found {found!r})"
    elif isinstance(found, str):
        message += f" (found {len(found):,} characters)"
    return _valid(message)


def _valid(text: str) -> str:
    """Lone surrogates, which JSON may smuggle in, cannot be sent."""
    return text.encode("utf-8", "backslashreplace").decode()
