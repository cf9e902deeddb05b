"""TREC with 260 labels, including hold-out, on fine-tuned MiniLM: accuracy, against random sampling and small-text.

    python -m bench.fine_tune_trec [--seeds 3] [--strategy breaking-ties] [--random 1] [--small-text 1]

It runs the loop's own code (controller and jobs) with simulated annotators and ``classifier.kind: fine-tuned``: batches
of 20 (a cold start, then 12 from the strategy), of which 2 are hold-out, so 234 labels are used for training. Random
sampling: the same fit on the same number of randomly drawn labels, at every fourth point of the curve. small-text: its
own loop, breaking ties and transformer classifier with their defaults, the same encoder and number of training labels.
The numbers of seeds are arguments: one seed takes about ten minutes on one slow processor, small-text's take longer.
Data: the folder in TORNIO_DATA, else ../shared/data beside the project.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import small_text
import torch
from transformers import AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from bench.turning import Turning
from tornio.models.port import Model
from tornio.models.sources import MINILM, resolve_encoder
from tornio.records import Record
from tornio.registry import Registry
from tornio.schemas.registry import EncoderUse
from tornio.spec import ClassifierSpec, TaskSpec
from tornio.storage.local import LocalStore
from tornio.training.supervised import fit
from tornio.training.targets import Labelled

BAR, TARGET = 0.90, 0.93
LABELS, BATCH, HOLDOUT = 260, 20, 2
EVERY = 4
"""Number of batches between two points of the random curve."""


@dataclass(frozen=True)
class Split:
    texts: list[str]
    labels: list[str]


Curve = dict[int, float]
"""Number of labels, including hold-out -> test accuracy."""


def read(name: str) -> Split:
    """Read the split ``train`` or ``test``."""
    root = Path(os.environ.get("TORNIO_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    table = pq.read_table(root / "trec" / f"{name}.parquet")
    return Split(table["text"].to_pylist(), table["label"].to_pylist())


def accuracy(model: Model, test: Split) -> float:
    answers = model.predict_proba(test.texts).argmax(axis=1)
    return float(np.mean([model.labels[a] == label for a, label in zip(answers, test.labels, strict=True)]))


def ours(train: Split, test: Split, strategy: str, seed: int) -> Iterator[tuple[int, float]]:
    """Run the controller's and the jobs' own code over a store in a folder, as many versions take gigabytes."""
    spec = TaskSpec.model_validate(
        {
            "workspace": "bench",
            "name": "trec",
            "labels": sorted(set(train.labels)),
            "teacher": {"kind": "none"},
            "classifier": {"kind": "fine-tuned"},
            "loop": {
                "strategy": strategy,
                "batch_size": BATCH,
                "holdout_share": HOLDOUT / BATCH,
                "seed": seed,
                "stop": {"criterion": "max-iterations", "max_iterations": LABELS // BATCH, "stop_set_size": 10},
            },
        }
    )
    ids = [f"r{row:05d}" for row in range(len(train.texts))]
    with tempfile.TemporaryDirectory() as folder:
        answers = dict(zip(ids, train.labels, strict=True))
        turning = Turning(spec, answers, Path(folder) / "node", LocalStore(Path(folder) / "store"))
        turning.task.add_records([Record(i, text) for i, text in zip(ids, train.texts, strict=True)])
        turning.turn()
        assert turning.context is not None
        registry = Registry(turning.store, turning.task.keys)
        for iteration in turning.task.iterations():
            manifest = registry.manifest(str(iteration.version))
            yield BATCH * iteration.number, accuracy(turning.context.loader.model(manifest), test)


def random_sampling(train: Split, test: Split, seed: int) -> Iterator[tuple[int, float]]:
    """Run the same fit on randomly drawn labels."""
    source, spec = resolve_encoder(MINILM), ClassifierSpec()
    use = EncoderUse(digest="0" * 64, pooling=source.pooling, normalise=False, max_length=source.max_length)
    drawn = np.random.default_rng(seed).permutation(len(train.texts)).tolist()
    names = sorted(set(train.labels))
    for batches in range(1, LABELS // BATCH + 1, EVERY):
        chosen = drawn[: batches * (BATCH - HOLDOUT)]
        texts, labels = [train.texts[row] for row in chosen], [(train.labels[row],) for row in chosen]
        with tempfile.TemporaryDirectory() as out:
            labelled = Labelled.of(texts, labels, names, multi_label=False)
            model = fit(labelled, names, False, source.folder, use, Path(out), spec.fine_tuning, seed)
            assert model is not None
            yield batches * BATCH, accuracy(model, test)


def small_texts(train: Split, test: Split, seed: int) -> Iterator[tuple[int, float]]:
    """Run small-text's transformer classifier and breaking ties, both with their defaults."""
    folder = str(resolve_encoder(MINILM).folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.encode_plus = tokenizer.__call__  # the name before transformers 5, which small-text uses
    names, per_batch = sorted(set(train.labels)), BATCH - HOLDOUT

    def dataset(split: Split) -> small_text.TransformersDataset:
        labels = np.array([names.index(label) for label in split.labels])
        return small_text.TransformersDataset.from_arrays(
            split.texts, labels, tokenizer, target_labels=np.arange(len(names)), max_length=40
        )

    torch.manual_seed(seed)
    np.random.seed(seed)
    pool, held = dataset(train), dataset(test)
    with tempfile.TemporaryDirectory() as cache:
        factory = small_text.TransformerBasedClassificationFactory(
            small_text.TransformerModelArguments(folder), len(names), kwargs={"cache_dir": cache}
        )
        learner = small_text.PoolBasedActiveLearner(factory, small_text.BreakingTies(), pool)
        first = np.random.default_rng(seed).choice(len(train.texts), per_batch, replace=False)
        learner.initialize_data(first, pool.y[first])
        for batches in range(1, LABELS // BATCH + 1):
            if batches > 1:
                learner.update(pool.y[learner.query(num_samples=per_batch)])
            yield batches * BATCH, float((learner.classifier.predict(held) == held.y).mean())


def curves(name: str, seeds: range, run: Callable[[int], Iterator[tuple[int, float]]]) -> float | None:
    """Print one line per seed, and the mean of the last points, which is returned; None without a seed."""
    last = []
    for seed in seeds:
        start, curve = time.perf_counter(), dict(run(seed))
        last.append(curve[LABELS])
        shown = list(curve.items())[:: 1 if len(curve) < 6 else EVERY]
        points = "  ".join(f"{labels}: {value:.3f}" for labels, value in shown)
        print(f"{name:11s} seed {seed}  {points}   ({time.perf_counter() - start:.0f} s)", flush=True)
    if not last:
        return None
    print(f"{name:11s} mean {np.mean(last):.3f}  sd {np.std(last):.3f}  at {LABELS} labels", flush=True)
    return float(np.mean(last))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strategy", default="breaking-ties", help="query strategy (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of the loop (default: %(default)s)")
    parser.add_argument("--first-seed", type=int, default=0, help="first seed of each (default: %(default)s)")
    parser.add_argument("--random", type=int, default=1, help="seeds of random sampling (default: %(default)s)")
    parser.add_argument("--small-text", type=int, default=1, help="seeds of small-text (default: %(default)s)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    disable_progress_bar()  # type: ignore[no-untyped-call]
    train, test = read("train"), read("test")
    first = options.first_seed
    mean = curves("tornio", range(first, first + options.seeds), lambda seed: ours(train, test, options.strategy, seed))
    drawn = curves("random", range(first, first + options.random), lambda seed: random_sampling(train, test, seed))
    reference = curves(
        "small-text", range(first, first + options.small_text), lambda seed: small_texts(train, test, seed)
    )
    if mean is None:
        return 0
    if drawn is not None:
        print(f"ratio to random sampling {mean / drawn:.3f}")
    if reference is not None:
        print(f"ratio to small-text {mean / reference:.3f}")
    for name, goal in (("bar", BAR), ("target", TARGET)):
        print(f"{name} {goal}: {'reached' if mean >= goal else 'MISSED'}")
    return 0 if mean >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
