"""Predictions of long lists as lines of JSON: one request, and an answer that streams.

The body is read before the first answer is sent. Most clients send all of a body before they read, so a server that
answers meanwhile would wait for a client that waits for it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from services.gateway.dependencies import PROBLEMS, Reader, Task, TheAnswering
from services.gateway.problems import Failure, problem_document
from services.gateway.protocols.errors import told
from tornio.api import COUNT_HEADER, JSON_LINES, PredictIn, Prediction
from tornio.errors import InvalidInput, TemporaryError, Throttled, TornioError

MAX_LINES = 100_000
"""Texts in one request."""
TEXTS_AT_ONCE = 200
"""Texts that are classified together: other requests wait no longer for these than for any request."""
PATIENCE_S = 600.0
"""Seconds without a prediction after which the answer ends, if the model is busy or the key is beyond its limit."""
PAUSE_S = 1.0
"""Seconds before a part is asked for again, at least."""

Ask = Callable[[Sequence[str]], Awaitable[Sequence[Prediction]]]
"""Classifies the texts of a part."""

router = APIRouter(prefix="/v1", tags=["predictions"], responses=PROBLEMS)

_LINES = {
    "requestBody": {
        "required": True,
        "content": {
            JSON_LINES: {
                "schema": {"type": "string", "description": 'Lines such as {"id": 7, "text": "..."} or "...".'},
                "example": '{"id": 7, "text": "Where is my parcel?"}\n"Thank you"\n',
            }
        },
    }
}
_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A line for each text, in their order: its prediction, and its `id` if it came with one. The "
        f"header {COUNT_HEADER} has their number. If the model fails on the way, the last line is "
        '{"error": ...}, with a problem document.',
        "content": {JSON_LINES: {"schema": {"type": "string"}}},
    }
}


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str | int | None = None
    text: str


_ANY_LINE = TypeAdapter[_Line | str](_Line | str)


@dataclass(frozen=True, slots=True)
class Part:
    """Texts that are classified together, and their ids."""

    ids: list[str | int | None]
    texts: list[str]


def read_lines(body: bytes) -> list[Part]:
    """Read the lines of a request. Raises InvalidInput, which names the line."""
    numbered = [(number, line) for number, line in enumerate(body.split(b"\n"), 1) if line.strip()]
    if not 0 < len(numbered) <= MAX_LINES:
        raise InvalidInput(f"The request has {len(numbered):,} texts. It may have 1 to {MAX_LINES:,}, each in a line.")
    parts = []
    for at in range(0, len(numbered), TEXTS_AT_ONCE):
        read = [_read(number, line) for number, line in numbered[at : at + TEXTS_AT_ONCE]]
        parts.append(Part([one.id for one in read], [one.text for one in read]))
    return parts


def _read(number: int, line: bytes) -> _Line:
    try:
        read = _ANY_LINE.validate_json(line)
        one = _Line(text=read) if isinstance(read, str) else read
        PredictIn(texts=[one.text])
    except ValidationError as error:
        raise InvalidInput(told(error, f"Line {number}")) from None
    return one


@router.post(
    "/tasks/{workspace}/{task}/predict-lines",
    openapi_extra=_LINES,
    responses=_ANSWER,
    response_class=StreamingResponse,
)
async def predict_lines(request: Request, task: Task, answering: TheAnswering, caller: Reader) -> StreamingResponse:
    """Classify a long list of texts. Each line of the answer names the version that made it, which may change."""
    parts = await asyncio.to_thread(read_lines, await request.body())
    ask = partial(answering.predict, caller, task)
    first = await ask(parts[0].texts)  # what fails at once is answered with a status
    count = sum(len(part.texts) for part in parts)
    return StreamingResponse(_answers(ask, parts, first), media_type=JSON_LINES, headers={COUNT_HEADER: str(count)})


async def _answers(ask: Ask, parts: Sequence[Part], first: Sequence[Prediction]) -> AsyncIterator[bytes]:
    yield _lines(parts[0], first)
    for part in parts[1:]:
        try:
            predictions = await _predicted(ask, part.texts)
        except TornioError as error:
            problem = json.loads(bytes(problem_document(Failure.of(error)).body))
            yield json.dumps({"error": problem}).encode() + b"\n"
            return
        yield _lines(part, predictions)


async def _predicted(
    ask: Ask,
    texts: Sequence[str],
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Sequence[Prediction]:
    """Return the predictions. While the model is busy or the key is beyond its limit, the answer waits: the client has
    nothing to send again. It waits out at least the first time that the limit names."""
    end = now() + PATIENCE_S
    while True:
        try:
            return await ask(texts)
        except TemporaryError as error:
            if now() >= end:
                raise
            named = error.retry_after if isinstance(error, Throttled) else 0.0
        await sleep(max(PAUSE_S, named))


def _lines(part: Part, predictions: Sequence[Prediction]) -> bytes:
    rows = (
        ({} if name is None else {"id": name}) | asdict(prediction)
        for name, prediction in zip(part.ids, predictions, strict=True)
    )
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
