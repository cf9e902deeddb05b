"""Check the messages and split them into pool.csv, answers.csv and test.csv.

Source: messages/{label}.txt, one message a line; a leading "! " marks a hard one and is not part of the text.
Run it from anywhere after editing a message: `python examples/support/data/build.py`.
"""

from __future__ import annotations

import csv
import json
import random
import re
import sys
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
SEED = 7
TEST_SHARE = 0.25
MIN_PER_LABEL = 110
NEAR_DUPLICATE = 0.6  # Jaccard similarity of the two messages' sets of words
HARD = "! "


class Message(NamedTuple):
    text: str
    label: str
    hard: bool


def read_messages(label: str) -> list[Message]:
    lines = (HERE / "messages" / f"{label}.txt").read_text(encoding="utf-8").splitlines()
    return [Message(line.removeprefix(HARD), label, line.startswith(HARD)) for line in lines]


def problems(messages: list[Message]) -> list[str]:
    """What is wrong with the messages, in words; empty when they may be published."""
    found = [f"empty, or spaces around it: {m.text!r}" for m in messages if not m.text or m.text != m.text.strip()]
    words = [frozenset(re.findall(r"\w+", m.text.lower())) for m in messages]
    for (a, left), (b, right) in combinations(zip(messages, words, strict=True), 2):
        if len(left & right) > NEAR_DUPLICATE * len(left | right):
            found.append(f"near duplicates: {a.text!r} ({a.label}) and {b.text!r} ({b.label})")
    return found


def split(messages: list[Message], rng: random.Random) -> tuple[list[Message], list[Message]]:
    """Pool and test: a quarter of one label's messages, and of its hard ones, goes to test."""
    pool: list[Message] = []
    test: list[Message] = []
    for hard in (False, True):
        group = [m for m in messages if m.hard is hard]
        rng.shuffle(group)
        cut = round(len(group) * TEST_SHARE)
        test += group[:cut]
        pool += group[cut:]
    return pool, test


def write_csv(name: str, header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def main() -> None:
    labels = [entry["name"] for entry in json.loads((HERE / "labels.json").read_text(encoding="utf-8"))]
    by_label = {label: read_messages(label) for label in labels}
    found = problems([m for messages in by_label.values() for m in messages])
    found += [
        f"label {label!r} has {len(messages)} messages, fewer than {MIN_PER_LABEL}"
        for label, messages in by_label.items()
        if len(messages) < MIN_PER_LABEL
    ]
    if found:
        raise SystemExit("\n".join([*found, f"{len(found)} problems: edit messages/*.txt and run again."]))

    rng = random.Random(SEED)
    counts: list[str] = []
    pool: list[Message] = []
    test: list[Message] = []
    for label, messages in by_label.items():
        label_pool, label_test = split(messages, rng)
        pool += label_pool
        test += label_test
        hard = sum(m.hard for m in messages)
        counts.append(f"| {label} | {len(messages)} | {len(label_pool)} | {len(label_test)} | {hard} |")
    hard = sum(m.hard for m in pool + test)
    counts.append(f"| all | {len(pool + test)} | {len(pool)} | {len(test)} | {hard} |")
    sys.stdout.write("\n".join(counts) + "\n")

    rng.shuffle(pool)
    rng.shuffle(test)
    pool_ids = [f"s{number:04}" for number in range(1, len(pool) + 1)]
    test_ids = [f"s{number:04}" for number in range(len(pool) + 1, len(pool) + len(test) + 1)]
    pool_rows = [(i, m.text, m.label) for i, m in zip(pool_ids, pool, strict=True)]
    write_csv("pool.csv", ("id", "text"), [(i, text) for i, text, _ in pool_rows])
    write_csv("answers.csv", ("id", "label"), [(i, label) for i, _, label in pool_rows])
    write_csv("test.csv", ("id", "text", "label"), [(i, m.text, m.label) for i, m in zip(test_ids, test, strict=True)])


if __name__ == "__main__":
    main()
