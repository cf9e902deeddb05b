"""What the outputs of a sequence classifier mean, by its configuration. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tornio.errors import InvalidInput

SINGLE, MULTI, REGRESSION = "single_label_classification", "multi_label_classification", "regression"
_NAMELESS = re.compile(r"LABEL_\d+")
_DIGITS = re.compile(r"[0-9]{1,9}")
"""Not more digits, because int() refuses very long strings of them."""
_CLASSES = 2
"""How many classes transformers takes a model to have whose configuration does not say."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """The outputs of a model that classifies texts.

    ``names``: one per output, in their order. ``named``: whether they are names, and not LABEL_0, LABEL_1, ... .
    ``several``: whether a text may have several of them (a sigmoid each) or has one (a softmax over all); None: the
    configuration leaves it open, so the user decides. One output decides between two labels, no and yes, which only
    the user can name, or whether a text has its label.
    """

    names: tuple[str, ...]
    named: bool
    several: bool | None

    @property
    def one_logit(self) -> bool:
        """Whether there is one output only. It decides between no and yes."""
        return len(self.names) == 1

    def check_several(self, several: bool) -> None:
        """Raise InvalidInput if the outputs cannot be read in this way: as several labels of a text, or as one."""
        if self.several is True and not several and not self.one_logit:
            raise InvalidInput(
                f"The model gives each text any number of the labels {', '.join(self.names)} (problem_type "
                f"{MULTI} in its config.json). Score data with several labels per text, with --multi-label."
            )
        if self.several is False and several:
            raise InvalidInput(
                f"The model gives each text one of the labels {', '.join(self.names)} (problem_type {SINGLE} in its "
                "config.json). Leave out --multi-label, or give a model that was trained for several labels."
            )


def read_outputs(config: Mapping[str, Any]) -> Outputs:
    """Return what the outputs of the model with this config.json mean.

    Raises InvalidInput for a regression, for one class of which each text has one, and for a configuration that
    contradicts itself.
    """
    names, named = _names(config)
    kind = config.get("problem_type")
    if kind not in (None, SINGLE, MULTI, REGRESSION):
        raise InvalidInput(f"config.json has problem_type {kind!r:.80}. Known are {SINGLE}, {MULTI} and {REGRESSION}.")
    if kind == REGRESSION:
        raise InvalidInput("The model is a regression (problem_type in its config.json): its outputs are no classes.")
    if len(names) == 1 and kind == SINGLE:
        raise InvalidInput(
            f"The model has one output and problem_type {SINGLE} in its config.json. A softmax over one class is "
            "always 1. If the output decides between no and yes, remove problem_type and name both: --labels NO,YES."
        )
    return Outputs(names, named, None if kind is None else kind == MULTI)


def class_number(value: object) -> int | None:
    """The number of a class that an integer or its digits are; None for anything else."""
    if isinstance(value, str):
        return int(value) if _DIGITS.fullmatch(value) else None
    return value if type(value) is int and 0 <= value < 10**9 else None


def _names(config: Mapping[str, Any]) -> tuple[tuple[str, ...], bool]:
    """The names of the outputs in their order, and whether they are names."""
    by_id = _by_id(config.get("id2label"), "id2label")
    by_name = _by_name(config.get("label2id"))
    stated = config.get("num_labels")
    if stated is not None and (not isinstance(stated, int) or isinstance(stated, bool) or stated < 1):
        raise InvalidInput(f"config.json has num_labels {stated!r:.80}, which is no number of classes.")
    if by_id is not None and by_name is not None and by_id != by_name:
        # A configuration that only one of the two was set in keeps LABEL_0, LABEL_1 in the other.
        if _nameless(by_name):
            by_name = None
        elif _nameless(by_id) and len(by_id) == len(by_name):
            by_id = None
        else:
            raise InvalidInput(
                f"config.json contradicts itself: id2label has {', '.join(by_id)} and label2id {', '.join(by_name)}. "
                "Correct the one that is wrong."
            )
    names = by_id or by_name
    if names is None:
        return tuple(f"LABEL_{number}" for number in range(stated or _CLASSES)), False
    if stated is not None and stated != len(names):
        raise InvalidInput(
            f"config.json contradicts itself: num_labels is {stated}, but {len(names)} are named: {', '.join(names)}."
        )
    return names, not _nameless(names)


def _by_id(names: Any, what: str) -> tuple[str, ...] | None:
    """The names of {number: name}, in the order of the numbers, which are 0, 1, ... without a gap."""
    if not names:
        return None
    unusable = InvalidInput(f"config.json has {what} {names!r:.200}, which does not name classes by their numbers.")
    if not isinstance(names, Mapping):
        raise unusable
    by_number = {number: name for key, name in names.items() if (number := class_number(key)) is not None}
    if len(by_number) != len(names) or not all(isinstance(name, str) for name in by_number.values()):
        raise unusable
    if sorted(by_number) != list(range(len(names))):
        raise InvalidInput(f"config.json has {what} for the classes {sorted(by_number)}. They must be 0, 1, 2, ... .")
    ordered = tuple(by_number[number] for number in range(len(names)))
    if len(set(ordered)) != len(ordered) or not all(name.strip() for name in ordered):
        raise InvalidInput(f"config.json has {what} {', '.join(ordered)}. Each class needs a name of its own.")
    return ordered


def _by_name(numbers: Any) -> tuple[str, ...] | None:
    """The names of {name: number}, in the order of the numbers."""
    if not numbers:
        return None
    if not isinstance(numbers, Mapping):
        raise InvalidInput(f"config.json has label2id {numbers!r:.200}, which does not number the names of classes.")
    inverse: dict[int, Any] = {}
    for name, given in numbers.items():
        number = class_number(given)
        if number is None:
            raise InvalidInput(f"config.json has label2id {given!r:.80} for {name!r:.80}. It must be a whole number.")
        if number in inverse:
            raise InvalidInput(f"config.json has label2id {number!r} for both {inverse[number]!r} and {name!r}.")
        inverse[number] = name
    return _by_id(inverse, "label2id")


def _nameless(names: tuple[str, ...]) -> bool:
    return all(_NAMELESS.fullmatch(name) for name in names)
