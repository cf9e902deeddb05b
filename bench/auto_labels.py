"""Automatic labels with a bounded error: how often the bound is wrong, and how much of a pool it allows to label.

    python -m bench.auto_labels [--data ag_news,trec] [--labels 200] [--draws 200] [--models 3] [--first 10]
        [--target .05]

Models are few-shot heads of MiniLM, each learned from other labels. For each model, each draw takes a random hold-out
of a large labelled set, and what is left is the pool. Printed, over all draws and models: the share of draws in which
more of the pool's automatic labels are wrong than the target allows, the share in which none was allowed, and the mean
coverage of the pool. ``in sequence`` is what Tornio does. ``per class``: the same for each predicted class. ``again``:
looks at 100 labels and at each tenth more, as a version that serves for long is looked at; the first threshold that
passes is kept until it fails. ``Bonferroni``: each threshold of the same grid gets its share of the chance of error.
``plug-in``: the lowest threshold above which no more held-out labels are wrong than the target. The bars: a share of
failures not significantly above 1 - confidence (binomial test, 5 %, for each row), and 1.5 times Bonferroni's coverage.
Data: the folder in TORNIO_DATA, else ../shared/data beside the project.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import binomtest
from transformers.utils.logging import disable_progress_bar

from bench.texts import embedded, read
from tornio.arrays import BoolVector, IntArray
from tornio.evaluation.automatic import HeldOut, choose_threshold, coverage_grid, passes
from tornio.training.fewshot import fit_few_shot

CONFIDENCE = 0.9
SIZES = (100, 200, 300)
LARGE = 8000
"""Texts of a labelled set: the hold-out and the pool of each draw."""
FIRST_LOOK, GROWTH = 100, 1.1
BAR = 1.5
Rule = Callable[[HeldOut, HeldOut, float, int], BoolVector]
"""From the pool, a hold-out in random order, the target and the number of classes to the texts that get labels."""


def in_sequence(pool: HeldOut, held: HeldOut, target: float, classes: int) -> BoolVector:
    chosen = choose_threshold(pool.confidences, held, target, CONFIDENCE)
    return pool.confidences >= (np.inf if chosen is None else chosen.threshold)


def per_class(pool: HeldOut, held: HeldOut, target: float, classes: int) -> BoolVector:
    labelled = np.zeros(len(pool), dtype=bool)
    for label in range(classes):
        confidence = 1 - (1 - CONFIDENCE) / classes
        chosen = choose_threshold(pool.of(label).confidences, held.of(label), target, confidence)
        if chosen is not None:
            labelled |= (pool.predicted == label) & (pool.confidences >= chosen.threshold)
    return labelled


def again(pool: HeldOut, held: HeldOut, target: float, classes: int) -> BoolVector:
    seen, threshold = FIRST_LOOK, None
    while seen <= len(held):
        part = _rows(held, np.arange(seen))
        if threshold is not None and not passes(*part.above(threshold), target, CONFIDENCE):
            return np.zeros(len(pool), dtype=bool)  # withdrawn, for good
        if threshold is None and (chosen := choose_threshold(pool.confidences, part, target, CONFIDENCE)):
            threshold = chosen.threshold
        seen = int(seen * GROWTH) + 1
    return pool.confidences >= (np.inf if threshold is None else threshold)


def bonferroni(pool: HeldOut, held: HeldOut, target: float, classes: int) -> BoolVector:
    grid = coverage_grid(pool.confidences)
    share = 1 - (1 - CONFIDENCE) / len(grid)
    good = [threshold for threshold, _ in grid if passes(*held.above(threshold), target, share)]
    return pool.confidences >= min(good, default=np.inf)


def plug_in(pool: HeldOut, held: HeldOut, target: float, classes: int) -> BoolVector:
    counts = {threshold: held.above(threshold) for threshold, _ in coverage_grid(pool.confidences)}
    good = [threshold for threshold, (judged, wrong) in counts.items() if judged and wrong <= target * judged]
    return pool.confidences >= min(good, default=np.inf)


RULES: dict[str, Rule] = {
    "in sequence": in_sequence,
    "per class": per_class,
    "again": again,
    "Bonferroni": bonferroni,
    "plug-in": plug_in,
}
BOUNDED = ("in sequence", "per class", "again")
"""The rules that must keep the bound."""


@dataclass
class Tally:
    """What became of the draws of one rule."""

    draws: int = 0
    failures: int = 0
    none: int = 0
    coverage: float = 0.0

    def add(self, labelled: BoolVector, right: BoolVector, target: float) -> None:
        self.draws += 1
        self.none += not labelled.any()
        self.failures += bool(labelled.any() and (~right[labelled]).mean() > target)
        self.coverage += float(labelled.mean())


def predictions(data: str, labels: int, seeds: Sequence[int]) -> tuple[list[HeldOut], int]:
    """Return what each model predicts for the same large set, and the number of classes."""
    train, large = read(data, "train"), read(data, "test")
    if len(large) < LARGE / 2:  # a small test set: what the models do not learn from stands in for it
        mixed = train.drawn(len(train), 0)
        large = type(mixed)(mixed.texts[2000:], mixed.labels[2000:])
        train = type(mixed)(mixed.texts[:2000], mixed.labels[:2000])
    large, names = large.drawn(LARGE, 0), train.names
    vectors, truth = embedded(large.texts), np.array([names.index(name) for (name,) in large.labels])
    found = []
    for seed in seeds:
        learned = train.drawn(labels, seed)
        head = fit_few_shot(embedded(learned.texts), learned.labels, names, False, seed)
        probabilities = head.probabilities(head.logits(vectors))
        answers = probabilities.argmax(axis=1)
        found.append(HeldOut(probabilities.max(axis=1), answers, answers == truth))
    return found, len(names)


def draw(everything: HeldOut, n: int, seed: int) -> tuple[HeldOut, HeldOut]:
    """Return a random hold-out and the pool that is left."""
    order = np.random.default_rng([seed, n]).permutation(len(everything))
    return _rows(everything, order[n:]), _rows(everything, order[:n])


def _rows(of: HeldOut, rows: IntArray) -> HeldOut:
    return HeldOut(of.confidences[rows], of.predicted[rows], of.right[rows])


def report(data: str, labels: int, draws: int, seeds: Sequence[int], target: float) -> bool:
    """Print the table of a data set. Return whether both bars are reached."""
    models, classes = predictions(data, labels, seeds)
    right = np.mean([model.right.mean() for model in models])
    print(
        f"\n{data}: few-shot heads from {labels} labels, accuracy {right:.3f}, {len(models)} models, {draws} draws each"
    )
    print("| hold-out | rule | error above target | p | no label allowed | coverage | against Bonferroni |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    reached = True
    for n in SIZES:
        tallies = {name: Tally() for name in RULES}
        for model in models:
            for number in range(draws):
                pool, held = draw(model, n, number)
                for name, rule in RULES.items():
                    tallies[name].add(rule(pool, held, target, classes), pool.right, target)
        least = tallies["Bonferroni"].coverage
        for name, tally in tallies.items():
            p = binomtest(tally.failures, tally.draws, 1 - CONFIDENCE, alternative="greater").pvalue
            ratio = tally.coverage / least if least else float("inf")
            reached &= (p >= 0.05 or name not in BOUNDED) and (ratio >= BAR or name != BOUNDED[0])
            print(
                f"| {n} | {name} | {tally.failures / tally.draws:.3f} | {p:.2f} | {tally.none / tally.draws:.2f} | "
                f"{tally.coverage / tally.draws:.3f} | {ratio:.2f} |",
                flush=True,
            )
    return reached


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="ag_news,trec", help="default: %(default)s")
    parser.add_argument("--labels", type=int, default=200, help="labels of a model (default: %(default)s)")
    parser.add_argument("--draws", type=int, default=200, help="draws of each hold-out (default: %(default)s)")
    parser.add_argument("--models", type=int, default=3, help="number of models (default: %(default)s)")
    parser.add_argument("--first", type=int, default=10, help="seed of the first model (default: %(default)s)")
    parser.add_argument("--target", type=float, default=0.05, help="share of wrong labels (default: %(default)s)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    disable_progress_bar()  # type: ignore[no-untyped-call]
    seeds = range(options.first, options.first + options.models)
    reached = [report(data, options.labels, options.draws, seeds, options.target) for data in options.data.split(",")]
    print(f"\nbars {'reached' if all(reached) else 'MISSED'}")
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
