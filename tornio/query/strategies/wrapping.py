"""Strategies that let other strategies pick: from fewer texts, for each label, or each for its share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tornio.arrays import BoolVector, IntArray
from tornio.errors import InvalidSpec
from tornio.plugins import Table, read_settings
from tornio.query.candidates import Candidates
from tornio.query.port import Choosy, QueryStrategy, Selection
from tornio.query.strategies.uncertainty import chosen
from tornio.spec import Spec, TaskSpec, setting
from tornio.spec.base import Choice

_SETTINGS = "loop.strategy_settings"


class InnerSettings(Spec):
    """The settings of a strategy that lets another one pick."""

    strategy: Choice = setting(
        "breaking-ties",
        change="live",
        doc="The strategy that picks. It cannot be one that itself lets others pick. Default breaking-ties.",
    )
    settings: dict[str, Any] = setting({}, change="live", doc="The settings of that strategy. Default its defaults.")


class Wrapper(ABC):
    """A strategy that lets others pick. ``table``: gives the table that names them."""

    reads_pool = True

    def __init__(self, table: Callable[[], Table[QueryStrategy]]) -> None:
        self._table = table

    def refusal(self, settings: Any, task: TaskSpec) -> str:
        """As ``Choosy.refusal``: also what an inner strategy refuses."""
        for name, (values, fields) in self.named(settings).items():
            self._table().check(name, fields[0])
            entry = self._table().get(name)
            if isinstance(entry, Wrapper):
                raise InvalidSpec(
                    f"{fields[0]}: {name!r} lets another strategy pick, too. Name one that picks by itself"
                )
            inner = read_settings(entry.settings, values, fields[1])
            if isinstance(entry, Choosy) and (why := entry.refusal(inner, task)):
                return f"lets {name!r} pick, which {why}"
        return ""

    @abstractmethod
    def named(self, settings: Any) -> Mapping[str, tuple[Mapping[str, Any], tuple[str, str]]]:
        """Return the inner strategies by name: their settings, and the fields of the spec that name and set them."""

    def pick(
        self, name: str, values: Mapping[str, Any], candidates: Candidates, positions: IntArray, n: int, seed: int
    ) -> IntArray:
        """Return what a strategy picks of the candidates at these positions, as positions, int64."""
        entry = self._table().get(name)
        inner = candidates.take(positions).given(read_settings(entry.settings, values, _SETTINGS))
        return positions[np.asarray(entry.select(inner, n, seed).rows, dtype=np.int64)]


class OneInside(Wrapper):
    """A strategy whose settings name one other."""

    def named(self, settings: Any) -> Mapping[str, tuple[Mapping[str, Any], tuple[str, str]]]:
        return {settings.strategy: (settings.settings, (f"{_SETTINGS}.strategy", f"{_SETTINGS}.settings"))}

    def inner(self, candidates: Candidates, positions: IntArray, n: int, seed: int) -> IntArray:
        """Return what the inner strategy picks of these positions."""
        settings: InnerSettings = candidates.settings
        return self.pick(settings.strategy, settings.settings, candidates, positions, n, seed)


class SubsampleSettings(InnerSettings):
    """The settings of ``subsample``."""

    size: int = setting(
        4096, unit="records", change="live", ge=10, le=1_000_000, doc="How many texts are drawn. Default 4096."
    )


class Subsample(OneInside):
    """Draws texts at random, of which another strategy picks: nothing is computed for the other ones.

    It makes any strategy cheap on a large pool, above all where the model has an encoder of its own and every candidate
    is a pass through it. A batch larger than the sample makes it as large as the batch.
    """

    settings = SubsampleSettings
    reads_pool = False

    def select(self, candidates: Candidates, n: int, seed: int) -> Selection:
        positions = candidates.subsample(max(n, candidates.settings.size), seed)
        return chosen(candidates, self.inner(candidates, positions, n, seed))


class ClassBalancerSettings(InnerSettings):
    """The settings of ``class-balancer``."""

    ignored: tuple[str, ...] = setting(
        (),
        change="live",
        doc="Labels that are not asked for while texts of others are left, such as a large rest. Default none.",
    )


class ClassBalancer(OneInside):
    """Lets another strategy pick for each label, among the texts that the model predicts to have it, so many that the
    labels come out even.

    Source: Fairstein et al. (2024), "Class Balancing for Efficient Active Learning in Imbalanced Datasets", LAW-XVIII,
    section 3. One text after the other goes to the label that has fewest labelled and picked texts, of those that are
    still predicted for a candidate, the first label of equals; small-text 2.0 draws between equals.
    """

    settings = ClassBalancerSettings

    def refusal(self, settings: Any, task: TaskSpec) -> str:
        if task.multi_label:
            return "needs one label per text (multi_label: false)"
        if unknown := sorted(set(settings.ignored) - set(task.label_names)):
            raise InvalidSpec(
                f"{_SETTINGS}.ignored: {', '.join(unknown)}: no such label. Labels: {', '.join(task.label_names)}"
            )
        return super().refusal(settings, task)

    def select(self, candidates: Candidates, n: int, seed: int) -> Selection:
        predicted = candidates.probabilities.argmax(axis=1) if len(candidates) else np.zeros(0, dtype=np.int64)
        have = candidates.labelled.labels.sum(axis=0)
        room = np.bincount(predicted, minlength=len(candidates.labels))
        ignored = np.isin(candidates.labels, candidates.settings.ignored)
        wanted = balanced(have, room, ignored, n)
        parts = [
            self.inner(candidates, np.flatnonzero(predicted == label), int(wanted[label]), seed)
            for label in np.flatnonzero(wanted)
        ]
        longest = max((len(part) for part in parts), default=0)
        turns = [part[turn] for turn in range(longest) for part in parts if turn < len(part)]
        return chosen(candidates, np.array(turns, dtype=np.int64))


def balanced(have: IntArray, room: IntArray, ignored: BoolVector, n: int) -> IntArray:
    """Return how many texts of each label are asked, int64 [K]: ``n`` in all, or all that there is ``room`` for.

    ``have``: labelled texts of each label; ``ignored``: bool [K], those that come last.
    """
    wanted = np.zeros(len(room), dtype=np.int64)
    for _ in range(min(n, int(room.sum()))):
        left = wanted < room
        first = left & ~ignored
        allowed = first if first.any() else left
        wanted[int(np.where(allowed, have + wanted, np.inf).argmin())] += 1
    return wanted


class MixedSettings(Spec):
    """The settings of ``mixed``."""

    shares: dict[Choice, float] = setting(
        {"breaking-ties": 0.8, "most-confident": 0.1, "random": 0.1},
        change="live",
        min_length=1,
        doc="What each strategy picks, as shares of the batch; their sum counts as all. Default eight of ten uncertain "
        "texts, one that the model is sure of, and one at random.",
    )
    settings: dict[str, dict[str, Any]] = setting(
        {}, change="live", doc="The settings of these strategies, by name. Default their defaults."
    )


class Mixed(Wrapper):
    """Lets several strategies pick, each its share, in the order of their names, from what those before have left.

    Sure predictions and random texts show the errors that uncertain texts alone never show. The shares are made whole
    by the largest remainder, the first of equals.
    """

    settings = MixedSettings

    def refusal(self, settings: Any, task: TaskSpec) -> str:
        if any(not 0 < share < np.inf for share in settings.shares.values()):
            raise InvalidSpec(f"{_SETTINGS}.shares: each share must be above 0. Leave out a strategy without a share")
        if unused := sorted(settings.settings.keys() - settings.shares.keys()):
            raise InvalidSpec(f"{_SETTINGS}.settings: {', '.join(unused)} has settings, but no share")
        return super().refusal(settings, task)

    def named(self, settings: Any) -> Mapping[str, tuple[Mapping[str, Any], tuple[str, str]]]:
        return {
            name: (settings.settings.get(name, {}), (f"{_SETTINGS}.shares", f"{_SETTINGS}.settings.{name}"))
            for name in settings.shares
        }

    def select(self, candidates: Candidates, n: int, seed: int) -> Selection:
        settings: MixedSettings = candidates.settings
        left, picked = np.arange(len(candidates)), np.zeros(0, dtype=np.int64)
        names = sorted(settings.shares)  # a stored spec has lost the order in which they were written
        parts = parts_of(min(n, len(left)), [settings.shares[name] for name in names])
        for name, part in zip(names, parts, strict=True):
            if part:
                new = self.pick(name, settings.settings.get(name, {}), candidates, left, part, seed)
                left, picked = np.setdiff1d(left, new, assume_unique=True), np.concatenate([picked, new])
        return chosen(candidates, picked)


def parts_of(n: int, shares: list[float]) -> list[int]:
    """Return whole numbers in proportion to the shares, whose sum is ``n``, by the largest remainder."""
    exact = n * np.array(shares) / sum(shares)
    parts = np.floor(exact).astype(np.int64)
    parts[np.argsort(parts - exact, kind="stable")[: n - int(parts.sum())]] += 1
    return [int(part) for part in parts]
