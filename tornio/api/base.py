"""What all requests and answers of the HTTP API share: names, limits, problem documents."""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from tornio import errors
from tornio.spec import NAME_PATTERN

MIB = 1 << 20
MAX_TEXTS = 1_000
"""Texts in one predict or zero-shot request. The client splits longer lists into several requests."""
MAX_PREDICT_BYTES = 8 * MIB
MAX_RECORDS = 5_000
"""Records or labels in one request. The client splits longer lists into several requests."""
MAX_BODY_BYTES = 32 * MIB
MAX_TEXT = 100_000
"""Characters in one text: far more than a model reads, and few enough to show to an annotator."""
JSON_LINES = "application/jsonl"
PROBLEM_JSON = "application/problem+json"
COUNT_HEADER = "Tornio-Count"
"""How many lines a stream has, so that a client notices a stream that ends early."""


class TaskName(NamedTuple):
    """A task's full name, ``{workspace}/{task}``."""

    workspace: str
    task: str

    def __str__(self) -> str:
        return f"{self.workspace}/{self.task}"

    @classmethod
    def parse(cls, name: str) -> TaskName:
        """Read ``workspace/task``. Raises InvalidInput."""
        workspace, slash, task = name.partition("/")
        if not (slash and re.fullmatch(NAME_PATTERN, workspace) and re.fullmatch(NAME_PATTERN, task)):
            raise errors.InvalidInput(
                f"{name!r} is not the name of a task. Write workspace/task, both of lower-case letters, digits, '-' "
                "and '_'"
            )
        return cls(workspace, task)


class Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


RecordId = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT, pattern=r"\S")]


class FieldError(Answer):
    where: str
    message: str


class Problem(Answer):
    """RFC 9457. ``type`` names an error of ``tornio.errors``: ``urn:tornio:problem:not-servable``."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


class Readiness(Answer):
    """Whether predictions can be answered. ``parts``: 'ok' or the problem, for each part."""

    ready: bool
    parts: dict[str, str]


_PREFIX = "urn:tornio:problem:"


def problem_type(error: type[errors.TornioError]) -> str:
    """The ``type`` of a problem document for this class of error."""
    return _PREFIX + re.sub(r"(?<=[a-z])(?=[A-Z])", "-", error.__name__).lower()


def error_class(problem: str) -> type[errors.TornioError] | None:
    """The class that ``type`` names, or None for one that this release does not know."""
    return _CLASSES.get(problem)


def _tree(root: type[errors.TornioError]) -> list[type[errors.TornioError]]:
    return [root, *(leaf for child in root.__subclasses__() for leaf in _tree(child))]


_CLASSES = {problem_type(cls): cls for cls in _tree(errors.TornioError)}
