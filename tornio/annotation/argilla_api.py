"""Argilla's REST API as calls that return JSON or raise one of Tornio's errors.

httpx is used instead of Argilla's SDK, because the SDK takes 1.3 s to import, has no listing with a total, crashes on a
response without values, and distinguishes errors only by their message.
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
    """A connection to one server with one account. Thread-safe.

    Network faults, time-outs, 429 and 5xx are retried with backoff for ``retry_s`` seconds, and then raise
    ``Unavailable``; every call that Tornio makes may be repeated. The server's version is checked before the first
    call. Other errors: 401 ``Unauthorized``, 403 ``Forbidden``, 404 ``NotFound``, 409 ``AlreadyExists``, and
    ``InvalidInput`` for everything else that the server refuses.
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
            raise InvalidInput(f"{url!r} is not a valid address of Argilla. It must start with http:// or https://.")
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
        """Return the server's version. Raises InvalidInput if it is too old or the server is not Argilla."""
        with self._version_lock:
            if self._version is None:
                try:
                    response = self._send("GET", "version")
                except NotFound as error:
                    raise InvalidInput(f"{error}. This may not be Argilla 2. Check TORNIO_ARGILLA_URL.") from None
                self._version = self._check_version(response)
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
                problem = None if _is_response_of_argilla(response) else _message(response)
            except httpx.TransportError as error:
                problem = f"{type(error).__name__}: {error}"
            if problem is None:
                return self._result(response)
            delay = min(delay * 2, MAX_DELAY_S)
            pause = delay * random.uniform(0.5, 1.0)
            if time.monotonic() + pause > deadline:
                raise Unavailable(f"Argilla at {self.url} does not respond to {method} {path}: {problem}")
            time.sleep(pause)

    def _result(self, response: httpx.Response) -> Any:
        if response.is_success:
            if response.status_code == httpx.codes.NO_CONTENT:
                return None
            try:
                return response.json()
            except ValueError:
                raise self._not_argilla(response) from None
        raise self._refusal(response)

    def _refusal(self, response: httpx.Response) -> TornioError:
        message = _message(response)
        match response.status_code:
            case httpx.codes.UNAUTHORIZED:
                return Unauthorized(
                    f"Argilla at {self.url} does not know this API key. Set TORNIO_ARGILLA_API_KEY (or the file) to "
                    "the key that Argilla shows under 'My settings' of an admin or owner account."
                )
            case httpx.codes.FORBIDDEN:
                return Forbidden(f"Argilla at {self.url} forbids {response.request.method} {_path(response)}")
            case httpx.codes.NOT_FOUND:
                return NotFound(f"Argilla at {self.url} has no {_path(response)}: {message}")
            case httpx.codes.CONFLICT:
                return AlreadyExists(f"Argilla at {self.url}: {message}")
            case httpx.codes.REQUEST_ENTITY_TOO_LARGE:
                size = len(response.request.content)
                return InvalidInput(
                    f"A request of {size} bytes is too large for the proxy of Argilla at {self.url}. Raise the "
                    "proxy's limit (nginx: client_max_body_size), or shorten the longest texts."
                )
            case status if status in {httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY}:
                return InvalidInput(
                    f"Argilla at {self.url} refuses {response.request.method} {_path(response)}: {message}"
                )
            case _:
                return self._not_argilla(response)

    def _check_version(self, response: Any) -> str:
        version = response.get("version") if isinstance(response, dict) else None
        if not isinstance(version, str):
            raise InvalidInput(f"{self.url} does not respond like Argilla. Check TORNIO_ARGILLA_URL.")
        if _numbers(version) < MIN_VERSION:
            wanted = ".".join(map(str, MIN_VERSION))
            raise InvalidInput(f"Argilla at {self.url} has version {version}. Upgrade it to {wanted} or later.")
        return version

    def _not_argilla(self, response: httpx.Response) -> InvalidInput:
        where = f" and redirects to {response.headers['location']}" if response.has_redirect_location else ""
        return InvalidInput(
            f"{self.url} does not respond like Argilla (HTTP {response.status_code} for {_path(response)}{where}). "
            "Check TORNIO_ARGILLA_URL."
        )


def _is_response_of_argilla(response: httpx.Response) -> bool:
    """Whether Argilla itself responded, and not only to report that it is temporarily unavailable."""
    if response.status_code == httpx.codes.NOT_FOUND:
        # A proxy that cannot reach Argilla sends its own 404, which does not mean that anything was deleted.
        return "json" in response.headers.get("content-type", "")
    return response.status_code != httpx.codes.TOO_MANY_REQUESTS and not response.is_server_error


def _message(response: httpx.Response) -> str:
    """Return the server's message, whichever of its three forms it has."""
    try:
        message = response.json()
    except ValueError:
        message = response.text
    if isinstance(message, dict):
        message = message.get("message") or message.get("detail") or message
    return f"HTTP {response.status_code}, {str(message)[:MAX_ERROR_CHARS]}"


def _path(response: httpx.Response) -> str:
    return response.request.url.path


def _numbers(version: str) -> tuple[int, ...]:
    """Return the first numbers of a version: (2, 8) for '2.8.0rc1'."""
    return tuple(int("".join(filter(str.isdigit, part)) or 0) for part in version.split(".")[: len(MIN_VERSION)])
