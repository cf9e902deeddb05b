"""A version on trial in a replica: who answers, what is compared and counted, and that no request fails."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
import pytest

from services.batching import Batcher, Run, tokens
from services.classifier.shelf import Loaded, Serving, Shelf
from services.classifier.trials import Trials
from services.messages import Aliases
from tornio.models.port import Scores
from tornio.records import Prediction
from tornio.schemas.trial import TrialCounts, TrialTerms

pytestmark = pytest.mark.unit

TASK = "support/tickets"
START = datetime(2026, 11, 22, tzinfo=UTC)
TERMS = TrialTerms(share=0.25, revision=1, started_at=START)
SHADOW = TERMS.evolve(share=0.0, shadow=True)
BOTH = TERMS.evolve(shadow=True)


class Constant:
    """Says the same about every text, unless one of them makes it fail. ``takes``: seconds a call by the fake clock."""

    thresholds: Mapping[str, float] = {}
    shared_encoder = None
    linear = False

    def __init__(self, house: House, chance: float, multi_label: bool = False, takes: float = 1.0) -> None:
        self.labels: tuple[str, ...] = ("no", "yes")
        self.multi_label = multi_label
        self.takes = takes
        self.fails: Exception | None = None
        self.chance = chance
        self._house = house

    def score(self, texts: Sequence[str]) -> Scores:
        self._house.now += self.takes
        if self.fails is not None or "poison" in texts:
            raise self.fails or ValueError("poison")
        self._house.entered.release()
        self._house.gate.acquire()
        rows = np.tile(np.array([[1 - self.chance, self.chance]], dtype=np.float32), (len(texts), 1))
        return Scores(rows, rows, np.zeros(len(texts), dtype=bool))


class House:
    """A replica without its store: aliases, a shelf with two versions, a batcher and the trials."""

    def __init__(self, terms: TrialTerms | None = TERMS, multi_label: bool = False) -> None:
        self.now = 0.0
        self.gate, self.entered = threading.Semaphore(10_000), threading.Semaphore(0)
        self.aliases = Aliases(("v1", 1), None, "v2", trial=terms)
        self.models = {"v1": Constant(self, 0.8, multi_label), "v2": Constant(self, 0.6, multi_label)}
        self.shelf = Shelf[Any](lambda task, version: Loaded(self.models[version], 10), lambda: 0.0)
        self.shelf.apply({TASK: self.aliases})
        while self.shelf.work() == 0:
            pass
        self.drawn = 0.0
        self.batcher = Batcher[tuple[str, bool], Prediction](self._bind, batch_tokens=1000, queue_tokens=10_000)
        self.trials = Trials(
            self.shelf, lambda task: self.aliases, self.batcher.later, lambda: self.drawn, lambda: self.now
        )

    def name(self, aliases: Aliases) -> None:
        self.aliases = aliases
        self.shelf.apply({TASK: aliases})

    async def ask(self, *texts: str, drawn: float = 0.0) -> list[Prediction]:
        self.drawn = drawn
        return list(await self.batcher.submit((TASK, self.trials.chosen(TASK)), texts or ("a text",)))

    async def idle(self) -> None:
        """Wait until the model has nothing left to do."""
        while self.batcher._worker is not None:
            await asyncio.sleep(0.001)

    @property
    def counts(self) -> TrialCounts:
        report = self.trials.report(self.shelf.report())[TASK].trial
        return report.counts if report else TrialCounts()

    def _bind(self, key: tuple[str, bool]) -> Run[Prediction]:
        serving = self.shelf.peek(key[0])
        assert serving is not None
        return self.trials.bind(key[0], serving, key[1])


def in_house(
    test: Callable[[House], Coroutine[Any, Any, None]], terms: TrialTerms | None = TERMS, multi_label: bool = False
) -> None:
    async def run() -> None:
        house = House(terms, multi_label)
        await asyncio.wait_for(test(house), 20)
        house.batcher.close()

    asyncio.run(run())


def test_the_draw_decides_for_a_whole_request_and_the_answer_names_its_version() -> None:
    async def test(house: House) -> None:
        for drawn, version in ((0.0, "v2"), (0.2499, "v2"), (0.25, "v1"), (0.99, "v1")):
            answers = await house.ask("one", "two", "three", drawn=drawn)
            assert {(one.version, one.revision) for one in answers} == {(version, 1)}
        await house.idle()
        assert house.counts.answered == 6

    in_house(test)


def test_what_the_candidate_answers_is_compared_with_what_serves_and_nothing_else_is() -> None:
    async def test(house: House) -> None:
        await house.ask("one", "two")
        await house.ask("three", drawn=0.9)
        await house.idle()
        counts = house.counts
        assert (counts.texts, counts.agreed, counts.confident) == (2, 2, 2)
        assert counts.confidence == pytest.approx(1.2)
        assert counts.current_confidence == pytest.approx(1.6)
        assert counts.squares == pytest.approx(2 * 0.2**2, rel=1e-5)
        assert (counts.calls, counts.current_calls, counts.errors, counts.current_errors) == (1, 1, 0, 0)

    in_house(test)


def test_a_shadow_answers_nobody_and_predicts_everything() -> None:
    async def test(house: House) -> None:
        house.models["v2"].chance = 0.4
        for drawn in (0.0, 0.5):
            assert {one.version for one in await house.ask("a", "b", drawn=drawn)} == {"v1"}
        await house.idle()
        counts = house.counts
        assert (counts.texts, counts.agreed, counts.answered) == (4, 0, 0)

    in_house(test, SHADOW)


def test_both_together_compare_everything_and_the_candidate_answers_its_share() -> None:
    async def test(house: House) -> None:
        versions = [(await house.ask(drawn=drawn))[0].version for drawn in (0.1, 0.9)]
        await house.idle()
        assert versions == ["v2", "v1"]
        assert (house.counts.texts, house.counts.answered, house.counts.calls) == (2, 1, 2)

    in_house(test, BOTH)


def test_a_candidate_that_fails_fails_no_request() -> None:
    async def test(house: House) -> None:
        house.models["v2"].fails = RuntimeError("out of memory")
        assert (await house.ask())[0].version == "v1"
        await house.idle()
        counts = house.counts
        assert (counts.calls, counts.errors, counts.current_calls, counts.current_errors) == (1, 1, 1, 0)
        assert not counts.broken

    in_house(test)


def test_numbers_that_are_not_finite_are_named_as_broken_and_what_serves_answers() -> None:
    async def test(house: House) -> None:
        house.models["v2"].chance = float("nan")
        assert (await house.ask())[0].version == "v1"
        await house.idle()
        assert "not finite" in house.counts.broken

    in_house(test)


def test_a_shadow_that_fails_is_counted_and_noticed_by_nobody() -> None:
    async def test(house: House) -> None:
        house.models["v2"].fails = RuntimeError("out of memory")
        assert (await house.ask())[0].version == "v1"
        await house.idle()
        assert (house.counts.calls, house.counts.errors, house.counts.texts) == (1, 1, 0)

    in_house(test, SHADOW)


def test_a_text_that_neither_can_predict_is_an_error_of_both_and_of_its_request_alone() -> None:
    async def test(house: House) -> None:
        outcomes = await asyncio.gather(house.ask("fine"), house.ask("poison"), return_exceptions=True)
        assert isinstance(outcomes[0], list)
        assert isinstance(outcomes[1], ValueError)
        await house.idle()
        assert house.counts.errors == house.counts.current_errors > 0

    in_house(test)


def test_nobody_waits_for_a_comparison_and_what_does_not_fit_is_counted() -> None:
    async def test(house: House) -> None:
        house.gate = threading.Semaphore(0)
        text = "x" * 1600
        first = asyncio.create_task(house.ask(text))
        await asyncio.to_thread(house.entered.acquire)
        others = [asyncio.create_task(house.ask(text)) for _ in range(4)]
        await asyncio.sleep(0)
        order = list[str]()
        for one in (first, *others):
            one.add_done_callback(lambda done: order.append(done.result()[0].version))
        house.gate.release(3)  # the first batch, and then two for the four that waited: no comparison is among them
        await asyncio.gather(first, *others)
        assert order == ["v2"] * 5
        house.gate.release(10)
        await house.idle()
        counts = house.counts
        assert tokens([text]) == 402
        assert (counts.answered, counts.texts, counts.dropped) == (5, 1, 4)

    in_house(test)


def test_more_than_twice_the_time_counts_as_slower() -> None:
    async def test(house: House) -> None:
        for takes in (2.0, 2.5):
            house.models["v2"].takes = takes
            await house.ask()
            await house.idle()
        counts = house.counts
        assert (counts.comparisons, counts.slower) == (2, 1)
        assert (counts.seconds, counts.current_seconds) == (4.5, 2.0)

    in_house(test)


def test_several_labels_per_text_agree_as_sets_and_have_no_confidence() -> None:
    async def test(house: House) -> None:
        await house.ask("a", "b")
        await house.idle()
        assert (house.counts.texts, house.counts.agreed, house.counts.confident) == (2, 2, 0)

    in_house(test, multi_label=True)


@pytest.mark.parametrize(
    "aliases",
    [
        Aliases(("v1", 1), None, "v2"),
        Aliases(("v1", 2), None, "v2", trial=TERMS),  # current has moved since, as by a rollback
        Aliases(("v2", 2), "v1", "v2", trial=TERMS),  # it was promoted
        Aliases(("v1", 1), None, None, trial=TERMS),
        Aliases(("v1", 1), None, "v3", trial=TERMS),  # it is still being loaded here
    ],
)
def test_without_a_trial_that_fits_what_serves_answers(aliases: Aliases) -> None:
    async def test(house: House) -> None:
        house.models["v3"] = Constant(house, 0.5)
        house.name(aliases)
        assert aliases.current is not None
        assert (await house.ask())[0].version == aliases.current[0]
        await house.idle()
        assert house.counts == TrialCounts()

    in_house(test)


def test_versions_with_other_labels_are_not_compared() -> None:
    async def test(house: House) -> None:
        house.models["v2"].labels = ("no", "perhaps")
        assert (await house.ask())[0].version == "v1"

    in_house(test)


def test_another_trial_counts_from_nothing_and_a_deleted_task_is_forgotten() -> None:
    async def test(house: House) -> None:
        await house.ask()
        await house.idle()
        house.name(Aliases(("v1", 1), None, "v2", trial=TERMS.evolve(started_at=START.replace(hour=1))))
        await house.ask("a", "b")
        await house.idle()
        assert house.counts.texts == 2
        assert TASK not in house.trials.report({})
        assert house.counts == TrialCounts()

    in_house(test)


def test_a_trial_that_ends_wakes_a_task_that_sleeps_so_that_its_version_can_be_deployed() -> None:
    shelf = Shelf[str](lambda task, version: Loaded(version, 10), lambda: 0.0, room=25)
    aliases = Aliases(("v1", 1), None, "v2", trial=TERMS)
    others = {"other/one": Aliases(("x", 1), None)}

    def work() -> None:
        while shelf.work() == 0:
            pass

    shelf.apply({TASK: aliases})
    work()
    shelf.apply({TASK: aliases, **others})
    shelf.serving("other/one") if shelf.peek("other/one") else None
    with pytest.raises(Exception, match="being loaded"):
        shelf.serving("other/one")
    work()
    assert shelf.report()[TASK].asleep
    shelf.apply({TASK: Aliases(("v1", 1), None, "v2"), **others})
    work()
    assert shelf.report()[TASK].ready == ("v1", "v2")


def test_serving_stays_whole_while_a_trial_begins_between_a_request_and_its_batch() -> None:
    async def test(house: House) -> None:
        serving = house.shelf.peek(TASK)
        assert isinstance(serving, Serving)
        run = house.trials.bind(TASK, serving, True)
        house.name(Aliases(("v2", 2), "v1", "v2"))
        answers = await asyncio.to_thread(partial(run, ["a"]))
        assert (answers[0].version, answers[0].revision) == ("v2", 1)

    in_house(test)
