"""How often drift is seen within one window, and how often it is seen where there is none: AG News, few-shot MiniLM.

    python -m bench.drift [--seeds 5] [--windows 20] [--texts 300]

Each seed draws 100 labelled texts, a hold-out of 200, and windows of live texts from what is left. Drifts: ``none``;
``label mix`` (half of the texts are of one label); ``new topic`` (half of the texts are questions of TREC); ``longer``
(each text is four texts of a label). Prints the share of windows with an alarm, and the share by measure. Data: the
folder in TORNIO_DATA, else ../shared/data beside the project.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping

import numpy as np

from bench.texts import Texts, encoder, read
from tornio.arrays import BoolVector, FloatMatrix, IntArray
from tornio.drift import Counts, Reference, compare
from tornio.drift.counts import confidence_of, count
from tornio.drift.reference import reference
from tornio.models.decide import decide_labels
from tornio.models.head import LinearHead
from tornio.models.port import Reading
from tornio.training.fewshot import fit_few_shot

POOL, TRAIN, HELD, TOPIC, LONG = 1500, 100, 200, 300, 300


class Embedded:
    """Texts that are embedded once."""

    def __init__(self, texts: Texts) -> None:
        self.texts, self.labels = texts.texts, texts.labels
        found = encoder().embed(texts.texts)
        assert found.reading is not None
        self.vectors: FloatMatrix = found.vectors
        self.reading = found.reading

    def counted(self, head: LinearHead, rows: IntArray) -> tuple[Counts, Reference]:
        """Return the counts of these rows, and what they are as a hold-out."""
        probabilities = head.probabilities(head.logits(self.vectors[rows]))
        chosen = decide_labels(probabilities, head.labels, False)
        stated = confidence_of(probabilities, head.labels, False, {})
        one = self.reading
        reading = Reading(one.tokens[rows], one.unknown[rows], one.truncated[rows])
        truth = [self.labels[row] for row in rows]
        counts = count(head.labels, chosen, stated, [self.texts[row] for row in rows], reading.truncated, reading)
        right: BoolVector = np.array([given == true for given, true in zip(chosen, truth, strict=True)])
        known = [label if label[0] in head.labels else (head.labels[0],) for label in truth]
        return counts, reference(counts, stated, right, chosen, known, multi_label=False)


def longer(texts: Texts, size: int) -> Texts:
    """Return texts that are four texts of one label each, with the mix of the labels as it is."""
    random = np.random.default_rng(0)
    by_label = {name: [t for t, (label,) in zip(texts.texts, texts.labels, strict=True) if label == name] for name in
                texts.names}  # fmt: skip
    drawn = texts.drawn(size, 1)
    return Texts([" ".join(random.choice(by_label[label], 4)) for (label,) in drawn.labels], drawn.labels)


def windows(
    seed: int, train: Embedded, live: Embedded, topic: Embedded, long: Embedded, number: int, size: int
) -> Mapping[str, list[Counter[str]]]:
    """Return the measures with an alarm in each window, by drift."""
    random = np.random.default_rng(seed)
    rows = random.permutation(len(train.texts))[:TRAIN]
    names = sorted({label for (label,) in live.labels})
    head = fit_few_shot(train.vectors[rows], [train.labels[row] for row in rows], names, False, seed)
    order = random.permutation(len(live.texts))
    (_, held), rest = live.counted(head, order[:HELD]), order[HELD:]
    one = np.array([row for row in rest if live.labels[row] == (names[seed % len(names)],)])
    half = size // 2
    found: dict[str, list[Counter[str]]] = {"none": [], "label mix": [], "new topic": [], "longer": []}
    for _ in range(number):
        usual, some = random.choice(rest, size), live.counted(head, random.choice(rest, half))[0]
        drifts = {
            "none": live.counted(head, usual)[0],
            "label mix": some + live.counted(head, random.choice(one, half))[0],
            "new topic": some + topic.counted(head, random.integers(0, len(topic.texts), half))[0],
            "longer": long.counted(head, random.integers(0, len(long.texts), size))[0],
        }
        for name, counts in drifts.items():
            drift = compare(counts, held)
            assert drift is not None
            found[name].append(Counter(effect.measure for effect in drift.alarms))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--windows", type=int, default=20)
    parser.add_argument("--texts", type=int, default=300)
    args = parser.parse_args()
    test = read("ag_news", "test")
    train, live = Embedded(read("ag_news", "train").drawn(500, 0)), Embedded(test.drawn(POOL, 0))
    topic, long = Embedded(read("trec", "train").drawn(TOPIC, 0)), Embedded(longer(test, LONG))
    seen: dict[str, list[Counter[str]]] = {}
    for seed in range(args.seeds):
        for name, found in windows(seed, train, live, topic, long, args.windows, args.texts).items():
            seen.setdefault(name, []).extend(found)
    print(f"{args.seeds} seeds, {args.windows} windows of {args.texts} texts each; alarms by drift")
    shares = {}
    for name, each in seen.items():
        shares[name] = sum(map(bool, each)) / len(each)
        measures = sum(each, Counter[str]())
        print(f"  {name:10} {shares[name]:.2f}  " + ", ".join(f"{m} {n / len(each):.2f}" for m, n in measures.items()))
    missed = [name for name in ("label mix", "new topic", "longer") if shares[name] < 0.95]
    print(f"seen less than .95: {', '.join(missed) or 'none'}; false alarms: {shares['none']:.2f}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
