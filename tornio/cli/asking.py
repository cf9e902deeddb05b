"""Questions to a person at a terminal, which options answer in scripts."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from tornio.cli import screen
from tornio.errors import InvalidInput
from tornio.visible import visible


class Questions:
    """Asks the person at the terminal. ``yes``: take each default instead.

    Elsewhere than at a terminal nobody can answer. Then a question without an answer is an error that names its option.
    """

    def __init__(self, yes: bool) -> None:
        self._yes = yes
        self.can_ask = not yes and sys.stdin.isatty()
        """Whether a person answers."""

    def ask(self, question: str, option: str, default: str | None = None) -> str:
        """Return the answer, which is not empty. Raises InvalidInput if nobody can answer."""
        if self.can_ask:
            while True:
                if answer := self._prompt(f"{question}?", default or "").strip():
                    return answer
        if self._yes and default is not None:
            return default
        advice = f", or --yes to take {default!r}" if default is not None else ""
        reason = "has no default" if self._yes else "needs an answer, and there is no terminal to ask at"
        raise InvalidInput(f"This question {reason}: {question}? Give {option}{advice}.")

    def choose(self, question: str, option: str, choices: Sequence[str], default: str | None) -> str:
        """Return one of the choices. Raises InvalidInput if nobody can answer."""
        shown = ", ".join(choices[:20]) + (f" and {len(choices) - 20} more" if len(choices) > 20 else "")
        while (answer := self.ask(f"{question} ({shown})", option, default)) not in choices:
            screen.note(f"{answer!r} is none of them", style="yellow")
        return answer

    def optional(self, question: str) -> str:
        """Return the answer; empty if the person has none, or if nobody can be asked."""
        return self._prompt(question, "").strip() if self.can_ask else ""

    def confirm(self, question: str, default: bool) -> bool:
        """Return yes or no: the default, unless a person says otherwise."""
        return typer.confirm(visible(question), default=default, err=True) if self.can_ask else default

    @staticmethod
    def _prompt(question: str, default: str) -> str:
        suffix = " " if question.endswith("?") else ": "
        asked = typer.prompt(
            visible(question), default=default, show_default=bool(default), prompt_suffix=suffix, err=True
        )
        return str(asked)
