"""What replays show: learning curves, labels saved against random, and what stopping criteria would have done. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from sklearn.isotonic import isotonic_regression

from tornio.arrays import DoubleArray
from tornio.comparison.advice import band, interval
from tornio.schemas.comparison import Band
from tornio.schemas.simulation import Arm, ArmRow, ReplayResult, Saving, StopRow

RANDOM = "random"
"""The strategy, and the cold start, that the others are compared with."""

Runs = Mapping[int, ReplayResult]
"""The replays of one arm that succeeded, by seed."""


def curves(results: Iterable[ReplayResult]) -> tuple[ArmRow, ...]:
    """Return the mean scores of each arm after each batch, in the order of the results.

    The last batch of a seed may be smaller, where the pool has ended; its point is one of its own.
    """
    rows: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for result in results:
        for point in result.points:
            rows.setdefault((result.arm.name, point.labels), []).append((point.micro_f1, point.macro_f1))
    return tuple(
        ArmRow(
            arm=name,
            labels=labels,
            seeds=len(scores),
            micro_f1=band([micro for micro, _ in scores]),
            macro_f1=band([macro for _, macro in scores]),
        )
        for (name, labels), scores in rows.items()
    )


def savings(results: Sequence[ReplayResult]) -> tuple[Saving, ...]:
    """Return what each arm saves against its random one, in the order of the results: none without a common seed."""
    by_arm = _by_arm(results)
    return tuple(
        saving
        for arm, own in by_arm.items()
        if (random := _random_of(arm, by_arm)) is not None and (saving := _saving(arm, own, random, by_arm[random]))
    )


def stops(results: Sequence[ReplayResult]) -> tuple[StopRow, ...]:
    """Return what each stopping criterion would have done with each arm."""
    return tuple(row for arm, own in _by_arm(results).items() for row in _stops(arm, own))


def failures(results: Iterable[ReplayResult]) -> dict[str, tuple[str, ...]]:
    """Return why replays failed, by the arm's name."""
    found: dict[str, dict[str, None]] = {}
    for result in results:
        if result.error is not None:
            found.setdefault(result.arm.name, {})[result.error] = None
    return {name: tuple(errors) for name, errors in found.items()}


def conclusion(saved: Sequence[Saving]) -> str:
    """Return what the replays say, in one or two sentences."""
    if not saved:
        return "Nothing can be said, because no strategy was replayed beside the random one with success."
    best = max(saved, key=lambda one: (one.labels.mean, one.points.mean))
    difference = f"its micro F1 is {_range(best.points, 100, '+.1f')} points against it on average over the curve"
    sentence = (
        f"{best.arm} saves {_range(best.labels, 1, '.0f')} labels against {best.against}, and {difference} "
        f"({best.seeds} {'seed' if best.seeds == 1 else 'seeds'})."
    )
    if best.labels.mean <= 0:
        return f"No strategy saves labels on these data. {sentence}"
    if best.labels.low is None:
        return f"{sentence} One seed shows no difference for sure: replay at least 2, better 5."
    if best.labels.low <= 0:
        return f"{sentence} The interval includes 0, so these seeds cannot tell it apart from random."
    return sentence


def isotonic(values: Sequence[float]) -> DoubleArray:
    """Return the closest curve that never falls, float64 [n]: a score moves up and down by chance between batches."""
    return np.asarray(isotonic_regression(np.asarray(values, dtype=np.float64)), dtype=np.float64)


def needed(labels: Sequence[int], scores: DoubleArray, level: float) -> float:
    """Return with how many labels a curve that never falls first reaches a level, between two batches by a straight
    line. ``level`` is at most its last score."""
    place = int(np.argmax(scores >= level - 1e-12))
    if place == 0 or scores[place] == scores[place - 1]:
        return float(labels[place])
    share = (level - scores[place - 1]) / (scores[place] - scores[place - 1])
    return float(labels[place - 1] + share * (labels[place] - labels[place - 1]))


def labels_saved(own: ReplayResult, random: ReplayResult) -> float:
    """Return how many labels fewer a replay needs than a random one for the highest score that both reach.

    Both curves are made to never fall first. Two arms that are equal save 0 on average, because the two change places
    in the formula with the sign alone.
    """
    ours, theirs = (isotonic([point.micro_f1 for point in one.points]) for one in (own, random))
    level = float(min(ours[-1], theirs[-1]))
    needs = [
        needed([point.labels for point in one.points], scores, level) for one, scores in ((own, ours), (random, theirs))
    ]
    return needs[1] - needs[0]


def points_gained(own: ReplayResult, random: ReplayResult) -> float:
    """Return by how much the micro F1 is higher, on average over the numbers of labels that both have."""
    theirs = {point.labels: point.micro_f1 for point in random.points}
    differences = [point.micro_f1 - theirs[point.labels] for point in own.points if point.labels in theirs]
    return float(np.mean(differences)) if differences else 0.0


def _by_arm(results: Iterable[ReplayResult]) -> dict[Arm, dict[int, ReplayResult]]:
    found: dict[Arm, dict[int, ReplayResult]] = {}
    for result in results:
        if result.points and result.error is None:
            found.setdefault(result.arm, {})[result.seed] = result
    return found


def _random_of(arm: Arm, arms: Iterable[Arm]) -> Arm | None:
    """Return the arm that asks at random from the start, with the same kind of model and size of batches."""
    return next(
        (
            one
            for one in arms
            if one != arm
            and (one.strategy, one.cold_start) == (RANDOM, RANDOM)
            and (one.kind, one.batch_size) == (arm.kind, arm.batch_size)
        ),
        None,
    )


def _saving(arm: Arm, own: Runs, random: Arm, theirs: Runs) -> Saving | None:
    seeds = sorted(own.keys() & theirs.keys())
    if not seeds:
        return None
    pairs = [(own[seed], theirs[seed]) for seed in seeds]
    return Saving(
        arm=arm.name,
        against=random.name,
        seeds=len(seeds),
        labels=interval([labels_saved(*pair) for pair in pairs]),
        points=interval([points_gained(*pair) for pair in pairs]),
    )


def _stops(arm: Arm, own: Runs) -> Iterator[StopRow]:
    measured = [name for result in own.values() for point in result.points for name in point.signals]
    criteria = dict.fromkeys([*measured, *(name for result in own.values() for name in sorted(result.stops))])
    for name in criteria:
        at = [(result, result.stops[name]) for result in own.values() if name in result.stops]
        scores = [point.micro_f1 for result, labels in at for point in result.points if point.labels == labels]
        yield StopRow(
            arm=arm.name,
            criterion=name,
            seeds=len(own),
            stopped=len(at),
            labels=interval([float(labels) for _, labels in at]) if at else None,
            micro_f1=band(scores) if scores else None,
        )


def _range(band: Band, scale: float, digits: str) -> str:
    mean = f"{scale * band.mean:{digits}}"
    if band.low is None or band.high is None:
        return mean
    return f"{mean} (90 %: {scale * band.low:{digits}} to {scale * band.high:{digits}})"
