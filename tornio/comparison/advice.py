"""Summarise the cells of a comparison, and say which contender to use. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from scipy import stats

from tornio.schemas.comparison import Band, CellResult, ComparisonRow

CONFIDENCE = 0.9
MORE = 100
"""The labels whose worth is estimated."""
LEAST_SIZES = 3
"""A curve through fewer points says nothing about its continuation."""

Scores = Mapping[int, float]
"""Micro F1 of one contender and size, by seed."""


def band(values: Sequence[float]) -> Band:
    """Return the mean over seeds and the ends of its interval (Student's t), within [0, 1].

    The interval shows how much slices and seeds differ. With one value there is none.
    """
    found = interval(values)
    if found.low is None or found.high is None:
        return found
    return Band(mean=found.mean, low=max(0.0, found.low), high=min(1.0, found.high))


def interval(values: Sequence[float]) -> Band:
    """Return a mean over seeds with its interval, which has no bounds of its own as scores have."""
    mean, half = float(np.mean(values)), half_width(values)
    return Band(mean=mean) if half is None else Band(mean=mean, low=mean - half, high=mean + half)


def summarise(results: Iterable[CellResult]) -> tuple[ComparisonRow, ...]:
    """Return one row for each contender and size, in the order of the results."""
    groups: dict[tuple[str, int], list[CellResult]] = {}
    for result in results:
        groups.setdefault((result.cell.contender.name, result.cell.size), []).append(result)
    return tuple(_row(name, size, group) for (name, size), group in groups.items())


def use_now(results: Sequence[CellResult]) -> str:
    """Return which contender to use with the largest number of labels, in one to three sentences.

    It is the method with the highest mean micro F1 of those that succeeded with as many seeds as any other; a baseline
    that is better is named, and cannot be used. Contenders whose paired difference to it has an interval that includes
    0 are as good as far as these seeds can tell. They are named, and how much faster they are. Those that succeeded
    with fewer seeds are named, too.
    """
    final, seconds = _final(results), _seconds(results)
    best = _best(results)
    if best is None:
        return "Nothing can be recommended, because no training succeeded."
    sentence = f"Use {best} now: micro F1 {_shown(final[best])} with the most labels."
    better = {name: scores for name, scores in final.items() if _mean(scores) > _mean(final[best])}
    others = {name: scores for name, scores in final.items() if name not in better}
    said = (sentence, _told_apart(others, seconds, best), _without_method(better), _left_out(results, final))
    return " ".join(filter(None, said))


def _without_method(better: Mapping[str, Scores]) -> str:
    """Name the baselines that are better than the best method: no task can be given one."""
    named = ", ".join(f"{name} ({_mean(scores):.3f})" for name, scores in better.items())
    return f"Better, but only to compare with, because no training method makes it: {named}." if named else ""


def _told_apart(final: Mapping[str, Scores], seconds: Mapping[str, float], best: str) -> str:
    """Say whether these seeds show that the best contender is better than the others. Empty: there is no other."""
    if len(final[best]) < 2:
        return "One seed shows no difference for sure: compare with at least 2, better 5."
    if len(final) == 1:
        return ""
    ties = [name for name in final if name != best and _as_good(final[best], final[name])]
    if not ties:
        return "The 90 % intervals of its differences to the others exclude 0."
    named = ", ".join(f"{name} ({_mean(final[name]):.3f}{_faster(seconds[best], seconds[name])})" for name in ties)
    return f"These seeds cannot tell it apart from: {named}."


def _left_out(results: Sequence[CellResult], final: Mapping[str, Scores]) -> str:
    """Name the contenders that are not compared with the best, and how many of their trainings succeeded."""
    asked: dict[str, list[bool]] = {}
    for result in _largest(results):
        asked.setdefault(result.cell.contender.name, []).append(result.micro_f1 is not None)
    named = ", ".join(f"{name} ({sum(each)} of {len(each)})" for name, each in asked.items() if name not in final)
    return f"Left out, because fewer of their trainings succeeded: {named}." if named else ""


def next_labels(results: Sequence[CellResult]) -> str:
    """Return what ``MORE`` labels would bring to the recommended contender, in a sentence.

    For each seed a power law is fitted to its errors over the number of texts, by least squares on logarithms. The
    sentence has the mean of the gains and their interval over seeds. Source: Hestness et al. (2017), "Deep Learning
    Scaling is Predictable, Empirically", section 3.
    """
    name = _best(results)
    cannot = f"What the next {MORE} labels would bring cannot be said:"
    if name is None:
        return f"{cannot} no training succeeded."
    curves = _curves(results, name)
    if not curves:
        return f"{cannot} {name} learns from no label."
    gains = [gain for curve in curves.values() if (gain := _gain(curve)) is not None]
    if not gains:
        return f"{cannot} that takes at least {LEAST_SIZES} sizes for one seed. Give more --sizes."
    mean, half = float(np.mean(gains)), half_width(gains)
    between = "" if half is None else f" (90 %: {100 * (mean - half):+.1f} to {100 * (mean + half):+.1f})"
    return (
        f"If its curve goes on as it is, the next {MORE} labels change the micro F1 of {name} by {100 * mean:+.1f} "
        f"points{between}."
    )


def _best(results: Sequence[CellResult]) -> str | None:
    """The method with the highest mean at the largest size, the faster of two that are alike. None: all failed.

    Where no method has succeeded, it is the best of the others: a baseline cannot be chosen in a task.
    """
    final, seconds, methods = _final(results), _seconds(results), _methods(results)
    return max(final, key=lambda name: (name in methods, _mean(final[name]), -seconds[name]), default=None)


def _methods(results: Sequence[CellResult]) -> set[str]:
    """The contenders that a training method makes; the others are baselines and the teacher."""
    return {result.cell.contender.name for result in results if result.cell.contender.method is not None}


def _faster(best: float, other: float) -> str:
    return f", {best / other:.0f} times as fast" if other > 0 and best >= 2 * other else ""


def _final(results: Sequence[CellResult]) -> dict[str, Scores]:
    """Micro F1 by seed of each contender at the largest size, if it succeeded with as many seeds as any other.

    Contenders without labels are judged by what they have.
    """
    found: dict[str, dict[int, float]] = {}
    for result in _largest(results):
        if result.micro_f1 is not None:
            found.setdefault(result.cell.contender.name, {})[result.cell.seed] = result.micro_f1
    most = max(map(len, found.values()), default=0)
    return {name: scores for name, scores in found.items() if len(scores) == most}


def _largest(results: Sequence[CellResult]) -> list[CellResult]:
    """The results at the largest size, and those of contenders without labels."""
    largest = max((result.cell.size for result in results), default=0)
    return [result for result in results if result.cell.size in (0, largest)]


def _seconds(results: Sequence[CellResult]) -> dict[str, float]:
    """Mean time of a training of each contender at its largest size."""
    found: dict[str, list[tuple[int, float]]] = {}
    for result in results:
        found.setdefault(result.cell.contender.name, []).append((result.cell.size, result.seconds))
    return {
        name: float(np.mean([seconds for size, seconds in each if size == max(each)[0]]))
        for name, each in found.items()
    }


def _as_good(best: Scores, other: Scores) -> bool:
    """Whether the interval of the paired differences includes 0. With fewer than two seeds in common there is no
    interval, and nothing tells the two apart."""
    seeds = sorted(set(best) & set(other))
    differences = [best[seed] - other[seed] for seed in seeds]
    half = half_width(differences)
    return half is None or float(np.mean(differences)) <= half


def half_width(values: Sequence[float]) -> float | None:
    """Return half of the 90 % interval of a mean over seeds (Student's t); None with one value."""
    if len(values) < 2:
        return None
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * stats.sem(values))


def _curves(results: Sequence[CellResult], name: str) -> dict[int, list[tuple[int, float]]]:
    """The number of texts and the error of each size, by seed."""
    found: dict[int, list[tuple[int, float]]] = {}
    for result in results:
        if result.cell.contender.name == name and result.micro_f1 is not None and result.texts:
            found.setdefault(result.cell.seed, []).append((result.texts, 1 - result.micro_f1))
    return found


def _gain(curve: Sequence[tuple[int, float]]) -> float | None:
    """How much lower the error is ``MORE`` texts after the last point of the curve, by its power law."""
    if len({texts for texts, _ in curve}) < LEAST_SIZES:
        return None
    texts, errors = np.array(sorted(curve), dtype=np.float64).T
    slope, level = np.polyfit(np.log(texts), np.log(np.maximum(errors, 1e-3)), 1)
    now, later = (float(np.exp(level + slope * np.log(n))) for n in (texts[-1], texts[-1] + MORE))
    return now - later


def _row(name: str, size: int, group: Sequence[CellResult]) -> ComparisonRow:
    scored = [one for one in group if one.micro_f1 is not None and one.macro_f1 is not None]
    return ComparisonRow(
        contender=name,
        size=size,
        texts=round(float(np.mean([one.texts for one in scored]))) if scored else 0,
        seeds=len(scored),
        micro_f1=band([one.micro_f1 for one in scored if one.micro_f1 is not None]) if scored else None,
        macro_f1=band([one.macro_f1 for one in scored if one.macro_f1 is not None]) if scored else None,
        seconds=float(np.mean([one.seconds for one in scored])) if scored else 0.0,
        errors=tuple(dict.fromkeys(one.error for one in group if one.error)),
    )


def _mean(scores: Scores) -> float:
    return float(np.mean(list(scores.values())))


def _shown(scores: Scores) -> str:
    found = band(list(scores.values()))
    return f"{found.mean:.3f}" if found.low is None else f"{found.mean:.3f} (90 %: {found.low:.3f} to {found.high:.3f})"
