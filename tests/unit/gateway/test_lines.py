"""Long lists of texts as lines of JSON, in and out."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway import lines
from services.gateway.lines import TEXTS_AT_ONCE, _predicted, read_lines
from services.limits.local import LocalLimits
from services.limits.port import KeyLimits
from tests.unit.gateway.fake import KEYS, PREDICTOR, AppTransport, FakeBackend, FakeTask, app_of
from tornio.api import Prediction, TaskName
from tornio.errors import InvalidInput, NotFound, Throttled, Unavailable
from tornio.spec import TaskSpec

pytestmark = pytest.mark.unit

PATH = "/v1/tasks/acme/support/predict-lines"


class Backend(FakeBackend):
    """``troubles``: raised one after the other, from the second request to the model on."""

    troubles: list[Exception]

    async def predict(self, task: TaskName, texts: Sequence[str], version: str | None = None) -> Sequence[Prediction]:
        if self.calls and self.troubles:
            raise self.troubles.pop(0)
        return await super().predict(task, texts, version)


@pytest.fixture
def backend() -> Backend:
    spec = TaskSpec.model_validate({"workspace": "acme", "name": "support", "labels": ["billing", "bug"]})
    made = Backend({TaskName("acme", "support"): FakeTask(spec)})
    made.troubles = []
    made.serve("acme/support")
    return made


def post(backend: FakeBackend, content: bytes, path: str = PATH, **headers: str) -> httpx.Response:
    with httpx.Client(transport=AppTransport(app_of(backend, KEYS)), base_url="http://tornio") as client:
        key = {"Authorization": f"Bearer {PREDICTOR}"}
        return client.post(path, content=content, headers=key | {"Content-Type": "application/jsonl"} | headers)


def rows(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/jsonl"
    return [json.loads(line) for line in response.text.splitlines()]


def texts(count: int) -> bytes:
    return b"".join(json.dumps({"id": n, "text": f"text {n}"}).encode() + b"\n" for n in range(count))


def test_each_line_is_answered_in_its_order(backend: Backend) -> None:
    response = post(backend, b'{"id": "a", "text": "one"}\r\n\n"two"\n{"text": "three", "id": 7}')
    assert response.headers["tornio-count"] == "3"
    found = rows(response)
    assert [row.get("id") for row in found] == ["a", None, 7]
    assert (
        found[0].items()
        >= {
            "id": "a",
            "labels": ["billing"],
            "probabilities": {"billing": 0.75, "bug": 0.25},
            "truncated": False,
            "version": "v1",
            "revision": 1,
            "taught_by": None,
            "multi_label": False,
        }.items()
    )


def test_a_long_list_is_classified_in_parts_and_may_come_packed(backend: Backend) -> None:
    count = 2 * TEXTS_AT_ONCE + 1
    response = post(backend, gzip.compress(texts(count)), **{"Content-Encoding": "gzip"})
    assert [row["id"] for row in rows(response)] == list(range(count))
    assert backend.calls == [f"predict {TEXTS_AT_ONCE}"] * 2 + ["predict 1"]


def test_a_busy_model_is_waited_for(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "PAUSE_S", 0)
    backend.troubles = [Unavailable("busy")] * 3
    assert len(rows(post(backend, texts(TEXTS_AT_ONCE + 1)))) == TEXTS_AT_ONCE + 1


@pytest.mark.parametrize("trouble", [Unavailable("still busy"), NotFound("deleted meanwhile")])
def test_an_answer_that_ends_early_says_why(
    backend: Backend, trouble: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "PATIENCE_S", 0)
    backend.troubles = [trouble] * 100
    response = post(backend, texts(TEXTS_AT_ONCE + 1))
    found = rows(response)
    assert (len(found), response.headers["tornio-count"]) == (TEXTS_AT_ONCE + 1, str(TEXTS_AT_ONCE + 1))
    assert found[-1]["error"]["detail"] == str(trouble)


@dataclass
class Throttling:
    """A key with a limit, in a time that sleepers move on. ``beside`` is sent after each pause, as single texts."""

    limits: KeyLimits
    beside: Callable[[float], int] = lambda pause: 0
    clock: float = 0.0
    bucket: LocalLimits = field(init=False)

    def __post_init__(self) -> None:
        self.bucket = LocalLimits(lambda: self.clock)

    async def ask(self, texts: Sequence[str]) -> Sequence[Prediction]:
        self.bucket.take("shop", self.limits, len(texts), 0)
        return []

    async def sleep(self, seconds: float) -> None:
        for _ in range(count := self.beside(seconds)):
            self.clock += seconds / count
            with suppress(Throttled):
                await self.ask(["a"])
        if not count:
            self.clock += seconds

    async def predicted(self, parts: int) -> None:
        for _ in range(parts):
            await _predicted(self.ask, ["a"] * TEXTS_AT_ONCE, lambda: self.clock, self.sleep)


def test_a_stream_waits_while_its_key_is_used_elsewhere() -> None:
    shared = Throttling(KeyLimits(texts_per_second=50), lambda pause: int(45 * pause))
    asyncio.run(shared.predicted(10))
    assert shared.clock > 8 * 30  # the burst is two parts, and each further one takes 40 s


def test_a_slow_key_waits_for_as_long_as_its_limit_says() -> None:
    slow = Throttling(KeyLimits(texts_per_second=0.1))
    asyncio.run(slow.predicted(3))
    assert slow.clock > 2 * lines.PATIENCE_S


def test_a_stream_whose_key_never_has_room_ends_after_a_time() -> None:
    full = Throttling(KeyLimits(texts_per_second=50, burst_texts=200), lambda pause: int(200 * pause))
    with pytest.raises(Throttled):
        asyncio.run(full.predicted(2))
    assert lines.PATIENCE_S <= full.clock < lines.PATIENCE_S + 10


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "0 texts"),
        (b"\n\n", "0 texts"),
        (b'"a"\n{"text": 3}\n', "Line 2"),
        (b'"a"\n\n{"id": 1}\n', "Line 3"),
        (b'"a"\nnot json\n', "Line 2"),
        (b'" "\n', "people can see"),
        (b'{"text": "a", "label": "b"}\n', "label"),
        (b'"\xff"\n', "Line 1"),
        (b'"a"\n' * 100_001, "100,001 texts"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_before_any_answer(backend: Backend, content: bytes, says: str) -> None:
    refused = post(backend, content)
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    assert says in refused.json()["detail"]
    assert backend.calls == []


def test_what_fails_at_once_has_its_status(backend: Backend) -> None:
    assert post(backend, b'"a"\n', "/v1/tasks/acme/none/predict-lines").status_code == 404
    assert post(backend, b'"a"\n', "/v1/tasks/other/secret/predict-lines").status_code == 403
    backend.fails = Unavailable("busy")
    assert post(backend, b'"a"\n').status_code == 503


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=20).map(lambda word: f"a{word}"), min_size=1))
def test_any_texts_come_back(given_texts: list[str]) -> None:
    body = "".join(json.dumps(text, ensure_ascii=False) + "\n" for text in given_texts).encode()
    assert [text for part in read_lines(body) for text in part.texts] == given_texts


@given(st.binary(max_size=60))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    try:
        parts = read_lines(body)
    except InvalidInput:
        return
    assert parts
