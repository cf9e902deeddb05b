"""The chat server over HTTP. Sources: OpenAI's API reference, "Create chat completion", and what vLLM and Ollama
document of their servers. It needs one request of one shape, so httpx does, and no SDK whose retries, redirects and
environment variables would have to be switched off."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tornio.errors import Forbidden, InvalidInput, storable
from tornio.models.llm.port import Busy, Mode, Question, Rejected, Reply, Token
from tornio.settings import LlmEndpoint
from tornio.visible import visible

TOP = 20
"""Alternatives of each token that are asked for; OpenAI and vLLM give no more."""
LARGEST = 4 * 1024 * 1024
"""Bytes of a response that are read. With log-probabilities, an answer of 256 tokens has about half of one MiB."""
_SHOWN = 300
_REFUSED = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY)
_LATER = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)


class HttpChatServer:
    """The ``ChatServer`` at an operator's address.

    It follows no redirect, and reads no proxy and no ``.netrc`` from the environment: texts and the key go to the
    address in the settings, and nowhere else.
    """

    def __init__(self, name: str, endpoint: LlmEndpoint) -> None:
        """Raises InvalidInput for settings with which no server can be asked."""
        self._name = name
        self._endpoint = endpoint
        try:
            self._url = httpx.URL(endpoint.url.rstrip("/") + "/chat/completions")
            self._client = httpx.Client(
                timeout=endpoint.timeout_seconds,
                follow_redirects=False,
                trust_env=False,
                proxy=endpoint.proxy,
                verify=ssl.create_default_context(cafile=endpoint.ca_file),
                limits=httpx.Limits(max_connections=endpoint.concurrency),
            )
        except (httpx.InvalidURL, OSError, ValueError) as error:
            raise InvalidInput(
                f"{self._who} cannot be used ({error}): check its url, proxy and ca_file in TORNIO_LLM_ENDPOINTS"
            ) from error

    def close(self) -> None:
        self._client.close()

    def ask(self, question: Question, mode: Mode, temperature: float | None) -> Reply:
        key = self._key()
        headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {key}"} if key else {})
        body = self._body(question, mode, temperature)
        try:
            status, answer_headers, content = self._send(body, headers)
        except httpx.ConnectError as error:
            raise Busy(f"{self._who} cannot be reached: {_clean(str(error), key)}", worked=False) from error
        except UnicodeError as error:
            raise InvalidInput(f"{self._who} has an impossible host in its url: {self._url.host!r}") from error
        except httpx.TimeoutException as error:
            raise Busy(f"{self._who} did not answer within {self._endpoint.timeout_seconds:g} seconds") from error
        except httpx.HTTPError as error:
            said = _clean(f"{type(error).__name__}: {error}", key)
            raise Busy(f"the connection to {self._who} failed ({said})") from error
        if status == HTTPStatus.OK:
            return _reply(content, self._who)
        raise self._error(status, answer_headers, _clean(content.decode("utf-8", "replace"), key))

    def _send(self, body: Mapping[str, Any], headers: Mapping[str, str]) -> tuple[int, httpx.Headers, bytes]:
        """Return status, headers and the beginning of the body. The whole must arrive within the timeout."""
        end = time.monotonic() + self._endpoint.timeout_seconds
        read = bytearray()
        with self._client.stream("POST", self._url, json=body, headers=headers) as response:
            for piece in response.iter_bytes():
                read += piece
                if len(read) > LARGEST:
                    raise Busy(f"{self._who} answered with more than {LARGEST:,} bytes")
                if time.monotonic() > end:
                    raise Busy(f"{self._who} did not answer within {self._endpoint.timeout_seconds:g} seconds")
            return response.status_code, response.headers, bytes(read)

    def _body(self, question: Question, mode: Mode, temperature: float | None) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._endpoint.model,
            "messages": [
                {"role": "system", "content": storable(question.system)},
                {"role": "user", "content": storable(question.user)},
            ],
            self._endpoint.answer_tokens_field: self._endpoint.answer_tokens,
        }
        if temperature is not None:
            body["temperature"] = temperature
        if mode.structured:
            schema = {"name": "answer", "strict": True, "schema": dict(question.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if mode.logprobs:
            body |= {"logprobs": True, "top_logprobs": TOP}
        return body

    def _error(self, status: int, headers: httpx.Headers, said: str) -> Exception:
        answered = f"{self._who} answered with status {status}" + (f" ({said})" if said else "")
        if status in _REFUSED:
            return Rejected(answered)
        if status in _LATER or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Busy(
                answered, retry_after(headers.get("retry-after")), worked=status != HTTPStatus.TOO_MANY_REQUESTS
            )
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return Forbidden(f"{answered}: whoever operates this deployment must check the endpoint's key")
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            return InvalidInput(
                f"{self._who} answered with a redirect (status {status}), which is not followed, so that texts and "
                "keys go nowhere else: the endpoint's url in TORNIO_LLM_ENDPOINTS must be the final address"
            )
        return InvalidInput(f"{answered}: check the endpoint's url and model in TORNIO_LLM_ENDPOINTS")

    @property
    def _who(self) -> str:
        return f"the endpoint {self._name!r}"

    def _key(self) -> str:
        """Return the key, or an empty string where the endpoint has none. Raises InvalidInput."""
        file, variable = self._endpoint.api_key_file, self._endpoint.api_key_variable
        if file is not None:
            try:
                key = file.read_text("utf-8").strip()
            except (OSError, ValueError) as error:
                raise InvalidInput(f"the key file of {self._who} cannot be read: {file}") from error
        elif variable is not None:
            key = os.environ.get(variable, "").strip()
        else:
            return ""
        if not key or not key.isascii() or not key.isprintable():
            raise InvalidInput(f"{self._who} has no usable key in {file or variable}: it is empty, or not plain ASCII")
        return key


def retry_after(value: str | None) -> float | None:
    """Return the seconds of a ``Retry-After`` header, which has seconds or a date (RFC 9110, section 10.2.3)."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        return _seconds_until(value)
    return max(0.0, seconds) if seconds < float("inf") else None


