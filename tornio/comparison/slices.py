"""Which labelled texts a contender learns from, and which judge it. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tornio.arrays import IntArray
from tornio.errors import InvalidInput
from tornio.seeds import derive_seed
from tornio.training.targets import stratified_folds

FOLDS = 3
"""Folds of the cross-validation: three seeds judge each text once."""


def judged_rows(Y: IntArray, seed: int) -> IntArray:
    """Return the rows that judge the contenders of a seed, int64, ascending: one fold of a stratified split.

    ``Y``: int64 [n, labels] of 0 and 1. Seeds 0, 1 and 2 are the folds of one split, 3, 4 and 5 those of the next.
    """
    folds = stratified_folds(Y, FOLDS, derive_seed("comparison", seed // FOLDS))
    return np.flatnonzero(folds == seed % FOLDS)


def nested_rows(Y: IntArray, rows: IntArray, size: int, per_class: bool, seed: int) -> IntArray:
    """Return ``size`` of these rows, int64, ascending; with ``per_class``, ``size`` rows of each class.

    A smaller slice of the same seed lies within a larger one. Without ``per_class`` every slice has about the same
    share of each class as the rows. ``per_class`` needs rows with exactly one class.
    """
    rng = np.random.default_rng(derive_seed("slice", seed))
    shuffled = rows[rng.permutation(len(rows))]
    groups = _groups(Y[shuffled])
    places = np.empty(len(shuffled), dtype=np.float64)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        places[members] = np.arange(len(members)) if per_class else (np.arange(len(members)) + 0.5) / len(members)
    chosen = places < size if per_class else np.isin(np.arange(len(places)), np.argsort(places, kind="stable")[:size])
    return np.sort(shuffled[chosen])


def check_sizes(Y: IntArray, names: Sequence[str], sizes: Sequence[int], per_class: bool, multi_label: bool) -> None:
    """Raise InvalidInput for sizes that these labels cannot fill.

    ``Y``: int64 [n, labels], the rows that one seed has for training at least.
    """
    if per_class and multi_label:
        raise InvalidInput("--per-class needs one label per text, and this task allows several. Leave it out.")
    counts = Y.sum(axis=0)
    if (counts > 0).sum() < 2:
        raise InvalidInput("the labelled texts have one label only: label texts of at least two, then compare")
    most = max(sizes)
    if per_class and counts.min() < most:
        name = names[int(counts.argmin())]
        raise InvalidInput(
            f"{name!r} has {counts.min()} texts to learn from beside those that judge, and --sizes asks for {most} per "
            f"class. Ask for at most {counts.min()}{_such_as(counts.min())}, or label more texts with {name!r}."
        )
    if not per_class and len(Y) < most:
        raise InvalidInput(
            f"there are {len(Y)} labelled texts to learn from beside those that judge, and --sizes asks for {most}. "
            f"Ask for at most {len(Y)}{_such_as(len(Y))}."
        )


def _such_as(most: int) -> str:
    """Return an example of sizes up to this one; empty where there are too few texts for several."""
    return f", such as --sizes {most // 4},{most // 2},{most}" if most >= 8 else ""


def whole_numbers(given: Sequence[str], option: str, example: str, least: int) -> tuple[int, ...]:
    """Return the numbers of an option such as ``--sizes 8,16,32``, ascending and each once. Raises InvalidInput."""
    try:
        numbers = sorted({int(one) for one in given})
    except ValueError as error:
        raise InvalidInput(f"{option} takes whole numbers, such as {example}, and not {','.join(given)}") from error
    if not numbers or numbers[0] < least:
        raise InvalidInput(f"{option} takes numbers of at least {least}, such as {example}")
    return tuple(numbers)


def judged_by(texts: int, on_test: bool) -> str:
    """Say in a sentence what judged. ``texts``: how many texts of the test file, if there is one."""
    if on_test:
        return f"Judged by {texts:,} texts of the test file."
    return f"Judged by cross-validation over the training labels ({FOLDS} folds), never by the hold-out."


def _groups(Y: IntArray) -> IntArray:
    """Return a number for each row that rows with the same labels share, int64 [n]."""
    _, groups = np.unique(Y, axis=0, return_inverse=True)
    return np.asarray(groups, dtype=np.int64).reshape(-1)
