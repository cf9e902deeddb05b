"""Several teachers together, without labels: what each way to combine them is worth.

    python -m bench.combined_teachers [--data ag_news,trec,sst2] [--seeds 3] [--first 0] [--no-students]

The teachers are embedding teachers with other templates or another layer of MiniLM, and a chat model that is made up.
It gives the right label to 8 of 10 texts (``chat``) or 5 of 10 (``poor chat``), another one to the rest, and is always
sure. Each team labels the texts of ``bench.no_labels``. The ways: ``mean``, the plain mean of log-probabilities;
``doubt``, what Tornio does (``tornio.models.combined``); ``agreement``, a temperature for each teacher with which it is
on average as sure as the others agree with it.

Prints accuracy and log-loss of the labels, and the accuracy of the student of ``distillation`` on at most 2,000 test
texts, mean over draws; at the end the mean difference to ``mean`` over all teams and sets.

Bars: ``doubt`` has in the mean at least the accuracy of ``mean``, and a lower log-loss. Data: the folder in
TORNIO_DATA, else ../shared/data beside the project.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.special import log_softmax, softmax

from bench.no_labels import CASES, OUT_OF_SCOPE, TEST, Case, right
from bench.texts import LAYERED, Texts, encoder, read
from tornio.arrays import DoubleArray, FloatMatrix, FloatVector, IntArray
from tornio.models.combined import combine
from tornio.models.port import Embedded
from tornio.models.zeroshot import EmbeddingZeroShot
from tornio.spec import LabelSpec, TeacherSpec
from tornio.training.methods.distillation import DistillationSettings
from tornio.training.pseudo_labels import learn

TEAMS = (
    ("usual", "names"),
    ("usual", "layer -2"),
    ("usual", "layer -2", "layer -3"),
    ("usual", "names", "sentences", "layer -2"),
    ("usual", "chat"),
    ("usual", "poor chat"),
    ("usual", "layer -2", "chat"),
    ("usual", "names", "chat"),
)
SENTENCES = ("This text is an example of {}.", "A person writes: {}.")
RIGHT = {"chat": 0.8, "poor chat": 0.5}
SURE = 1 - 1e-6
Together = Callable[[Sequence[FloatMatrix]], FloatMatrix]


def mean(each: Sequence[FloatMatrix]) -> FloatMatrix:
    """The mean of log-probabilities, renormalised."""
    return np.asarray(softmax(np.mean([np.log(one) for one in each], axis=0), axis=1), dtype=np.float32)


def doubt(each: Sequence[FloatMatrix]) -> FloatMatrix:
    return combine(each, multi_label=False)


def agreement(each: Sequence[FloatMatrix]) -> FloatMatrix:
    """The mean after a temperature for each: on average it is then as sure as the others agree with it."""
    said = [one.argmax(axis=1) for one in each]
    agreed = [
        float(np.mean([np.mean(mine == other) for j, other in enumerate(said) if j != i]))
        for i, mine in enumerate(said)
    ]
    return mean([_as_sure(np.log(one), share) for one, share in zip(each, agreed, strict=True)])


def _as_sure(logs: DoubleArray, share: float) -> FloatMatrix:
    wanted: float = min(max(share, 1 / logs.shape[1] + 0.01), 0.99)

    def missing(scale: float) -> float:
        sure: FloatVector = softmax(logs * np.exp(scale), axis=1).max(axis=1)
        return float(sure.mean()) - wanted

    return np.asarray(np.exp(log_softmax(logs * np.exp(brentq(missing, -8, 8)), axis=1)) + 1e-30, dtype=np.float32)


WAYS: Mapping[str, Together] = {"mean": mean, "doubt": doubt, "agreement": agreement}


class Remembering:
    """The ``TextEncoder`` of several layers, which embeds each text once."""

    def __init__(self) -> None:
        self._encoder = encoder()
        self._known: dict[str, FloatMatrix] = {}
        self.dimension = self._encoder.dimension

    def embed(self, texts: Sequence[str]) -> Embedded:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known.update(zip(new, self._encoder.embed(new).vectors, strict=True))
        return Embedded(np.stack([self._known[text] for text in texts]), np.zeros(len(texts), dtype=bool))


class Layer:
    """The ``TextEncoder`` of one of these layers. ``number``: -1 is the last."""

    def __init__(self, source: Remembering, number: int) -> None:
        self._source = source
        self.dimension = source.dimension // len(LAYERED)
        start = (len(LAYERED) + number) * self.dimension
        self._columns = slice(start, start + self.dimension)

    def embed(self, texts: Sequence[str]) -> Embedded:
        embedded = self._source.embed(texts)
        return Embedded(embedded.vectors[:, self._columns], embedded.truncated)


def said_of(case: Case, texts: Texts, names: Sequence[str], source: Remembering, seed: int) -> dict[str, FloatMatrix]:
    """What each teacher says of the texts, float32 [n, labels]."""
    labels = [LabelSpec(name=name.replace("_", " "), description=case.described.get(name)) for name in names]
    bare, usual = [LabelSpec(name=label.name) for label in labels], TeacherSpec().templates
    asked = {
        "usual": (-1, labels, usual),
        "layer -2": (-2, labels, usual),
        "layer -3": (-3, labels, usual),
        "names": (-1, bare, ("{}",)),
        "sentences": (-1, labels, SENTENCES),
    }
    said = {
        name: EmbeddingZeroShot(Layer(source, layer), name).score(texts.texts, given, templates).probabilities
        for name, (layer, given, templates) in asked.items()
    }
    truth = classes_of(texts, names)
    return {**said, **{name: _chat(truth, len(names), share, seed) for name, share in RIGHT.items()}}


def _chat(truth: IntArray, labels: int, share: float, seed: int) -> FloatMatrix:
    """What a chat model says that gives the right label to this share of the texts, and is always sure."""
    random = np.random.default_rng(seed)
    other = (truth + random.integers(1, labels, len(truth))) % labels
    said = np.where(random.random(len(truth)) < share, truth, other)
    probabilities = np.full((len(truth), labels), (1 - SURE) / (labels - 1), dtype=np.float32)
    probabilities[np.arange(len(truth)), said] = SURE
    return probabilities


def classes_of(texts: Texts, names: Sequence[str]) -> IntArray:
    return np.array([names.index(label) for (label,) in texts.labels])


def log_loss(probabilities: FloatMatrix, truth: IntArray) -> float:
    return float(-np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-12)).mean())


Figures = dict[tuple[tuple[str, ...], str], list[tuple[float, float, float]]]
"""Accuracy and log-loss of the labels, and accuracy of the student, of each team in each way, one for each draw."""


def measured(case: Case, seeds: Sequence[int], students: bool) -> Figures:
    train = read(case.folder, "train").without(OUT_OF_SCOPE)
    test = read(*case.judged).without(OUT_OF_SCOPE).drawn(TEST, 0)
    names, source, found = train.names, Remembering(), defaultdict(list)
    judged = source.embed(test.texts).vectors if students else None
    for seed in seeds:
        texts = train.drawn(case.pool, seed)
        truth, said = classes_of(texts, names), said_of(case, texts, names, source, seed)
        vectors = source.embed(texts.texts).vectors if students else None
        labelled: dict[tuple[tuple[str, ...], str], FloatMatrix] = {
            **{((name,), "alone"): labels for name, labels in said.items()},
            **{(team, way): WAYS[way]([said[name] for name in team]) for team in TEAMS for way in WAYS},
        }
        for key, soft in labelled.items():
            student = float("nan")
            if vectors is not None and judged is not None:
                taught = learn(vectors, soft, DistillationSettings().shares)
                student = right(taught.probabilities(judged), classes_of(test, names))
            found[key].append((right(soft, truth), log_loss(soft, truth), student))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="ag_news,trec,sst2", help="default: %(default)s")
    parser.add_argument("--seeds", type=int, default=3, help="number of draws (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: %(default)s)")
    parser.add_argument("--no-students", dest="students", action="store_false", help="teach no students")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    seeds, means = range(options.first, options.first + options.seeds), defaultdict(list)
    for name in options.data.split(","):
        for (team, way), figures in measured(CASES[name], seeds, options.students).items():
            figure = np.mean(figures, axis=0)
            means[way].append(figure)
            line = "accuracy {:.3f}  log-loss {:.3f}  student {:.3f}".format(*figure)
            print(f"{name:8s} {' + '.join(team):40s} {way:10s} {line}", flush=True)
    over = {way: np.mean(means[way], axis=0) - np.mean(means["mean"], axis=0) for way in WAYS}
    for way, difference in over.items():
        line = "accuracy {:+.4f}  log-loss {:+.4f}  student {:+.4f}".format(*difference)
        print(f"{way:10s} against the plain mean: {line}")
    return int(over["doubt"][0] < 0 or over["doubt"][1] > 0)


if __name__ == "__main__":
    sys.exit(main())
