"""Methods that use unlabelled texts beside few labels, against supervised training: accuracy and paired differences.

    python -m bench.unlabelled_methods [--methods consistency,self-training] [--dataset ag_news] [--per-class 10]
        [--pool 1000] [--length 48] [--judged 2000] [--first-seed 0] [--seeds 5] [--precision float32]
        [--settings JSON]

Each seed draws other labels, another pool and another start; all methods of a seed get the same. MiniLM is fine-tuned.
Rehearsals, which only calibrate, are left out. The test's rows are the same for all seeds. The difference
to supervised training is shown with its 90 % interval (Student's t over the seeds). Data: the folder in TORNIO_DATA,
else ../shared/data beside the project.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.texts import Texts, base, paired, read
from tornio.models.port import Model
from tornio.schemas.registry import EncoderUse
from tornio.seeds import derive_seed
from tornio.spec import ClassifierSpec
from tornio.training.consistency.settings import ConsistencySettings
from tornio.training.hooks import Hooks
from tornio.training.methods.consistency import train as train_consistency
from tornio.training.methods.port import Unlabelled
from tornio.training.methods.self_training import SelfTraining, SelfTrainingSettings
from tornio.training.supervised import fit
from tornio.training.targets import Labelled

SUPERVISED = "supervised"


@dataclass(frozen=True)
class Given:
    """What a method learns from: a ``tornio.training.methods.port.Inputs`` as far as these methods use it."""

    settings: Any
    classifier: ClassifierSpec
    label_names: tuple[str, ...]
    labelled: Labelled
    unlabelled: Unlabelled
    base: Path
    use: EncoderUse
    seed: int
    precision: str
    multi_label: bool = False


def supervised(given: Any, out: Path) -> Model | None:
    return fit(
        given.labelled, given.label_names, False, given.base, given.use, out, given.classifier.fine_tuning, given.seed,
        precision=given.precision,
    )  # fmt: skip


def consistency(given: Any, out: Path) -> Model | None:
    return train_consistency(given, out, Hooks(), rehearse=False)


def self_training(given: Any, out: Path) -> Model | None:
    return SelfTraining().fit(given, out, Hooks())


@dataclass(frozen=True)
class Way:
    """A method of this benchmark. ``settings``: model of its settings."""

    settings: Callable[..., Any]
    train: Callable[[Any, Path], Model | None]


WAYS: Mapping[str, Way] = {
    SUPERVISED: Way(dict, supervised),
    "consistency": Way(ConsistencySettings, consistency),
    "self-training": Way(SelfTrainingSettings, self_training),
}


def drawn(train: Texts, per_class: int, pool: int, seed: int) -> tuple[Labelled, Unlabelled]:
    """Return so many labelled texts of each class, and other texts without their labels."""
    order = np.random.default_rng(derive_seed("bench", seed)).permutation(len(train)).tolist()
    rows = [row for name in train.names for row in [r for r in order if train.labels[r] == (name,)][:per_class]]
    known = set(rows)
    rest = [row for row in order if row not in known][:pool]
    labelled = Labelled.of([train.texts[row] for row in rows], [train.labels[row] for row in rows], train.names, False)
    return labelled, Unlabelled(tuple(map(str, rest)), tuple(train.texts[row] for row in rest))


def accuracy(model: Model, test: Texts) -> float:
    predicted = model.predict_proba(test.texts).argmax(axis=1)
    return float(np.mean([model.labels[j] == label for j, (label,) in zip(predicted, test.labels, strict=True)]))


def measured(name: str, given: Given, test: Texts) -> float:
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        model = WAYS[name].train(given, Path(folder))
        assert model is not None
        result = accuracy(model, test)
    kept = getattr(model, "chosen", None)
    print(f"seed {given.seed}  {name:12s} {result:.4f}  {time.perf_counter() - began:.0f} s  {kept or ''}", flush=True)
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", default=",".join(name for name in WAYS if name != SUPERVISED))
    parser.add_argument("--dataset", default="ag_news")
    parser.add_argument("--per-class", type=int, default=10)
    parser.add_argument("--pool", type=int, default=1000)
    parser.add_argument("--length", type=int, default=48, help="most tokens of a text")
    parser.add_argument("--judged", type=int, default=2000, help="rows of the test")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--precision", default="float32", choices=("float32", "auto"), help="what encoders compute in")
    parser.add_argument("--settings", type=json.loads, default={}, help="training.settings of the method")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    source, train = base(), read(options.dataset, "train")
    test = read(options.dataset, "test").drawn(options.judged, 0)
    use = EncoderUse(digest="0" * 64, pooling=source.pooling, normalise=source.normalise, max_length=options.length)
    names = [SUPERVISED, *options.methods.split(",")]
    results: dict[str, list[float]] = {name: [] for name in names}
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        labelled, pool = drawn(train, options.per_class, options.pool, seed)
        for name in names:
            settings = WAYS[name].settings(**(options.settings if name != SUPERVISED else {}))
            classifier = ClassifierSpec(kind="fine-tuned", max_length=options.length)
            given = Given(
                settings, classifier, train.names, labelled, pool, source.folder, use, seed, options.precision
            )
            results[name].append(measured(name, given, test))
    for name in names:
        mean, half = paired(results[name], results[SUPERVISED])
        print(f"{name:12s} mean {np.mean(results[name]):.4f}  difference {mean:+.4f} +- {half:.4f} (90 %)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
