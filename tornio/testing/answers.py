"""Predictions of a fake server: from what a test says about a text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Choice = str | Sequence[str] | Mapping[str, float]
"""What a text gets: a label, several labels, or the probability of each label."""
Rule = Mapping[str, Choice] | Callable[[str], Choice]
"""What each text gets: by the text, or as a function says."""
SURE = 0.9
"""The probability of a label that is chosen by name."""


@dataclass(frozen=True, slots=True)
class Chosen:
    labels: tuple[str, ...]
    probabilities: dict[str, float]


def choose(rule: Rule | None, otherwise: Choice | None, text: str, labels: Sequence[str], multi_label: bool) -> Chosen:
    """Return the prediction of a text.

    Raises AssertionError for a text that the test has said nothing about, and ValueError for labels that the task
    does not have.
    """
    choice = rule(text) if callable(rule) else (rule or {}).get(text)
    choice = otherwise if choice is None else choice
    if choice is None:
        raise AssertionError(
            f"The fake server has no answer for the text {text!r}. Give it one with FakeServer.answer, or say with "
            "`otherwise` what all other texts get."
        )
    return chosen(choice, labels, multi_label)


def chosen(choice: Choice, labels: Sequence[str], multi_label: bool) -> Chosen:
    """Return the prediction that a test chose. Raises ValueError for labels that the task does not have."""
    names = (choice,) if isinstance(choice, str) else tuple(choice)
    if unknown := set(names) - set(labels):
        raise ValueError(f"{sorted(unknown)} are no labels of the task, which has {list(labels)}")
    if isinstance(choice, Mapping):
        probabilities = {label: float(choice.get(label, 0.0)) for label in labels}
        best = max(labels, key=lambda label: probabilities[label])
        many = tuple(label for label in labels if probabilities[label] >= 0.5)
        return Chosen(many if multi_label else (best,), probabilities)
    if multi_label:
        return Chosen(names, {label: SURE if label in names else 1 - SURE for label in labels})
    if len(names) != 1:
        raise ValueError(f"a text of this task has one label, not {list(names)}")
    rest = (1 - SURE) / (len(labels) - 1)
    return Chosen(names, {label: SURE if label in names else rest for label in labels})
