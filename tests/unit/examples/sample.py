"""A demo run that never was."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from examples.support.story import Answer, Load, Point, Story
from tornio.api import CurvePoint, HoldoutStatus, Serving, StopStatus, Swap, TaskStatus

LABELS = ["billing", "delivery", "login", "bug", "cancel", "how_to", "feedback"]
TEXTS = [
    "I was charged twice for the same order and the second charge has not come back yet.",
    "where is my parcel",
    "The reset mail never arrives, and the chat tells me to log in first. Very funny.",
    "After the update the basket shows 0 items although the badge says 4. Reloading does not help.",
    "Please end my membership at the end of this month and confirm it in writing.",
    "How do I change the language of the app?",
    "Honestly the best customer service I have had in years.",
]
MESSAGES = 140
START = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)


def sample_story(iterations: int = 12, seed: int = 1) -> Story:
    dice = random.Random(seed)
    numbers = range(1, iterations + 1)
    chosen = [_point(n, 0.9 - 0.1 * 0.75**n, dice) for n in (0, *numbers)]
    other = [_point(n, 0.83 - 0.5 * 0.78**n, dice) for n in numbers]
    curve = [
        CurvePoint(
            iteration=n, labels=18 * n, version=f"v{n:04}", promoted=True, holdout=2 * n,
            accuracy=0.8, interval=(0.55, 0.93), labels_to_halve=6 * n, signal=0.7 + 0.02 * n,
        )
        for n in numbers
    ]  # fmt: skip
    return Story(
        status=_status(iterations, curve),
        points=chosen,
        random=other,
        answers=[_answer(n, dice) for n in range(MESSAGES)],
        load=Load(sent=512, seconds=tuple(dice.uniform(0.02, 0.08) for _ in range(512))),
        zero_shot=0.43,
        first_s=24.0,
        annotator_errors=0.03,
        seconds=245.0,
    )


def _point(n: int, accuracy: float, dice: random.Random) -> Point:
    right = tuple(dice.random() < accuracy for _ in range(MESSAGES))
    return Point(f"v{n:04}", n, 20 * n, right, None if n < 2 else 0.7 + 0.02 * n, 0.8)


def _answer(n: int, dice: random.Random) -> Answer:
    label = LABELS[n % len(LABELS)]
    said = label if dice.random() < 0.85 else dice.choice(LABELS)
    confidence = dice.uniform(0.3, 0.99)
    return Answer(TEXTS[n % len(TEXTS)], label, said, confidence, margin=confidence * dice.random())


def _status(iterations: int, curve: list[CurvePoint]) -> TaskStatus:
    last = f"v{iterations:04}"
    why = f"{iterations} iterations, as loop.stop.max_iterations says"
    swaps = [
        Swap(
            version=f"v{n:04}", revision=n, previous=f"v{n - 1:04}" if n > 1 else None,
            at=START + timedelta(seconds=8 * n), seconds=0.6 + 0.05 * n, who="controller",
            why="2 hold-out labels: too few to judge by, so scores only warn",
        )
        for n in range(iterations, 0, -1)
    ]  # fmt: skip
    return TaskStatus(
        workspace="demo",
        task="support",
        phase="stopped",
        why=why,
        spec_rev=1,
        generation=1,
        label_set_rev=1,
        labels=LABELS,
        multi_label=False,
        pool=844,
        training_labels=dict.fromkeys(LABELS, 30),
        holdout=HoldoutStatus(reserved=84, labelled=24),
        serving=Serving(version=last, revision=iterations, previous=None, who="controller", why="", since=START),
        curve=curve,
        stop=StopStatus(criterion="kappa-average", threshold=0.99, signals=[0.9, 0.93], stopped=why),
        swaps=swaps,
    )
