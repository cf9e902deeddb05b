"""Argilla's REST API as calls that answer with JSON or raise one of Tornio's errors.

httpx and not Argilla's SDK: the SDK takes 1.3 s to import, has no listing with a total, crashes on a response without
values, and tells failures apart by message.
"""

from __future__ import annotations

import random
import time
from threading import Lock
from typing import Any

import httpx

from tornio.errors import AlreadyExists, Forbidden, InvalidInput, NotFound, TornioError, Unauthorized, Unavailable

MIN_VERSION = (2, 8)
FIRST_DELAY_S = 0.2
MAX_DELAY_S = 2.0
MAX_ERROR_CHARS = 500

Params = dict[str, str | int]


class ArgillaApi:
    """A connection to one server with one account; safe to share between threads.

    Network faults, time-outs, 429 and 5xx are retried with backoff for ``retry_s`` seconds, then ``Unavailable``:
    every call that Tornio makes may be repeated. The server's version is checked before the first call.
    Other failures: 401 ``Unauthorized``, 403 ``Forbidden``, 404 ``NotFound``, 409 ``AlreadyExists``,
    and whatever else the server refuses ``InvalidInput``.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        timeout_s: float = 30.0,
        retry_s: float = 5.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise InvalidInput(f"{url!r} is no address of Argilla: it must start with http:// or https://")
        self.url = url.rstrip("/")
        self._retry_s = retry_s
        self._client = httpx.Client(
            base_url=f"{self.url}/api/v1/",
            headers={"X-Argilla-Api-Key": api_key},
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, 5.0)),
            transport=transport,
        )
        self._version: str | None = None
        self._version_lock = Lock()

    def close(self) -> None:
        self._client.close()

    def version(self) -> str:
        """The server's version. Raises InvalidInput for one that is too old, or that is not Argilla."""
        with self._version_lock:
            if self._version is None:
                try:
                    answer = self._send("GET", "version")
                except NotFound as error:
                    raise InvalidInput(f"{error}: is this Argilla 2? Check TORNIO_ARGILLA_URL") from None
                self._version = self._check_version(answer)
            return self._version

    def get(self, path: str, **params: str | int) -> Any:
        return self._call("GET", path, params=params)

    def post(self, path: str, body: Any, **params: str | int) -> Any:
        return self._call("POST", path, body, params)

    def put(self, path: str, body: Any = None) -> Any:
        return self._call("PUT", path, body)

    def patch(self, path: str, body: Any) -> Any:
        return self._call("PATCH", path, body)

    def delete(self, path: str, **params: str | int) -> Any:
        return self._call("DELETE", path, params=params)

    def _call(self, method: str, path: str, body: Any = None, params: Params | None = None) -> Any:
        self.version()
        return self._send(method, path, body, params)

    def _send(self, method: str, path: str, body: Any = None, params: Params | None = None) -> Any:
        deadline = time.monotonic() + self._retry_s
        delay = FIRST_DELAY_S
        while True:
            try:
                response = self._client.request(method, path, json=body, params=params)
                problem = None if _answered(response) else _said(response)
            except httpx.TransportError as error:
                problem = f"{type(error).__name__}: {error}"
            if problem is None:
                return self._result(response)
            delay = min(delay * 2, MAX_DELAY_S)
            pause = delay * random.uniform(0.5, 1.0)
            if time.monotonic() + pause > deadline:
                raise Unavailable(f"Argilla at {self.url} does not answer {method} {path}: {problem}")
            time.sleep(pause)

    def _result(self, response: httpx.Response) -> Any:
        if response.is_success:
            if response.status_code == httpx.codes.NO_CONTENT:
                return None
            try:
                return response.json()
            except ValueError:
                raise self._stranger(response) from None
        raise self._refusal(response)

    def _refusal(self, response: httpx.Response) -> TornioError:
        said = _said(response)
        match response.status_code:
            case httpx.codes.UNAUTHORIZED:
                return Unauthorized(
                    f"Argilla at {self.url} does not know this API key: set TORNIO_ARGILLA_API_KEY (or the file) to "
                    "the key that Argilla shows under 'My settings' of an admin or owner account"
                )
            case httpx.codes.FORBIDDEN:
                return Forbidden(f"Argilla at {self.url} forbids {response.request.method} {_path(response)}")
            case httpx.codes.NOT_FOUND:
                return NotFound(f"Argilla at {self.url} has no {_path(response)}: {said}")
            case httpx.codes.CONFLICT:
                return AlreadyExists(f"Argilla at {self.url}: {said}")
            case httpx.codes.REQUEST_ENTITY_TOO_LARGE:
                size = len(response.request.content)
                return InvalidInput(
                    f"a request of {size} bytes is too large for what stands before Argilla at {self.url}: raise the "
                    "proxy's limit (nginx: client_max_body_size), or shorten the longest texts"
                )
            case status if status in {httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY}:
                return InvalidInput(
                    f"Argilla at {self.url} refuses {response.request.method} {_path(response)}: {said}"
                )
            case _:
                return self._stranger(response)

    def _check_version(self, answer: Any) -> str:
        version = answer.get("version") if isinstance(answer, dict) else None
        if not isinstance(version, str):
            raise InvalidInput(f"{self.url} does not answer like Argilla: check TORNIO_ARGILLA_URL")
        if _numbers(version) < MIN_VERSION:
            wanted = ".".join(map(str, MIN_VERSION))
            raise InvalidInput(f"Argilla at {self.url} is {version}, but Tornio needs {wanted} or later: upgrade it")
        return version

    def _stranger(self, response: httpx.Response) -> InvalidInput:
        where = f" and points to {response.headers['location']}" if response.has_redirect_location else ""
        return InvalidInput(
            f"{self.url} does not answer like Argilla (HTTP {response.status_code} for {_path(response)}{where}): "
            "check TORNIO_ARGILLA_URL"
        )


def _answered(response: httpx.Response) -> bool:
    """Whether Argilla itself answered, and not to say that it cannot now."""
    if response.status_code == httpx.codes.NOT_FOUND:
        # A proxy that has lost Argilla says so in its own words: nothing has been deleted.
        return "json" in response.headers.get("content-type", "")
    return response.status_code != httpx.codes.TOO_MANY_REQUESTS and not response.is_server_error


def _said(response: httpx.Response) -> str:
    """What the server said, whichever of its three forms it chose."""
    try:
        answer = response.json()
    except ValueError:
        answer = response.text
    if isinstance(answer, dict):
        answer = answer.get("message") or answer.get("detail") or answer
    return f"HTTP {response.status_code}, {str(answer)[:MAX_ERROR_CHARS]}"


def _path(response: httpx.Response) -> str:
    return response.request.url.path


def _numbers(version: str) -> tuple[int, ...]:
    """(2, 8) of '2.8.0rc1'."""
    return tuple(int("".join(filter(str.isdigit, part)) or 0) for part in version.split(".")[: len(MIN_VERSION)])
