"""Texts per second of the NLI teacher: ours, compared with transformers' zero-shot pipeline, and with a student.

    python -m bench.nli_teacher [--layers 12] [--texts 24] [--rounds 3] [--precision auto]

The NLI model has BERT-base's size (fewer layers with `--layers`) and random weights, which only measure speed. All use
one thread of this machine's processor. The texts are from AG News, with two labels and one template. The pipeline runs
in float32, with batches of 1 (its default) and of 32 pairs; the faster one counts. The student is a few-shot head on
MiniLM. Rounds of all alternate, and tokenising is included. Measured are the processor's seconds. Logits are compared
in float32. Data: the folder in TORNIO_DATA, else ../shared/data beside the project.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification, pipeline
from transformers.utils.logging import disable_progress_bar

from bench.texts import LAYERED, base, read
from tornio.models.encoder import encoder_from
from tornio.models.fewshot import FewShotModel
from tornio.models.nli import NliZeroShot
from tornio.schemas.registry import EncoderUse
from tornio.spec import LabelSpec
from tornio.training.fewshot import fit_few_shot

LABELS = ("Business", "Sports")
TEMPLATE = "This is about {}."
BATCHES = (1, 32)
BAR, STUDENT_BAR = 4.0, 20.0
STUDENT_TEXTS = 20
"""The student gets so many times the texts of the teacher, so that its time can be measured."""


def random_nli(folder: Path, layers: int) -> None:
    """Write a model of BERT-base's width with random weights, and MiniLM's tokenizer."""
    torch.manual_seed(0)
    names = ("contradiction", "neutral", "entailment")
    config = BertConfig(
        num_hidden_layers=layers, id2label=dict(enumerate(names)), label2id={name: i for i, name in enumerate(names)}
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        shutil.copy(base().folder / name, folder / name)


def student() -> FewShotModel:
    """Return a few-shot model of the two labels, from a hundred texts."""
    train, source = read("ag_news", "train"), base()
    rows = [row for row, labels in enumerate(train.labels) if labels[0] in LABELS][:100]
    use = EncoderUse(digest="0" * 64, pooling=source.pooling, normalise=True, max_length=256, layers=LAYERED)
    encoder = encoder_from(source.folder, use)
    vectors = encoder.embed([train.texts[row] for row in rows]).vectors
    head = fit_few_shot(vectors, [train.labels[row] for row in rows], LABELS, False, 0)
    return FewShotModel(head, use, encoder)


def difference(theirs: Any, folder: Path, texts: Sequence[str]) -> float:
    """Return the greatest difference of the logits of all pairs, in float32."""
    teacher = NliZeroShot(folder, "random", 512, "float32")
    ours = teacher.score(texts, [LabelSpec(name=name) for name in LABELS], [TEMPLATE]).logits
    expected = np.zeros_like(ours)
    for row, text in enumerate(texts):
        for column, name in enumerate(LABELS):
            tokens = theirs.tokenizer(text, TEMPLATE.replace("{}", name), return_tensors="pt")
            with torch.no_grad():
                expected[row, column] = float(theirs.model(**tokens).logits[0, theirs.entailment_id])
    return float(np.abs(ours - expected).max())


def seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=12, help="layers of the NLI model (default: %(default)s)")
    parser.add_argument("--texts", type=int, default=24, help="texts of a round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each, in turn (default: %(default)s)")
    parser.add_argument("--precision", default="auto", help="of ours: float32, bfloat16 or auto (default: %(default)s)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    disable_progress_bar()  # type: ignore[no-untyped-call]
    texts = read("ag_news", "test").drawn(options.texts, 0).texts
    many = read("ag_news", "test").drawn(options.texts * STUDENT_TEXTS, 1).texts
    specs = [LabelSpec(name=name) for name in LABELS]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        random_nli(folder, options.layers)
        theirs: Any = pipeline("zero-shot-classification", model=str(folder), device="cpu")
        ours, small = NliZeroShot(folder, "random", 512, options.precision), student()
        print(f"greatest difference of logits, float32: {difference(theirs, folder, texts):.1e}")

        def piped(batch: int) -> Callable[[], object]:
            return lambda: theirs(texts, candidate_labels=list(LABELS), hypothesis_template=TEMPLATE, batch_size=batch)

        runs: dict[str, tuple[Callable[[], object], int]] = {
            "teacher": (lambda: ours.score(texts, specs, [TEMPLATE]), len(texts)),
            "student": (lambda: small.score(many), len(many)),
        }
        for batch in BATCHES:
            runs[f"pipeline, {batch}"] = piped(batch), len(texts)
        for run, _ in runs.values():
            run()  # the first one allocates memory
        paces = {name: np.zeros(options.rounds) for name in runs}
        for number in range(options.rounds):
            for name, (run, rows) in runs.items():
                paces[name][number] = rows / seconds(run)
    print("texts per second  " + "".join(f"  round {number}" for number in range(options.rounds)))
    for name, values in paces.items():
        print(f"{name:16s}  " + "".join(f"{value:9.2f}" for value in values))
    baseline = np.max([paces[f"pipeline, {batch}"] for batch in BATCHES], axis=0)
    reached = True
    for text, values, bar in (
        ("teacher to the pipeline", paces["teacher"] / baseline, BAR),
        ("student to the teacher", paces["student"] / paces["teacher"], STUDENT_BAR),
    ):
        ratio = float(np.median(values))
        reached &= ratio >= bar
        print(f"ratio of the {text} {ratio:.1f}; bar {bar:g}: {'reached' if ratio >= bar else 'MISSED'}")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
