"""GoEmotions (28 labels, several per text) with 1,000 labels: macro F1 with and without adaptation of the base.

    python -m bench.adapted_base [--texts 4000] [--epochs 1] [--seeds 3] [--objectives masked-language,contrastive]

MiniLM is adapted to ``--texts`` comments without labels, which never contain a text of the test, with the product's own
settings but for the epochs. Each encoder is then used frozen: few-shot heads on 1,000 labels, drawn anew for each seed
and the same for all encoders, judged on 2,000 comments of the test. Both layers are shown that heads may learn from:
the one before the last, which the product uses of MiniLM, and the last. Data: the folder in TORNIO_DATA, else
../shared/data beside the project.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch

from tornio.arrays import BoolMatrix, FloatMatrix
from tornio.evaluation.metrics import indicators, macro_f1, micro_f1
from tornio.models.decide import THRESHOLD, decide
from tornio.models.encoder import Encoder
from tornio.models.head import LinearHead
from tornio.models.sources import MINILM, describe, resolve_encoder
from tornio.schemas.registry import EncoderUse
from tornio.training.adapting.adapt import Settings, adapt
from tornio.training.adapting.objectives import ADAPTATIONS
from tornio.training.adapting.texts import split_texts
from tornio.training.fewshot import fit_few_shot

LABELS, JUDGED, LENGTH = 1000, 2000, 128
LAYERS = (-2, -1)
Labels = list[tuple[str, ...]]


@dataclass(frozen=True)
class Comments:
    """Texts and their labels."""

    texts: list[str]
    labels: Labels


def read(part: str) -> Comments:
    root = Path(os.environ.get("TORNIO_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    table = pq.read_table(root / "goemotions" / f"{part}.parquet")
    return Comments(table["text"].to_pylist(), [tuple(labels) for labels in table["label"].to_pylist()])


def adapted(objective: str, texts: Sequence[str], epochs: int, out: Path) -> None:
    """Write the adapted encoder into ``out`` and tell how it went."""
    source = resolve_encoder(MINILM)
    use = EncoderUse(digest="", pooling=source.pooling, normalise=source.normalise, max_length=LENGTH)
    out.mkdir()
    settings = Settings(objective, epochs, 64, ADAPTATIONS[objective].learning_rate)
    began = time.process_time()
    result = adapt(split_texts(texts), source.folder, use, out, settings, 0, precision="float32")
    assert result is not None
    before, after = result.metrics["validation_before"], result.metrics["validation_after"]
    seconds = time.process_time() - began
    print(
        f"{objective}: {len(texts)} texts, {epochs} epochs, {seconds:.0f} s; held-out loss {before:.3f} -> {after:.3f}"
    )


def vectors(folder: Path, texts: list[str], layer: int) -> FloatMatrix:
    source = describe(folder, "")
    encoder = Encoder(
        folder,
        pooling=source.pooling,
        normalise=source.normalise,
        max_length=LENGTH,
        layers=(layer,),
        precision="float32",
    )
    return encoder.embed(texts).vectors


def answers(head: LinearHead, embedded: FloatMatrix, names: tuple[str, ...]) -> BoolMatrix:
    """bool [n, labels]: what the head answers, with its thresholds."""
    probabilities = 1 / (1 + np.exp(-(embedded @ head.weight.T + head.bias)))
    least = np.array([head.thresholds.get(name, THRESHOLD) for name in names], dtype=np.float64)
    return decide(probabilities, True, least)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=4000, help="comments to adapt to (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=1, help="passes over them (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="draws of the labels (default: %(default)s)")
    parser.add_argument("--objectives", default=",".join(ADAPTATIONS), help="which to try (default: %(default)s)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    train, test = read("train"), read("test")
    names = tuple(sorted({label for labels in train.labels for label in labels}))
    truth = indicators(test.labels[:JUDGED], names)
    known = set(test.texts)
    order = np.random.default_rng(1000).permutation(len(train.texts))
    unlabelled = [train.texts[row] for row in order if train.texts[row] not in known][: options.texts]
    with tempfile.TemporaryDirectory() as name:
        folders = {MINILM: resolve_encoder(MINILM).folder}
        for objective in options.objectives.split(","):
            folders[objective] = Path(name) / objective
            adapted(objective, unlabelled, options.epochs, folders[objective])
        draws = [np.random.default_rng(seed).permutation(len(train.texts))[:LABELS] for seed in range(options.seeds)]
        drawn = [train.texts[row] for rows in draws for row in rows]
        print(f"{'encoder':16s}  layer  macro F1 (each seed)  micro F1")
        for encoder, folder in folders.items():
            for layer in LAYERS:
                learned, judged = np.split(vectors(folder, drawn + test.texts[:JUDGED], layer), [len(drawn)])
                macro, micro = [], []
                for seed, rows in enumerate(draws):
                    own = learned[seed * LABELS : (seed + 1) * LABELS]
                    head = fit_few_shot(own, [train.labels[row] for row in rows], names, True, seed)
                    answered = answers(head, judged, names)
                    macro.append(macro_f1(truth, answered))
                    micro.append(micro_f1(truth, answered))
                each = " ".join(f"{value:.3f}" for value in macro)
                print(f"{encoder:16s}  {layer:5d}  {np.mean(macro):.3f} ({each})  {np.mean(micro):.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
