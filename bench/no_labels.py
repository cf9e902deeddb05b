"""No label at all: the embedding teacher and the student of ``distillation``, on 4,000 unlabelled texts.

    python -m bench.no_labels [--data ag_news,trec,sst2,clinc150,sst2_small] [--seeds 3] [--first 0]

Prints, for each data set, the accuracy of the teacher and of the student, mean over draws of the texts, and the mean of
their differences. At most 2,000 test texts judge. ``sst2_small``: 1,000 sentences teach, and the 872 of the development
set judge. CLINC150 has its 150 classes by their names only, without texts that are out of scope.

Bars: accuracy AG News .84, TREC .65, SST-2 .74; difference .00, CLINC150 .02, ``sst2_small`` -.01. Data: the folder in
TORNIO_DATA, else ../shared/data beside the project.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from bench.no_label_service import LABELS as NEWS
from bench.texts import LAYERED, encoder, read
from tornio.arrays import FloatMatrix, IntArray
from tornio.models.encoder import Encoder
from tornio.models.port import Embedded
from tornio.models.zeroshot import EmbeddingZeroShot
from tornio.spec import LabelSpec, TeacherSpec
from tornio.training.methods.distillation import DistillationSettings
from tornio.training.pseudo_labels import learn

TEST = 2000
OUT_OF_SCOPE = "oos"
OPINIONS = {"negative": "a negative movie review, bad", "positive": "a positive movie review, good"}
QUESTIONS = {
    "ABBR": "asks what an abbreviation stands for",
    "ENTY": "asks about a thing, animal, product or other entity",
    "DESC": "asks for a definition, description, manner or reason",
    "HUM": "asks about a person or a group of people",
    "LOC": "asks about a place, city or country",
    "NUM": "asks for a number, date, price, distance or count",
}


@dataclass(frozen=True)
class Case:
    """What is measured. ``described``: the description of each label; empty: the names say all. ``bar``: least accuracy
    of the student. ``gain``: least difference to the teacher."""

    folder: str
    judged: tuple[str, str]
    described: Mapping[str, str] = field(default_factory=dict)
    pool: int = 4000
    bar: float = 0.0
    gain: float = 0.0


CASES = {
    "ag_news": Case("ag_news", ("ag_news", "test"), NEWS, bar=0.84),
    "trec": Case("trec", ("trec", "test"), QUESTIONS, bar=0.65),
    "sst2": Case("sst2_sent", ("sst2_sent", "test"), OPINIONS, bar=0.74),
    "clinc150": Case("clinc150", ("clinc150", "test"), gain=0.02),
    "sst2_small": Case("sst2_sent", ("sst2", "test"), OPINIONS, pool=1000, gain=-0.01),
}


class LastLayer:
    """The ``TextEncoder`` of the last layer, from what an encoder of several layers gives."""

    def __init__(self, layered: Encoder, layers: int) -> None:
        self._layered = layered
        self.dimension = layered.dimension // layers

    def embed(self, texts: Sequence[str]) -> Embedded:
        embedded = self._layered.embed(texts)
        return Embedded(embedded.vectors[:, -self.dimension :], embedded.truncated)


def measured(case: Case, seeds: Sequence[int]) -> tuple[list[float], list[float]]:
    """Return the accuracies of the teacher and of the student, one for each seed."""
    train = read(case.folder, "train").without(OUT_OF_SCOPE)
    test = read(*case.judged).without(OUT_OF_SCOPE).drawn(TEST, 0)
    names, source = train.names, encoder()
    labels = [LabelSpec(name=name.replace("_", " "), description=case.described.get(name)) for name in names]
    teacher, spec = EmbeddingZeroShot(LastLayer(source, len(LAYERED)), "minilm"), TeacherSpec()
    truth = np.array([names.index(label) for (label,) in test.labels])
    judged = source.embed(test.texts).vectors
    taught = [right(teacher.score(test.texts, labels, spec.templates).probabilities, truth)] * len(seeds)
    students = []
    for seed in seeds:
        texts = train.drawn(case.pool, seed).texts
        soft = teacher.score(texts, labels, spec.templates).probabilities
        student = learn(source.embed(texts).vectors, soft, DistillationSettings().shares)
        students.append(right(student.probabilities(judged), truth))
    return taught, students


def right(probabilities: FloatMatrix, truth: IntArray) -> float:
    return float((probabilities.argmax(axis=1) == truth).mean())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=",".join(CASES), help="default: %(default)s")
    parser.add_argument("--seeds", type=int, default=3, help="number of draws (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: %(default)s)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    seeds, missed = range(options.first, options.first + options.seeds), 0
    for name in options.data.split(","):
        case = CASES[name]
        taught, students = measured(case, seeds)
        mean, gain = float(np.mean(students)), float(np.mean(np.subtract(students, taught)))
        reached = mean >= case.bar and gain >= case.gain
        missed += not reached
        each = " ".join(f"{one:.3f}" for one in students)
        print(
            f"{name:10s} teacher {np.mean(taught):.3f}  student {mean:.3f} ({each})  difference {gain:+.3f}; bars "
            f"{case.bar:.2f} and {case.gain:+.2f}: {'reached' if reached else 'MISSED'}",
            flush=True,
        )
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
