"""The port of query strategies: the data that a strategy may use, and the selection that it returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from tornio.arrays import DoubleArray, IntArray
from tornio.query.candidates import Candidates
from tornio.spec import Spec, TaskSpec


@dataclass(frozen=True, slots=True)
class Selection:
    """The texts that a strategy picked.

    ``rows``: int64 [k], positions among the candidates in the order in which labels are wanted, each once. ``shown``:
    float [k] in [0, 1], the uncertainty that annotators see, or None where the strategy has none.
    """

    rows: IntArray
    shown: DoubleArray | None = None


@runtime_checkable
class QueryStrategy(Protocol):
    """Picks the texts whose labels would teach the model most.

    A strategy never sees a text that is labelled, held out, deleted, or already in a batch, so it cannot ask for one.
    """

    @property
    def settings(self) -> type[Spec]:
        """The model of ``loop.strategy_settings``; ``candidates.settings`` holds a checked instance of it."""

    @property
    def reads_pool(self) -> bool:
        """Whether it looks at every candidate. The cost of a query then grows with the pool, and is planned for."""

    def select(self, candidates: Candidates, n: int, seed: int) -> Selection:
        """Pick at most ``n`` of the candidates. The same candidates and seed give the same selection."""


@runtime_checkable
class Choosy(Protocol):
    """A strategy that not every task can use. A package's strategy need not have this second interface."""

    def refusal(self, settings: Any, task: TaskSpec) -> str:
        """Return why this task cannot use it with these settings, as in "needs one label per text"; "" where it can.

        Raises InvalidSpec for settings that name what does not exist. It is called when a spec is applied.
        """
