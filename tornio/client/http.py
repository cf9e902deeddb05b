"""HTTP for the client: retries where they are harmless, and problem documents as our own errors."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import inf
from threading import Event
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from tornio import __version__, errors
from tornio.api import Problem, error_class
from tornio.client.address import Address
from tornio.client.wire import Request, Stream, Wire

log = logging.getLogger(__name__)

A = TypeVar("A", bound=BaseModel)

UNREACHABLE_S = 10.0
"""Seconds after which a server that accepts no connection is given up, so that a wrong address is found out soon."""
_QUIET_S = 2.0
"""Seconds after which a request that is repeated says so in the log, which a command shows."""
_BUSY = (429, 503)
_KINDS: dict[int, type[errors.TornioError]] = {
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    429: errors.Unavailable,
    502: errors.Unavailable,
    503: errors.Unavailable,
    504: errors.Unavailable,
}
"""For error responses that are not problem documents, such as those of a proxy."""


_UNCONNECTED = (httpx.ConnectError, httpx.ConnectTimeout)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a request of many is repeated: for ``seconds`` after its first failure, also while no connection is
    accepted. ``over``: is set when nobody waits for the answer any longer; then there is no further attempt."""

    seconds: float
    over: Event


@dataclass(slots=True)
class _Retry:
    """The pauses between the attempts of one request, which double. ``seconds``: how long after the first failure."""

    seconds: float
    _failed: float | None = None
    _next: float = 0.1
    _told: bool = False

    def pause(self, at_least: float = 0.0, within: float = inf) -> float | None:
        """Return the seconds to wait before the next attempt; None if it would begin too late."""
        now = time.monotonic()
        self._failed = now if self._failed is None else self._failed
        if now + at_least >= self._failed + min(self.seconds, within):
            return None
        seconds = max(at_least, self._next * random.uniform(0.5, 1.0))
        self._next = min(self._next * 2, 2.0)
        return seconds

    def tell(self, pause: float | None, what: str) -> None:
        """Say once, before a pause after which the request has taken long, why that is."""
        if self._told or pause is None or self._failed is None:
            return
        if time.monotonic() + pause >= self._failed + _QUIET_S:
            self._told = True
            log.warning("%s. Trying again ...", what)


def http_options(where: Address, timeout: float) -> dict[str, Any]:
    """Return what both clients of httpx are made with. Raises InvalidInput for an address that is none."""
    headers = {"User-Agent": f"tornio/{__version__}"}
    if where.api_key:
        headers["Authorization"] = f"Bearer {where.api_key}"
    try:
        url = httpx.URL(where.url)
    except httpx.InvalidURL as error:
        raise errors.InvalidInput(f"{where.url!r} is not a valid address: {error}") from error
    return {
        "base_url": url,
        "headers": headers,
        "timeout": httpx.Timeout(timeout, connect=min(timeout, UNREACHABLE_S)),
    }


