"""Bodies that come packed (Content-Encoding: gzip or deflate), within the limit that also holds for bodies as they are.

Plain ASGI. A packed body of a few bytes can become gigabytes, so unpacking ends at the limit.
"""

from __future__ import annotations

import zlib
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.intake import most_bytes, too_large
from services.gateway.problems import Failure, Problems
from tornio.errors import InvalidInput, storable
from tornio.spec.limits import cut

_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""What zlib calls each format (RFC 9110, section 8.4.1)."""
_OF_PACKED = (b"content-encoding", b"content-length")


class Unpacked:
    """Unpacks bodies. Answers 415 to encodings that it does not know."""

    def __init__(self, app: ASGIApp, problems: Problems) -> None:
        self._app = app
        self._problems = problems

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        encoding = Headers(scope=scope).get("content-encoding", "").strip().lower() if scope["type"] == "http" else ""
        if encoding in ("", "identity"):
            await self._app(scope, receive, send)
        elif encoding not in _WINDOW_BITS:
            known = ", ".join(_WINDOW_BITS)
            detail = f"The Content-Encoding {storable(cut(encoding, 80))!r} is not known here. Known are {known}."
            failure = Failure(InvalidInput, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)
            await self._problems.response(scope, failure)(scope, receive, send)
        else:
            headers = [(name, value) for name, value in scope["headers"] if name not in _OF_PACKED]
            unpacker = Unpacker(encoding, most_bytes(scope))
            await self._app({**scope, "headers": headers}, _unpacked(receive, unpacker), send)


class Unpacker:
    """Unpacks one body, piece by piece, to ``limit`` bytes in total.

    Raises HTTPException, which the app answers like an error of its routes. A body of several gzip members is refused:
    no client sends one, and many empty members would cost far more time than a body of that size may.
    """

    def __init__(self, encoding: str, limit: int) -> None:
        self._encoding = encoding
        self._limit = limit
        self._left = limit
        self._stream = zlib.decompressobj(_WINDOW_BITS[encoding])

    def piece(self, packed: bytes, last: bool) -> bytes:
        """Return the next piece, unpacked. ``last``: whether the body ends with it."""
        try:
            unpacked = self._stream.decompress(packed, self._left + 1)  # 0 would mean no limit
        except zlib.error as error:
            raise self._broken(str(error)) from None
        self._left -= len(unpacked)
        if self._left < 0:
            raise too_large(self._limit)
        if self._stream.unused_data:
            raise self._broken("more bytes follow its end")
        if last and not self._stream.eof:
            raise self._broken("it ends too early")
        return unpacked

    def _broken(self, why: str) -> HTTPException:
        detail = f"The request's body cannot be unpacked as {self._encoding}: {why}."
        return HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, detail)


def _unpacked(receive: Receive, unpacker: Unpacker) -> Receive:
    ended = False

    async def unpacked() -> Message:
        nonlocal ended
        message = await receive()
        if message["type"] != "http.request" or ended:
            return message
        ended = not message.get("more_body", False)
        return {**message, "body": unpacker.piece(message.get("body", b""), ended)}

    return unpacked
