"""Errors as the real server answers them: problem documents of RFC 9457."""

from __future__ import annotations

from http import HTTPStatus

import httpx

from tornio import errors
from tornio.api import PROBLEM_JSON, Problem, problem_type

_STATUS: dict[type[errors.TornioError], HTTPStatus] = {
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
"""As in the gateway, which a test compares with this."""


def status_of(kind: type[errors.TornioError]) -> HTTPStatus:
    """Return the status of an error; of one that is not listed, that of its nearest listed base class."""
    return next(_STATUS[base] for base in kind.__mro__ if base in _STATUS)


def problem(error: errors.TornioError, retry_after: float = 0) -> httpx.Response:
    """Return the response to a request that failed."""
    status = status_of(type(error))
    document = Problem(type=problem_type(type(error)), title=status.phrase, status=status, detail=str(error))
    headers = {"Content-Type": PROBLEM_JSON}
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        headers["Retry-After"] = f"{retry_after:g}"
    return httpx.Response(status, headers=headers, content=document.model_dump_json())