def _seconds_until(date: str) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _clean(text: str, key: str) -> str:
    """Return the beginning of what a server said, in one line, without the key that it may repeat."""
    whole = text.replace(key, "(key)") if key else text
    line = " ".join(visible(whole).split())
    return line if len(line) <= _SHOWN else line[:_SHOWN] + "..."


class _Loose(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Piece(_Loose):
    token: str
    logprob: float
    numbers: list[int] | None = Field(None, alias="bytes")

    @property
    def spelt(self) -> bytes:
        if self.numbers is not None and all(0 <= one <= 255 for one in self.numbers):
            return bytes(self.numbers)
        return self.token.encode("utf-8", "surrogatepass")


class _TopPiece(_Piece):
    top_logprobs: list[_Piece] = []


class _Logprobs(_Loose):
    content: list[_TopPiece] | None = None


class _Message(_Loose):
    content: str | None = None
    refusal: str | None = None


class _Choice(_Loose):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Usage(_Loose):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0

    @property
    def tokens(self) -> int | None:
        """All tokens; None where the server counts none. Some count those of a thought in the total alone."""
        return max(self.total_tokens, self.prompt_tokens + self.completion_tokens, 0) or None


class _Completion(_Loose):
    choices: list[_Choice]
    usage: _Usage | None = None


def _reply(content: bytes, who: str) -> Reply:
    try:
        completion = _Completion.model_validate_json(content)
    except ValidationError as error:
        raise Busy(f"{who} answered with something that is no chat completion") from error
    used = None if completion.usage is None else completion.usage.tokens
    if not completion.choices:
        return Reply("", used=used)
    choice = completion.choices[0]
    pieces = (choice.logprobs and choice.logprobs.content) or []
    return Reply(
        content=choice.message.content or "",
        refusal=choice.message.refusal or "",
        finish=choice.finish_reason or "stop",
        tokens=tuple(_token(piece) for piece in pieces),
        used=used,
    )


def _token(piece: _TopPiece) -> Token:
    alternatives = {one.spelt: one.logprob for one in piece.top_logprobs}
    return Token(piece.spelt, {piece.spelt: piece.logprob, **alternatives})
