"""Live texts that a replica samples: drawn only where the spec wants it, redacted, bounded, added later."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import EntryPoint

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services import metrics
from services.classifier.feedback import Feedback, Sampler
from services.classifier.redaction import GROUP, CannotRedact, Redaction
from services.metrics import RecordingMeter
from tornio.api import TaskName
from tornio.errors import NotFound, Unavailable
from tornio.spec import FeedbackSpec

pytestmark = pytest.mark.unit
TASK = "acme/reviews"
ALL = FeedbackSpec(share=1.0)


class FakePool:
    """Pools that remember what was added."""

    def __init__(self, policy: FeedbackSpec | None = ALL) -> None:
        self.now, self.texts, self.away, self.gone = policy, list[str](), False, False

    async def policy(self, task: TaskName) -> FeedbackSpec | None:
        self._answer()
        return self.now

    async def add(self, task: TaskName, texts: Sequence[str]) -> Mapping[str, int]:
        self._answer()
        if self.now is None:
            return {"switched-off": len(texts)}
        self.texts += texts
        return {"added": len(texts)}

    def _answer(self) -> None:
        if self.away:
            raise Unavailable("no answer")
        if self.gone:
            raise NotFound("deleted")


class House:
    def __init__(self, *points: EntryPoint, policy: FeedbackSpec | None = ALL, most: int = 4) -> None:
        self.pool, self.meter = FakePool(policy), RecordingMeter()
        self.sampler = Sampler(lambda: 0.5, most)
        self.feedback = Feedback(self.sampler, self.pool, Redaction(points), self.meter, most)

    def offer(self, *texts: str) -> None:
        self.sampler.offer(TASK, texts)

    def look(self) -> None:
        asyncio.run(self.feedback.look())

    def flush(self) -> list[str]:
        asyncio.run(self.feedback.flush())
        return self.pool.texts

    def counted(self, outcome: str) -> float:
        return sum(self.meter.of(metrics.LIVE_TEXTS, task=TASK, outcome=outcome))


def shout(text: str) -> str:
    return text.upper()


def hide(text: str) -> str | None:
    return None if "secret" in text.lower() else text


def fail(text: str) -> str:
    raise ValueError(f"cannot read {text}")


def number(text: str) -> int:
    return len(text)


def point(name: str, function: Callable[[str], object] | str) -> EntryPoint:
    where = function if isinstance(function, str) else function.__name__
    return EntryPoint(name, f"{__name__}:{where}", GROUP)


def test_nothing_is_drawn_before_the_spec_is_known_to_want_it() -> None:
    house = House()
    house.offer("too early")
    house.look()
    house.offer("in time")
    assert house.flush() == ["in time"]
    assert house.counted("added") == 1


def test_a_task_without_the_section_keeps_nothing() -> None:
    house = House(policy=None)
    house.offer("one")
    house.look()
    house.offer("two")
    house.pool.now = ALL
    assert house.flush() == []


def test_a_section_that_is_taken_out_takes_what_waits_with_it() -> None:
    house = House()
    house.offer("one")
    house.look()
    house.offer("two")
    house.pool.now = None
    house.look()
    house.pool.now = ALL
    assert house.flush() == []
    house.offer("three")
    house.look()
    house.offer("four")
    house.pool.now = None
    assert house.flush() == []
    assert house.counted("switched-off") == 1


def test_a_task_that_is_gone_is_forgotten() -> None:
    house = House()
    house.offer("one")
    house.look()
    house.offer("two")
    house.pool.gone = True
    house.flush()
    house.look()
    house.pool.gone = False
    house.offer("three")
    assert house.flush() == []


def test_while_the_store_is_away_texts_wait_within_the_bound() -> None:
    house = House(most=3)
    house.offer("one")
    house.look()
    house.pool.away = True
    house.offer("one", "two")
    house.flush()
    house.offer("three", "four")
    house.look()  # raises nothing, and the policy stays
    house.flush()
    house.pool.away = False
    assert house.flush() == ["one", "two", "three"]
    assert house.flush() == ["one", "two", "three"]
    assert (house.counted("added"), house.counted("queue-full")) == (3, 1)


def test_long_texts_and_texts_beyond_the_queue_are_left_out_and_counted() -> None:
    house = House(policy=FeedbackSpec(share=1, longest=5), most=2)
    house.offer("")
    house.look()
    house.offer("longer", "one", "two", "three")
    assert house.flush() == ["one", "two"]
    assert (house.counted("too-long"), house.counted("queue-full")) == (1, 1)


def test_every_installed_redaction_applies_in_the_order_of_names() -> None:
    house = House(point("b", shout), point("a", hide))
    house.offer("")
    house.look()
    house.offer("a secret", "no harm")
    assert house.flush() == ["NO HARM"]
    assert house.counted("redacted-away") == 1


@pytest.mark.parametrize("broken", [fail, number, "missing"])
def test_a_redaction_that_fails_drops_the_text_and_the_log_does_not_show_it(
    broken: Callable[[str], object] | str, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(point("a", broken), point("b", shout))
    house.offer("")
    house.look()
    with caplog.at_level(logging.INFO):
        house.offer("private one", "private two")
        assert house.flush() == []
    assert house.counted("redaction-failed") == 2
    (line,) = caplog.messages
    assert "private" not in caplog.text
    assert "'a'" in line


def test_an_error_of_a_redaction_does_not_carry_the_text() -> None:
    with pytest.raises(CannotRedact) as caught:
        Redaction([point("a", fail)]).clean("private")
    assert caught.value.__suppress_context__
    assert str(caught.value) == ""


def test_what_was_drawn_is_added_when_the_replica_ends() -> None:
    async def live(house: House) -> None:
        house.feedback.start()
        house.offer("early")
        await house.feedback.look()
        house.offer("last")
        await house.feedback.stop()

    house = House()
    asyncio.run(live(house))
    assert house.pool.texts == ["last"]


@given(
    share=st.floats(0.001, 1),
    requests=st.lists(st.lists(st.tuples(st.text(max_size=8), st.floats(0, 1, exclude_max=True)), max_size=9)),
    most=st.integers(1, 9),
)
def test_exactly_the_drawn_texts_are_kept_up_to_the_bound(
    share: float, requests: list[list[tuple[str, float]]], most: int
) -> None:
    draws = iter([draw for request in requests for _, draw in request])
    sampler = Sampler(lambda: next(draws), most)
    sampler.follow(TASK, FeedbackSpec(share=share, longest=5))
    for request in requests:
        sampler.offer(TASK, [text for text, _ in request])
    drawn = [text for request in requests for text, draw in request if draw < share]
    short = [text for text in drawn if len(text) <= 5]
    assert sampler.take().get(TASK, []) == short[:most]
    left = sampler.left_out()
    assert left.get((TASK, "too-long"), 0) == len(drawn) - len(short)
    assert left.get((TASK, "queue-full"), 0) == len(short[most:])
    assert not sampler.take()
    assert not sampler.left_out()
