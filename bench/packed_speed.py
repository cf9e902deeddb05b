"""Losses of labelled texts: the packed engine compared with the tutorial loop, with one torch thread each, in turn.

    python -m bench.packed_speed [--precision auto] [--models minilm distilbert bert] [--rounds 5] [--one-core]

The texts are from AG News, and tokenising is included. MiniLM gets a head for the four labels, which is fitted here.
The models of DistilBERT's and BERT-base's size are random, so they only measure speed. The baseline is the tutorial
loop: float32, `datasets.map(batched=True, batch_size=32)`, padded to the longest text of the batch, no_grad,
cross-entropy per example. The number of rows is what the packed engine does in about `--seconds`. Useful FLOP/s: the
operations that the losses need (no padding, of the last layer only what is read) divided by the whole time, compared
with this machine's matrix product in the same precision. Data: the folder in TORNIO_DATA, else ../shared/data beside
the project."""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow.parquet as pq
import torch
import transformers
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from torch.nn import functional

from tornio.models.device import Precision
from tornio.models.device import precision as precision_for
from tornio.models.engine import Classifier, classifier_for, engine_for
from tornio.models.pretrained import load_classifier
from tornio.models.sources import MINILM, resolve_encoder
from tornio.models.tokens import Tokenizer
from tornio.models.windows import one_ahead, windows

BARS = {"minilm": 6.0, "distilbert": 5.0, "bert": 5.0}
"""For processors that compute in bfloat16 (AMX); they do not apply to float32."""
LABELS, MAX_LENGTH, BATCH = 4, 256, 32
HEAD_ROWS = 256

Losses = NDArray[np.float32]


@dataclass(frozen=True)
class Rows:
    """Texts and their labels, 0 to 3."""

    texts: list[str]
    labels: NDArray[np.int64]

    def first(self, n: int) -> Rows:
        return Rows(self.texts[:n], self.labels[:n])


