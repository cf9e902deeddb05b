"""A chat server in memory, for tests of what asks one."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator

from tornio.errors import Forbidden
from tornio.models.llm.port import Busy, Mode, Question, Rejected, Reply, Token


class FakeChatServer:
    """Answers ``label`` with probability .8 in two tokens. ``status``: what it answers instead, as in HTTP; None for an
    answer. ``after``: its Retry-After. ``takes``: the modes that it takes."""

    def __init__(
        self,
        label: str,
        status: Iterator[int | None] | None = None,
        after: float | None = None,
        takes: Callable[[Mode], bool] = lambda _mode: True,
    ) -> None:
        self._label = label
        self._status = status
        self._after = after
        self._takes = takes

    def ask(self, question: Question, mode: Mode, temperature: float | None) -> Reply:
        status = next(self._status, None) if self._status else None
        if status in (400, 422) or not self._takes(mode):
            raise Rejected("the server does not know the parameter (status 400)")
        if status == 401:
            raise Forbidden("the key is not accepted (status 401)")
        if status is not None:
            raise Busy(f"the server answered with status {status}", self._after, worked=status != 429)
        content = json.dumps({"label": self._label})
        return Reply(content, tokens=self._tokens(content) if mode.logprobs else (), used=45)

    def _tokens(self, content: str) -> tuple[Token, ...]:
        begin = content.index(self._label)
        first, rest = content[:begin].encode(), content[begin:].encode()
        return Token(first, {first: 0.0}), Token(rest, {rest: math.log(0.8)})

    def close(self) -> None:
        pass
