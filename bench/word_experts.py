"""Would a few-shot head that also reads words be better? The head alone, and the head and words as two experts.

    python -m bench.word_experts [--labels 100] [--seeds 5] [--first 0] [--data trec,ag_news,sst2_sent,clinc150]

Words: scikit-learn's logistic regression (C=10, balanced) on TF-IDF weights of words and pairs of words; the weights
are counted over the labelled texts and 4,000 others. The two experts' log-probabilities are added with weights that
have the smallest log-loss out of fold. Prints, for each data set, mean accuracy and log-loss over seeds on 1,000 test
texts. CLINC150 has ten labels a class. The kind ``layered-few-shot`` has no words because of these figures: see
``docs/fine-tuning.md``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import product

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from bench.few_shot_sets import OUT_OF_SCOPE, drawn
from bench.texts import Labels, Texts, embedded, paired, read
from tornio.arrays import FloatMatrix, IntArray
from tornio.training.fewshot import fit_few_shot

DATASETS = ("trec", "ag_news", "sst2_sent", "clinc150")
OTHERS, TEST = 4000, 1000
UNSEEN = -8.0
WEIGHTS = [(head, words) for head, words in product(np.arange(0.2, 2.1, 0.2), np.arange(0.0, 2.1, 0.2))]


def log_softmax(logits: FloatMatrix) -> FloatMatrix:
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


def head_says(
    vectors: FloatMatrix, labels: Labels, names: tuple[str, ...], seed: int, other: FloatMatrix
) -> FloatMatrix:
    """Return the log-probabilities of a few-shot head for other vectors, float32 [n, labels]."""
    return log_softmax(fit_few_shot(vectors, labels, names, False, seed).logits(other))


def words_say(words: FloatMatrix, classes: IntArray, other: FloatMatrix, count: int) -> FloatMatrix:
    """Return the log-probabilities of a regression on words; a class without an example gets a low one."""
    model = LogisticRegression(C=10, max_iter=300, class_weight="balanced").fit(words, classes)
    said = np.full((other.shape[0], count), UNSEEN, dtype=np.float32)
    said[:, model.classes_] = model.predict_log_proba(other)
    return said


def log_loss(logits: FloatMatrix, classes: IntArray) -> float:
    return -float(log_softmax(logits)[np.arange(len(classes)), classes].mean())


def both(some: Texts, others: Sequence[str], test: Texts, names: tuple[str, ...], seed: int) -> list[FloatMatrix]:
    """Return the logits of the head alone, and of both experts together, for the test texts."""
    classes = np.array([names.index(label) for (label,) in some.labels])
    vectors, judged = embedded(some.texts), embedded(test.texts)
    counted = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, tokenizer=str.split, token_pattern=None).fit(
        [*some.texts, *others]
    )
    words = counted.transform(some.texts)
    head, word = (np.zeros((len(classes), len(names)), dtype=np.float32) for _ in range(2))
    folds = StratifiedKFold(3 if len(names) > 50 else 5, shuffle=True, random_state=seed)
    for rest, held in folds.split(vectors, classes):
        labels = [some.labels[row] for row in rest]
        head[held] = head_says(vectors[rest], labels, names, seed, vectors[held])
        word[held] = words_say(words[rest], classes[rest], words[held], len(names))
    a, b = min(WEIGHTS, key=lambda pair: log_loss(pair[0] * head + pair[1] * word, classes))
    alone = head_says(vectors, some.labels, names, seed, judged)
    return [alone, a * alone + b * words_say(words, classes, counted.transform(test.texts), len(names))]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, default=100, help="labelled texts (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: %(default)s)")
    parser.add_argument("--data", default=",".join(DATASETS), help="default: %(default)s")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    for dataset in options.data.split(","):
        train, test = (read(dataset, part).without(OUT_OF_SCOPE) for part in ("train", "test"))
        names, test = train.names, test.drawn(TEST, 0)
        truth = np.array([names.index(label) for (label,) in test.labels])
        right, loss = [], []
        for seed in range(options.first, options.first + options.seeds):
            some = drawn(train, dataset, options.labels, seed)
            said = both(some, train.drawn(OTHERS, seed).texts, test, names, seed)
            right.append([float((logits.argmax(axis=1) == truth).mean()) for logits in said])
            loss.append([log_loss(logits, truth) for logits in said])
        (alone, together), (before, after) = np.mean(right, axis=0), np.mean(loss, axis=0)
        mean, half = paired([row[1] for row in right], [row[0] for row in right])
        print(
            f"{dataset:9s} head {alone:.3f}  with words {together:.3f}  difference {mean:+.3f} +- {half:.3f}  "
            f"log-loss {before:.3f} -> {after:.3f} ({options.seeds} seeds)",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
