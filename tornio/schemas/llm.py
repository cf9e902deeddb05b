"""What is kept of questions to chat models, for all tasks together."""

from __future__ import annotations

from typing import ClassVar

from tornio.schemas.base import Document


class Spending(Document):
    """``_llm/spending/{endpoint}.json``: what was asked of an endpoint in all. Written only with If-Match.

    A process counts requests and tokens here before it sends them. It takes back what it did not use at its end; what a
    killed process had counted stays counted. So the numbers are never below what was really spent.
    """

    FORMAT: ClassVar[str] = "llm-spending"

    requests: int = 0
    tokens: int = 0


class Answer(Document):
    """``_llm/answers/{question}/{text}.json``: what a chat model answered about a text, so that it is not asked again.

    ``question`` is the digest of the endpoint's name, its model, and everything in the question but the text; ``text``
    is the digest of the text. It is a cache and may be deleted at any time.
    """

    FORMAT: ClassVar[str] = "llm-answer"

    probabilities: tuple[float, ...]
    """In the order of the labels in the question."""
    measured: bool
    """Whether they come from log-probabilities. False: they are a smoothed choice."""
    structured: bool
    """Whether the server held the answer to the JSON schema."""
