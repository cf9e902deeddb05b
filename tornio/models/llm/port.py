"""The interface of a chat server: one question, one reply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tornio.errors import InvalidInput, Unavailable


@dataclass(frozen=True, slots=True)
class Mode:
    """What of the protocol a request uses. ``structured``: ``response_format`` with a JSON schema. ``logprobs``: the
    log-probabilities of the answer's tokens."""

    structured: bool
    logprobs: bool


MODES = (Mode(True, True), Mode(True, False), Mode(False, False))
"""From the best to the one that every server has. A server that refuses one is asked in the next."""
LIST_MODES = tuple(mode for mode in MODES if not mode.logprobs)
"""The same for an answer that is a list of labels: the log-probabilities of its tokens are not those of its members."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request. ``schema``: the JSON schema of the answer."""

    system: str
    user: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the answer. ``alternatives``: log-probabilities of the likeliest pieces here, itself among them."""

    text: bytes
    alternatives: Mapping[bytes, float]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered. ``used``: tokens of question and answer; None if the server does not say.

    ``finish``: the protocol's ``finish_reason``. ``tokens``: empty without log-probabilities.
    """

    content: str
    refusal: str = ""
    finish: str = "stop"
    tokens: tuple[Token, ...] = ()
    used: int | None = None


class Rejected(InvalidInput):
    """The server takes no such request: status 400, 413 or 422."""


class Busy(Unavailable):
    """The server did not answer, and may do so later.

    ``after``: seconds that the server asks to wait for; None if it does not say. ``worked``: whether it may have
    computed, so that tokens may be spent.
    """

    def __init__(self, message: str, after: float | None = None, worked: bool = True) -> None:
        super().__init__(message)
        self.after = after
        self.worked = worked


class ChatServer(Protocol):
    """A server that speaks the protocol. Thread-safe."""

    def ask(self, question: Question, mode: Mode, temperature: float | None) -> Reply:
        """Send one request, once.

        Raises Rejected; Busy for what may succeed later; Forbidden for a key that is not accepted; InvalidInput for an
        address that is not that of such a server. No message holds the key.
        """

    def close(self) -> None:
        """Close the connections."""
