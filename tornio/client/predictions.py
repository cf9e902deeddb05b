"""Ask for the predictions of many texts: in requests of a bounded size, and several of them at the same time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import aclosing
from itertools import islice
from threading import Event
from typing import Any, TypeVar

from tornio import api
from tornio.client.chunks import chunks, json_size
from tornio.client.http import Patience
from tornio.client.wire import Wire
from tornio.errors import InvalidInput, TornioError
from tornio.records import Prediction
from tornio.visible import has_visible

Progress = Callable[[int], None]
"""Called with the number of items done since the last call."""
Ask = Callable[[list[str], Patience | None], Coroutine[Any, Any, list[Prediction]]]
"""Sends one request, and returns its answers in order."""
REQUEST_TEXTS = 250
"""Texts in one request for predictions. The server accepts more, but the answer to many takes long."""
REQUEST_BYTES = 128 << 10
"""Bytes of text in one request for predictions: about 32,000 tokens, which take a slow processor some seconds."""
M = TypeVar("M", Prediction, api.ZeroShotPrediction)


def silent(_: int) -> None:
    """The default for ``progress``, which does nothing."""


async def predict_each(
    wire: Wire, ask: Ask, texts: Iterable[str], progress: Progress, at_once: int, retry_seconds: float | None
) -> AsyncGenerator[Prediction, None]:
    """Yield the predictions of texts in their order. Only the texts of the requests under way are in memory.

    ``at_once``: how many requests. The first one is always alone, so that a wrong address or task is found out once and
    soon. ``retry_seconds``: how long each later request is repeated; None: as the client repeats any other.
    """
    requests = chunks(readable(texts), REQUEST_TEXTS, REQUEST_BYTES, json_size)
    over = Event()
    patience = None if retry_seconds is None else Patience(retry_seconds, over)

    async def answered(chunk: list[str], how: Patience | None = patience) -> list[Prediction]:
        return whole(await ask(chunk, how), chunk)

    try:
        how = None
        for chunk in islice(requests, None if at_once == 1 else 1):
            for prediction in await answered(chunk, how):
                yield prediction
            progress(len(chunk))
            how = patience
        async with aclosing(wire.in_order(answered, requests, at_once, over)) as later:
            async for answers in later:
                for prediction in answers:
                    yield prediction
                progress(len(answers))
    finally:
        over.set()


def readable(texts: Iterable[str]) -> Iterator[str]:
    """Yield the texts. Raises InvalidInput for one that has nothing to classify, with its number."""
    if isinstance(texts, str):
        raise InvalidInput("The texts are one string. Give a list of texts, also for a single text.")
    for number, text in enumerate(texts, 1):
        if not has_visible(text):
            raise InvalidInput(
                f"Text {number:,} is empty or has no visible character, so there is nothing to classify."
            )
        yield text


def whole(predictions: list[M], texts: Sequence[str]) -> list[M]:
    """Return the predictions. Raises TornioError if there is not one for each text."""
    if len(predictions) != len(texts):
        raise TornioError(f"The server answered {len(predictions)} of {len(texts)} texts. Check that its release fits.")
    return predictions
