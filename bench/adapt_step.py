"""Texts per second of a masked-language training step: ours, compared with the Hugging Face Trainer's.

    python -m bench.adapt_step [--rounds 5] [--steps 8] [--texts 2000] [--batch 32]

MiniLM with a new masked-language head is trained on comments of GoEmotions, on this machine's processor, with one
thread, in float32. Both have the same batch, cut at 128 tokens, and change all weights. Rounds of both alternate.
Measured are the processor's seconds between the ends of two steps. The Trainer: DataCollatorForLanguageModeling (15 %,
its default), which pads each batch to its longest text, fused AdamW; nothing is saved. Data: the folder in TORNIO_DATA,
else ../shared/data beside the project.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from datasets import Dataset, disable_progress_bars
from transformers import (
    AutoModelForMaskedLM,
    AutoTokenizer,
    DataCollatorForLanguageModeling,
    Trainer,
    TrainingArguments,
)

from bench.train_step import Clock, timed
from tornio.models.sources import MINILM, resolve_encoder
from tornio.models.tokens import Tokenizer
from tornio.spec import FineTuningSpec
from tornio.training.adapting.preparing import Base, masked_language
from tornio.training.group import Alone
from tornio.training.loop import Training

TARGET = 2.0
LENGTH = 128
WARM = 2
"""Steps at the start of a round that are not counted, because they allocate memory."""


def comments(count: int, seed: int = 0) -> list[str]:
    """Return some of GoEmotions' training comments."""
    root = Path(os.environ.get("TORNIO_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    table = pq.read_table(root / "goemotions" / "train.parquet")
    chosen = np.random.default_rng(seed).permutation(len(table))[:count]
    return list[str](table.take(chosen)["text"].to_pylist())


def ours(batch: int, texts: Sequence[str]) -> Callable[[int], list[float]]:
    """``steps -> seconds of each``."""
    source = resolve_encoder(MINILM)
    ids = Tokenizer(source.folder, LENGTH).encode(texts).ids
    prepared = masked_language(Base(source.folder, source.pooling, "float32"), ids, [], 0, whole_words=False)
    settings = FineTuningSpec(batch_size=batch, epochs=1000)
    steps = Training(prepared.network, prepared.objective, settings, 0, prepared.micro_rows).run(Alone())

    return timed(steps)


def trainers(batch: int, texts: Sequence[str], folder: Path) -> Callable[[int], list[float]]:
    """Return ``steps -> seconds of each``, without the first step."""
    source = resolve_encoder(MINILM)
    tokenizer = AutoTokenizer.from_pretrained(str(source.folder))
    model = AutoModelForMaskedLM.from_pretrained(str(source.folder))
    data = Dataset.from_dict(dict(tokenizer(list(texts), truncation=True, max_length=LENGTH)))

    def run(number: int) -> list[float]:
        clock = Clock()
        arguments = TrainingArguments(
            output_dir=str(folder),
            per_device_train_batch_size=batch,
            max_steps=number + 1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            dataloader_pin_memory=False,
        )
        collator = DataCollatorForLanguageModeling(tokenizer)
        Trainer(model, arguments, collator, train_dataset=data, callbacks=[clock]).train()
        return [end - start for start, end in pairwise(clock.ends)]

    return run


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each, in turn (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=8, help="steps per round (default: %(default)s)")
    parser.add_argument("--texts", type=int, default=2000, help="comments (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=32, help="texts of a step, of both (default: %(default)s)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    disable_progress_bars()
    texts = comments(options.texts)
    with tempfile.TemporaryDirectory() as folder:
        runs = {"tornio": ours(options.batch, texts), "Trainer": trainers(options.batch, texts, Path(folder))}
        paces = {name: np.zeros(options.rounds) for name in runs}
        for number in range(options.rounds):
            for name, run in runs.items():
                paces[name][number] = options.batch / float(np.mean(run(options.steps)[WARM:]))
    print("texts per second  " + "".join(f"  round {number}" for number in range(options.rounds)))
    for name, values in paces.items():
        print(f"{name:16s}  " + "".join(f"{value:9.1f}" for value in values))
    ratio = float(np.median(paces["tornio"] / paces["Trainer"]))
    verdict = "reached" if ratio >= TARGET else "missed"
    print(f"ratio to the Trainer {ratio:.2f} (median of {options.rounds}); target {TARGET:g}: {verdict}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
