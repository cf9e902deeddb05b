"""Three annotators, of whom one answers at random: are labels better by CROWDLAB than by majority?

    python -m bench.annotators [--data ag_news,trec] [--answers 2,3] [--counts 100,200,500] [--seeds 5] [--first 0]

Two annotators are right in 90 and 80 % of their answers, and err evenly; the third draws a label each time. Each of so
many texts has the answers of two of them, drawn at random, or of all three, and twice as many further texts have one
answer. A seed draws texts, annotators and answers. Prints means over the seeds, each with half the width of its 90 %
interval:

- disputed: share of the texts with several answers of which no label has more than the others;
- majority, CROWDLAB: share of the texts with several answers whose label is right. Among the labels with the most votes
  of a disputed text, majority draws one here, so that both label all texts;
- one answer, CROWDLAB: share of the further texts whose only answer is right, and what CROWDLAB makes of them;
- classifier, CROWDLAB: accuracy on 2,000 test texts at most, of a few-shot head that learned from all these labels by
  majority (without the disputed texts), and by CROWDLAB.

The classifier inside CROWDLAB is what a training uses, cross-validated over MiniLM's embeddings. Bar: at every count,
CROWDLAB has more right labels than majority, and the classifier is no worse, both with the whole interval.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from bench.texts import Texts, embedded, paired, read
from tornio.arrays import FloatMatrix, IntArray
from tornio.labels.crowdlab import crowdlab
from tornio.scoring.consensus import out_of_sample
from tornio.training.fewshot import fit_few_shot

RIGHT = (0.9, 0.8)
"""How often the annotators are right who do not draw their answers."""
SINGLE = 2
"""Texts with one answer, for each text with several."""
TEST = 2000
COLUMNS = ("disputed", "majority", "CROWDLAB", "one answer", "CROWDLAB", "classifier", "CROWDLAB")


@dataclass(frozen=True, eq=False)
class Task:
    """A data set, and its test texts as embeddings, float32 [n, dim], with the place of their labels, int64 [n]."""

    train: Texts
    judged: FloatMatrix
    truth: IntArray

    @classmethod
    def of(cls, dataset: str) -> Task:
        train, test = read(dataset, "train"), read(dataset, "test").drawn(TEST, 0)
        return cls(train, embedded(test.texts), places(test, train.names))

    def accuracy(self, vectors: FloatMatrix, labels: IntArray, seed: int) -> float:
        """Return the accuracy on the test texts of a head that learns from these labels; -1: no label."""
        rows, names = np.flatnonzero(labels >= 0), self.train.names
        head = fit_few_shot(vectors[rows], [(names[label],) for label in labels[rows]], names, False, seed)
        return float((head.logits(self.judged).argmax(axis=1) == self.truth).mean())


def places(texts: Texts, names: Sequence[str]) -> IntArray:
    return np.array([names.index(label) for (label,) in texts.labels])


def asked(truth: IntArray, labels: int, several: int, answers: int, random: np.random.Generator) -> IntArray:
    """Return the votes, int64 [n, 3]: ``answers`` for each of the first ``several`` texts, one for each of the rest."""
    wrong = (truth + random.integers(1, labels, size=(len(RIGHT), len(truth)))) % labels
    honest = np.where(random.random(wrong.shape) < np.array(RIGHT)[:, None], truth, wrong)
    votes = np.vstack([honest, random.integers(labels, size=len(truth))]).T
    wanted = np.where(np.arange(len(truth)) < several, answers, 1)[:, None]
    return np.where(random.random(votes.shape).argsort(axis=1) < wanted, votes, -1)


def majority(votes: IntArray, labels: int, random: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Return the labels with the most votes, int64 [n]: -1 where there are several, and drawn from these."""
    counts = (votes[:, :, None] == np.arange(labels)).sum(axis=1)
    best = counts == counts.max(axis=1, keepdims=True)
    drawn = np.where(best, random.random(best.shape), -1).argmax(axis=1)
    return np.where(best.sum(axis=1) == 1, drawn, -1), drawn


def measured(task: Task, several: int, answers: int, seed: int) -> list[float]:
    """Return the numbers of ``COLUMNS``."""
    names, random = task.train.names, np.random.default_rng(seed)
    some = task.train.drawn(several * (1 + SINGLE), seed)
    truth, vectors = places(some, names), embedded(some.texts)
    votes = asked(truth, len(names), several, answers, random)
    decided, drawn = majority(votes, len(names), random)
    given = np.eye(len(names), dtype=bool)[decided] & (decided >= 0)[:, None]
    found = crowdlab(votes, out_of_sample(vectors, some.texts, given, names, seed)).labels
    right, crowd = drawn == truth, found == truth
    shares = [decided[:several] < 0, right[:several], crowd[:several], right[several:], crowd[several:]]
    return [*(float(share.mean()) for share in shares), *(task.accuracy(vectors, x, seed) for x in (decided, found))]


def shown(several: int, answers: int, rows: Sequence[Sequence[float]]) -> bool:
    """Print the means over seeds, and return whether the bar is reached."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    cells = [paired(column, [0.0] * len(column)) for column in columns]
    (more, about), (better, around) = paired(columns[2], columns[1]), paired(columns[6], columns[5])
    print(
        f"{several:5d} texts with {answers} answers: "
        + "  ".join(f"{name} {mean:.3f} +- {half:.3f}" for name, (mean, half) in zip(COLUMNS, cells, strict=True))
        + f"; more right labels {more:+.3f} +- {about:.3f}, better classifier {better:+.3f} +- {around:.3f}",
        flush=True,
    )
    return more - about > 0 and better + around >= 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="ag_news,trec", help="default: %(default)s")
    parser.add_argument("--answers", default="2,3", help="of each text with several (default: %(default)s)")
    parser.add_argument("--counts", default="100,200,500", help="texts with several answers (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: %(default)s)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    seeds = range(options.first, options.first + options.seeds)
    reached = True
    for dataset in options.data.split(","):
        task = Task.of(dataset)
        print(f"{dataset}, {len(seeds)} seeds", flush=True)
        for answers in map(int, options.answers.split(",")):
            for several in map(int, options.counts.split(",")):
                reached &= shown(several, answers, [measured(task, several, answers, seed) for seed in seeds])
    print(f"bar {'reached' if reached else 'MISSED'}")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