def load_rows(split: str) -> Rows:
    root = Path(os.environ.get("TORNIO_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    table = pq.read_table(root / "ag_news" / f"{split}.parquet")
    names = sorted(set(table["label"].to_pylist()))
    return Rows(table["text"].to_pylist(), np.array([names.index(label) for label in table["label"].to_pylist()]))


def make_model(name: str, folder: Path) -> None:
    """A classifier of this size in ``folder``, with MiniLM's tokenizer."""
    source = resolve_encoder(MINILM).folder
    torch.manual_seed(0)
    model: Any
    if name == "minilm":
        model = transformers.BertForSequenceClassification.from_pretrained(source, num_labels=LABELS)
        fit_head(model, Tokenizer(source, MAX_LENGTH))
    elif name == "distilbert":
        config: Any = transformers.AutoConfig.for_model("distilbert", num_labels=LABELS)
        model = transformers.DistilBertForSequenceClassification(config)
    else:
        config = transformers.AutoConfig.for_model("bert", num_labels=LABELS)
        model = transformers.BertForSequenceClassification(config)
    model.save_pretrained(folder)
    for file in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        shutil.copy(source / file, folder / file)


def fit_head(model: Any, tokenizer: Tokenizer) -> None:
    """Fit a logistic regression on the pooler's output for some training texts."""
    rows = load_rows("train").first(HEAD_ROWS)
    with torch.no_grad():
        first = torch.from_numpy(engine_for(model.eval().bert).pooled(tokenizer.encode(rows.texts), "cls"))
        fitted = LogisticRegression(C=10, max_iter=1000).fit(model.bert.pooler(first[:, None]).numpy(), rows.labels)
        model.classifier.weight.copy_(torch.from_numpy(fitted.coef_))
        model.classifier.bias.copy_(torch.from_numpy(fitted.intercept_))


def packed(classifier: Classifier, tokenizer: Tokenizer, rows: Rows) -> Losses:
    parts = windows(len(rows.texts))
    read = one_ahead(lambda part: tokenizer.encode(rows.texts[part]), parts)
    logits = np.concatenate([classifier.logits(tokens) for tokens in read])
    return cross_entropy(torch.from_numpy(logits), rows.labels)


def tutorial(model: Any, tokenizer: Any, rows: Rows) -> Losses:
    def forward(batch: dict[str, list[Any]]) -> dict[str, Any]:
        with torch.no_grad():
            inputs = tokenizer(batch["text"], padding=True, truncation=True, max_length=MAX_LENGTH, return_tensors="pt")
            logits = model(**inputs).logits
        return {"loss": cross_entropy(logits, np.array(batch["label"])), "predicted": logits.argmax(-1).numpy()}

    data = datasets.Dataset.from_dict({"text": rows.texts, "label": rows.labels})
    # With a fingerprint the tutorial need not pickle its model, which is not part of the work.
    scored = data.map(forward, batched=True, batch_size=BATCH, new_fingerprint=os.urandom(8).hex())
    return np.array(scored["loss"], dtype=np.float32)


def cross_entropy(logits: torch.Tensor, labels: NDArray[np.int64]) -> Losses:
    return functional.cross_entropy(logits, torch.from_numpy(labels), reduction="none").numpy()


def useful_flop(config: Any, lengths: Sequence[int]) -> float:
    """Return the multiplications and additions needed for the first tokens' last hidden states."""
    hidden, inner = config.hidden_size, getattr(config, "intermediate_size", None) or config.hidden_dim
    tokens, squares, texts = sum(lengths), sum(n * n for n in lengths), len(lengths)
    whole = 2 * tokens * (4 * hidden**2 + 2 * hidden * inner) + 4 * hidden * squares
    last = 2 * tokens * 2 * hidden**2 + 2 * texts * (2 * hidden**2 + 2 * hidden * inner) + 4 * hidden * tokens
    return float((config.num_hidden_layers - 1) * whole + last)


def matmul_peak(precision: Precision) -> float:
    """Return the FLOP/s of the best of some large matrix products."""
    best = 0.0
    for n in (1024, 2048):
        square = torch.randn(n, n).to(getattr(torch, precision))
        best = max(best, *(2 * n**3 / seconds(partial(torch.matmul, square, square))[0] for _ in range(5)))
    return best


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def compare(name: str, folder: Path, precision: Precision, wanted_s: float, rounds: int, peak: float) -> float:
    """Print the rounds and their summary. Returns the median ratio."""
    baseline = partial(tutorial, load_classifier(folder, "float32"), transformers.AutoTokenizer.from_pretrained(folder))
    own_tokenizer = Tokenizer(folder, MAX_LENGTH)
    ours = partial(packed, classifier_for(load_classifier(folder, precision)), own_tokenizer)
    rows = load_rows("test")
    probe = 4 * BATCH if name == "minilm" else BATCH
    took, _ = seconds(lambda: ours(rows.first(probe)))
    rows = rows.first(max(2 * BATCH, int(probe * wanted_s / took) // BATCH * BATCH))
    lengths = own_tokenizer.encode(rows.texts).lengths
    print(f"\n{name}, {precision}: {len(rows.texts)} rows of {np.mean(lengths):.0f} tokens (longest {max(lengths)})")
    print("round   tutorial s   packed s   ratio")
    times, theirs, losses = [], np.empty(0), np.empty(0)
    for number in range(rounds):
        slow, theirs = seconds(lambda: baseline(rows))
        fast, losses = seconds(lambda: ours(rows))
        times.append((slow, fast))
        print(f"{number + 1:5d}   {slow:10.2f}   {fast:8.2f}   {slow / fast:5.2f}", flush=True)
    ratio = statistics.median(slow / fast for slow, fast in times)
    best = min(fast for _, fast in times)
    top = max(1, len(rows.texts) // 100)
    same = len(set(np.argsort(-theirs)[:top]) & set(np.argsort(-losses)[:top]))
    flops = useful_flop(transformers.AutoConfig.from_pretrained(folder), lengths) / best
    print(f"median ratio        {ratio:.2f} ({len(rows.texts) / best:.0f} rows/s)")
    print(f"top 1 % of losses   {same} of {top} the same; Spearman {spearmanr(theirs, losses).statistic:.6f}, ", end="")
    print(f"largest difference {np.abs(theirs - losses).max():.2g}")
    print(f"useful FLOP/s       {flops / 1e9:.0f} G = {flops / peak:.0%} of the {peak / 1e9:.0f} G of a matrix product")
    return ratio


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", default="auto", help="auto, float32 or bfloat16 (default: %(default)s)")
    parser.add_argument("--models", nargs="+", choices=tuple(BARS), default=list(BARS), help="default: all")
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="seconds of the packed engine per round (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--one-core", action="store_true", help="limit tokenizers to one core, too")
    options = parser.parse_args(arguments)
    if options.one_core:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    datasets.disable_progress_bars()
    precision = precision_for(options.precision)
    peak = matmul_peak(precision)
    ratios = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.models:
            make_model(name, Path(folder) / name)
            ratios[name] = compare(name, Path(folder) / name, precision, options.seconds, options.rounds, peak)
    print()
    for name, ratio in ratios.items():
        verdict = "reached" if ratio >= BARS[name] else "MISSED"
        judged = verdict if precision == "bfloat16" else f"not compared in {precision}"
        print(f"{name:10s} {ratio:.2f}; bar {BARS[name]} in bfloat16: {judged}")
    return int(precision == "bfloat16" and any(ratio < BARS[name] for name, ratio in ratios.items()))


if __name__ == "__main__":
    sys.exit(main())