class Session:
    """HTTP requests to one server."""

    def __init__(self, url: str, timeout: float, retry_seconds: float, wire: Wire) -> None:
        self.wire = wire
        self._url = url
        self._timeout = timeout
        self._retry_seconds = retry_seconds

    async def get(self, path: str, answer: type[A], also: int | None = None) -> A:
        """Send a GET request. ``also``: an error status that is accepted here."""
        return _read(await self._send(Request("GET", path), repeatable=True, also=also), answer)

    async def get_bytes(self, path: str, query: Mapping[str, str]) -> bytes:
        """Return the bytes of an answer as they are."""
        return (await self._send(Request("GET", f"{path}?{httpx.QueryParams(query)}"), repeatable=True)).content

    async def post(
        self, path: str, answer: type[A], body: Any = None, *, repeatable: bool, patience: Patience | None = None
    ) -> A:
        """Send a POST request. ``repeatable``: whether the server may receive it twice without harm. ``patience``: how
        long it is repeated, if not as every request."""
        request = Request("POST", path, body)
        return _read(await self._send(request, repeatable=repeatable, patience=patience), answer)

    async def put(self, path: str, answer: type[A], body: Any) -> A:
        return _read(await self._send(Request("PUT", path, body), repeatable=True), answer)

    async def put_bytes(self, path: str, answer: type[A], content: bytes) -> A:
        """Send bytes as they are."""
        return _read(await self._send(Request("PUT", path, content=content), repeatable=True), answer)

    async def delete(self, path: str, answer: type[A]) -> A:
        return _read(await self._send(Request("DELETE", path), repeatable=True), answer)

    @asynccontextmanager
    async def stream(self, path: str) -> AsyncIterator[Stream]:
        try:
            async with self.wire.stream(path) as stream:
                _raise(stream.response)
                yield stream
        except httpx.TransportError as error:
            raise self._unavailable(error) from error

    async def _send(
        self, request: Request, *, repeatable: bool, also: int | None = None, patience: Patience | None = None
    ) -> httpx.Response:
        within = UNREACHABLE_S if patience is None else inf
        retry = _Retry(self._retry_seconds if patience is None else patience.seconds)
        over = None if patience is None else patience.over
        while True:
            try:
                response = await self.wire.send(request)
            except UnicodeEncodeError as error:
                raise errors.InvalidInput(
                    f"A text contains half a surrogate pair ({error.object[error.start]!a}). "
                    "Read it with its correct encoding."
                ) from error
            except httpx.TransportError as error:
                # If no connection was made, the server received nothing, so any request may be sent again.
                unconnected = isinstance(error, _UNCONNECTED)
                again = repeatable or unconnected
                pause = retry.pause(within=within if unconnected else inf) if again else None
                retry.tell(pause, f"{self._url} does not respond")
                if pause is None or not await self.wire.sleep(pause, over):
                    raise self._unavailable(error) from error
            else:
                busy = response.status_code in _BUSY and response.status_code != also
                # A 429 that says when to come back was sent before anything happened.
                untouched = response.status_code == 429 and "Retry-After" in response.headers
                again = busy and (repeatable or untouched)
                pause = retry.pause(_retry_after(response)) if again else None
                retry.tell(pause, f"{self._url} is busy")
                if pause is None or not await self.wire.sleep(pause, over):
                    if response.status_code != also:
                        _raise(response)
                    return response

    def _unavailable(self, error: httpx.TransportError) -> errors.Unavailable:
        if isinstance(error, httpx.ReadTimeout | httpx.WriteTimeout):
            return errors.Unavailable(
                f"{self._url} is busy: it accepted the request, but did not answer within {self._timeout:g} s. Try "
                "again later, or send less at once."
            )
        reason = str(error) or type(error).__name__
        return errors.Unavailable(
            f"{self._url} does not respond ({reason}). Check that the server runs and that the address is right."
        )


def _retry_after(response: httpx.Response) -> float:
    """Return the seconds that the server asks us to wait, 0 if it does not say (RFC 9110, section 10.2.3).

    A date counts from the server's own clock, if it says what that shows, because ours may be wrong.
    """
    said = response.headers.get("Retry-After", "").strip()
    if said.isascii() and said.isdecimal():
        return float(said)
    until = _date(said)
    now = _date(response.headers.get("Date", "")) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds()) if until else 0.0


def _date(said: str) -> datetime | None:
    """Return an HTTP date, None for what is none."""
    try:
        date = parsedate_to_datetime(said)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _read(response: httpx.Response, answer: type[A]) -> A:
    try:
        return answer.model_validate_json(response.content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise errors.TornioError(
            f"{response.url} responded with something other than a {answer.__name__} ({first['msg']}). "
            "Check that it is a Tornio server of about this release."
        ) from error


def _raise(response: httpx.Response) -> None:
    """Raise the error that a response reports, if it reports one."""
    if not response.is_error and not response.is_redirect:
        return
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        if response.status_code == httpx.codes.NOT_FOUND:  # Tornio itself says what it did not find
            raise errors.Unavailable(
                f"{response.url} is answered, but not by Tornio (404 Not Found). If the server has just been started, "
                "try again in some seconds; otherwise check its address."
            ) from None
        kind = _KINDS.get(response.status_code, errors.TornioError)
        busy = ". The server is busy: try again later" if response.status_code in _BUSY else ""
        raise kind(f"{response.url} responded with {response.status_code} {response.reason_phrase}{busy}") from None
    kind = error_class(problem.type) or _KINDS.get(problem.status, errors.TornioError)
    raise kind(problem.detail)
