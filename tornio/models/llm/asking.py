"""Ask a chat server until it answers: within the budget, with pauses, and in the mode that the server takes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from threading import Event, Lock

from tornio.errors import Unavailable
from tornio.models.llm.answers import Judged, Rubbish, judge
from tornio.models.llm.budget import Purse
from tornio.models.llm.port import LIST_MODES, MODES, Busy, ChatServer, Mode, Question, Rejected, Reply
from tornio.models.llm.prompt import Prompt, most_tokens
from tornio.settings import LlmEndpoint

TRIES = 3
"""How often a text is asked about whose answers are rubbish."""
WARMER = 0.5
"""What the temperature rises by with each of these tries: at 0 a model says the same again."""
LONGEST_PAUSE = 60.0
"""Seconds that a pause grows to."""


class Stopped(Exception):
    """Another text of the run ended it."""


class Asker:
    """Asks about texts, one request after the other in each thread. Thread-safe.

    Every request, also a repeated one, is reserved in the purse before it is sent. ``rejection``: what the server said
    of the last question that it refused in every mode; empty without any.
    """

    def __init__(self, server: ChatServer, purse: Purse, endpoint: LlmEndpoint, stop: Event) -> None:
        """``stop``: set by whoever ends the run; no request is sent after that."""
        self.rejection = ""
        self._tally: Counter[str] = Counter()
        self._server = server
        self._purse = purse
        self._endpoint = endpoint
        self.stop = stop
        self._mode = 0
        self._lock = Lock()
        self._random = random.Random()

    def answer(self, prompt: Prompt, text: str) -> tuple[Judged, Mode] | None:
        """Return what the model says about a text, and the mode in which it did; None if its answers are rubbish.

        Raises BudgetSpent; Unavailable after the last retry; what the server raises; Stopped.
        """
        question = prompt.question(text)
        for number in range(TRIES):
            try:
                modes = LIST_MODES if prompt.multi_label else MODES
                reply, mode = self._in_a_mode(question, modes, self._temperature(number))
                return judge(reply, prompt), mode
            except (Rubbish, Rejected) as fault:
                self._count(f"rubbish: {fault.kind if isinstance(fault, Rubbish) else 'rejected'}")
                if isinstance(fault, Rejected):  # it would be rejected again, such as a text that is too long for it
                    self.rejection = str(fault)
                    break
        return None

    def tally(self) -> Counter[str]:
        """Return how often what has happened so far, a copy."""
        with self._lock:
            return self._tally.copy()

    def _temperature(self, number: int) -> float | None:
        start = self._endpoint.temperature
        return None if start is None else min(2.0, start + WARMER * number)

    def _in_a_mode(self, question: Question, modes: Sequence[Mode], temperature: float | None) -> tuple[Reply, Mode]:
        """Ask in the best mode that the server has not refused. A lower one that it takes is kept for later texts.

        Raises Rejected where it refuses the question in every mode, which then is the question's own fault.
        """
        for number in range(self._mode, len(modes)):
            try:
                reply = self._patiently(question, modes[number], temperature)
            except Rejected:
                if number == len(modes) - 1:
                    raise
                continue
            with self._lock:
                self._mode = max(self._mode, number)
            return reply, modes[number]
        raise AssertionError("there is at least one mode")

    def _patiently(self, question: Question, mode: Mode, temperature: float | None) -> Reply:
        """Ask, and ask again with growing pauses while the server is busy. Raises Unavailable in the end.

        The pauses are exponential with full jitter (Brooker 2015, "Exponential Backoff And Jitter", AWS Architecture
        Blog), or what the server asks for, with a tenth more at random so that not all threads return together.
        """
        for number in range(self._endpoint.retries + 1):
            try:
                return self._once(question, mode, temperature)
            except Busy as busy:
                self._count("busy")
                if number == self._endpoint.retries:
                    often = f", {number + 1} times in a row" if number else ""
                    raise Unavailable(f"{busy}{often}. The answers so far are kept") from busy
                if busy.after is not None and busy.after > self._endpoint.longest_wait_seconds:
                    raise Unavailable(
                        f"{busy}, and asks to wait {busy.after:,.0f} seconds, which is more than longest_wait_seconds "
                        "of the endpoint. The answers so far are kept"
                    ) from busy
                if self._wait(self._seconds(number, busy.after)):
                    raise Stopped from busy
        raise AssertionError("there is at least one try")

    def _wait(self, seconds: float) -> bool:
        """Wait, and return whether the run was stopped."""
        return self.stop.wait(seconds)

    def _seconds(self, number: int, after: float | None) -> float:
        if after is not None:
            return after * (1 + self._random.random() / 10)
        return self._random.uniform(0, min(LONGEST_PAUSE, 2.0**number))

    def _once(self, question: Question, mode: Mode, temperature: float | None) -> Reply:
        if self.stop.is_set():
            raise Stopped
        reserved = most_tokens(question, self._endpoint.answer_tokens)
        self._purse.reserve(reserved)
        self._count("requests")
        try:
            reply = self._server.ask(question, mode, temperature)
        except Busy as busy:
            if not busy.worked:
                self._purse.give_back(reserved)
            raise
        except Rejected:
            self._purse.give_back(reserved)
            raise
        used = reserved if reply.used is None else reply.used
        self._purse.give_back(reserved - used)
        self._count("tokens", used)
        return reply

    def _count(self, what: str, number: int = 1) -> None:
        with self._lock:
            self._tally[what] += number
