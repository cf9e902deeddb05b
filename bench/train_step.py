"""Examples per second of a training step: ours, compared with the Hugging Face Trainer's, both with their defaults.

    python -m bench.train_step [--rounds 5] [--steps 15] [--labels 260]

MiniLM with a new head is trained on ``--labels`` questions of TREC, on this machine's processor, with one thread, in
float32 (the Trainer's default). Rounds of both alternate. Measured are the processor's seconds between the ends of two
steps, because other work on the machine disturbs these less than clock time. The Trainer: DataCollatorWithPadding,
batches of 8, fused AdamW, default logging; nothing is saved. Ours: with its own default batch, and with batches of 8.
Data: the folder in TORNIO_DATA, else ../shared/data beside the project.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from datasets import Dataset, disable_progress_bars
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainerCallback, TrainingArguments

from tornio.models.sources import MINILM, resolve_encoder
from tornio.models.tokens import Tokenizer
from tornio.spec import FineTuningSpec
from tornio.training.data import Examples
from tornio.training.group import Alone
from tornio.training.loop import Training
from tornio.training.network import Network
from tornio.training.objective import CrossEntropy

TARGET = 2.0
ITS_BATCH = 8
"""The Trainer's default."""
WARM = 3
"""Steps at the start of a round that are not counted, because they allocate memory."""


def questions(count: int) -> tuple[list[str], list[int], int]:
    """Return some of TREC's training questions, the numbers of their labels, and the number of labels."""
    root = Path(os.environ.get("TORNIO_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    table = pq.read_table(root / "trec" / "train.parquet")
    names = sorted(set(table["label"].to_pylist()))
    table = table.take(np.random.default_rng(0).permutation(len(table))[:count])
    return table["text"].to_pylist(), [names.index(label) for label in table["label"].to_pylist()], len(names)


def ours(batch_size: int, examples: int) -> Callable[[int], list[float]]:
    """``steps -> seconds of each``."""
    texts, labels, count = questions(examples)
    source = resolve_encoder(MINILM)
    ids = Tokenizer(source.folder, source.max_length).encode(texts).ids
    targets = torch.nn.functional.one_hot(torch.tensor(labels), count).float()
    network = Network(source.folder, source.pooling, count)
    network.narrow(ids)
    settings = FineTuningSpec(batch_size=batch_size, epochs=1000)
    data = Examples(ids, targets, torch.ones(len(ids)))
    objective = CrossEntropy(data, None, torch.ones(count), multi_label=False)
    steps = Training(network, objective, settings, seed=0).run(Alone())

    return timed(steps)


def timed(steps: Iterator[object]) -> Callable[[int], list[float]]:
    """Return ``number -> processor's seconds of each`` of so many more steps."""

    def run(number: int) -> list[float]:
        ends = [time.process_time()]
        for _ in range(number):
            next(steps)
            ends.append(time.process_time())
        return [end - start for start, end in pairwise(ends)]

    return run


class Clock(TrainerCallback):
    """Records when each step ends."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.ends.append(time.process_time())


def trainers(batch_size: int, examples: int, folder: Path) -> Callable[[int], list[float]]:
    """Return ``steps -> seconds of each``, without the first step."""
    texts, labels, count = questions(examples)
    source = resolve_encoder(MINILM)
    tokenizer = AutoTokenizer.from_pretrained(str(source.folder))
    model = AutoModelForSequenceClassification.from_pretrained(str(source.folder), num_labels=count)
    encoded = tokenizer(texts, truncation=True, max_length=source.max_length)
    data = Dataset.from_dict({**encoded, "labels": labels})

    def run(number: int) -> list[float]:
        clock = Clock()
        arguments = TrainingArguments(
            output_dir=str(folder),
            per_device_train_batch_size=batch_size,
            max_steps=number + 1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=torch.cuda.is_available(),
        )
        Trainer(model, arguments, train_dataset=data, processing_class=tokenizer, callbacks=[clock]).train()
        return [end - start for start, end in pairwise(clock.ends)]

    return run


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each, in turn (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=15, help="steps per round (default: %(default)s)")
    parser.add_argument("--labels", type=int, default=260, help="examples; TREC has 5452 (default: %(default)s)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    disable_progress_bars()
    default = FineTuningSpec().batch_size
    with tempfile.TemporaryDirectory() as folder:
        runs = {
            f"tornio, batches of {default}": (ours(default, options.labels), default),
            f"tornio, batches of {ITS_BATCH}": (ours(ITS_BATCH, options.labels), ITS_BATCH),
            f"Trainer, batches of {ITS_BATCH}": (trainers(ITS_BATCH, options.labels, Path(folder)), ITS_BATCH),
        }
        paces = {name: np.zeros(options.rounds) for name in runs}
        for number in range(options.rounds):
            for name, (run, size) in runs.items():
                paces[name][number] = size / float(np.median(run(options.steps)[WARM:]))
    *ours_, (_, theirs) = paces.items()
    print("examples per second          " + "".join(f"  round {number}" for number in range(options.rounds)))
    for name, values in paces.items():
        print(f"{name:27s}  " + "".join(f"{value:9.1f}" for value in values))
    for name, values in ours_:
        ratio = float(np.median(values / theirs))
        verdict = "reached" if ratio >= TARGET else "missed"
        print(f"{name}: ratio to the Trainer {ratio:.2f} (median of {options.rounds}); target {TARGET:g}: {verdict}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
