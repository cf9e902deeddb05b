"""From a reply to a probability of each label, or to what is wrong with it. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tornio.arrays import FloatVector
from tornio.models.llm.logprobs import label_probabilities
from tornio.models.llm.port import Reply
from tornio.models.llm.prompt import ONE, SEVERAL, Prompt

SURE = 0.9
"""Probability of a label that a model names and gives no log-probabilities for; the others share the rest. It is label
smoothing by .1 (Szegedy et al. 2016, "Rethinking the Inception Architecture", section 7)."""
LEAST = 1e-3
"""Probability, in all, that log-probabilities leave to labels by chance: no teacher is quite sure."""
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)
_FENCE = re.compile(r"^```\w*\s*|\s*```$")


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A usable answer. ``probabilities``: float32 [labels]. ``measured``: whether they are the model's own."""

    probabilities: FloatVector
    measured: bool


class Rubbish(Exception):
    """An answer that says nothing about the labels. ``kind``: which sort, in words."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def judge(reply: Reply, prompt: Prompt) -> Judged:
    """Return what a reply says of the labels.

    One label: the softmax over labels of the log-probabilities of their tokens, or, without these, ``SURE`` for the
    label that is named. Several labels: ``SURE`` for each that is named and 1 - ``SURE`` for the others, because the
    log-probabilities of a list's tokens are not those of its members. Raises Rubbish.
    """
    if reply.refusal or reply.finish == "content_filter":
        raise Rubbish("refusal")
    if reply.finish == "length":
        raise Rubbish("too long")
    value = _value(reply.content, SEVERAL if prompt.multi_label else ONE)
    names = prompt.names
    if prompt.multi_label:
        if not isinstance(value, list):
            raise Rubbish("no JSON")
        chosen = [_column(one, names) for one in value]
        several = np.full(len(names), 1 - SURE, dtype=np.float32)
        several[chosen] = SURE
        return Judged(several, False)
    column = _column(value, names)
    own = label_probabilities(reply.tokens, names, ONE)
    if own is not None:
        return Judged(np.asarray((1 - LEAST) * own + LEAST / len(names), dtype=np.float32), True)
    one = np.full(len(names), (1 - SURE) / (len(names) - 1), dtype=np.float32)
    one[column] = SURE
    return Judged(one, False)


def _value(content: str, field: str) -> Any:
    """Return the field of the answer's JSON object. Around it a thought and a Markdown fence are allowed."""
    text = _FENCE.sub("", _THOUGHT.sub("", content).strip()).strip()
    if not text:
        raise Rubbish("empty")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Rubbish("no JSON") from error
    if not isinstance(found, dict) or field not in found:
        raise Rubbish("no JSON")
    return found[field]


def _column(name: Any, names: Sequence[str]) -> int:
    """Return the column of a label. Case and white space at the ends do not count where one label alone is meant."""
    if not isinstance(name, str):
        raise Rubbish("unknown label")
    if name in names:
        return names.index(name)
    meant = [column for column, known in enumerate(names) if known.casefold() == name.strip().casefold()]
    if len(meant) != 1:
        raise Rubbish("unknown label")
    return meant[0]
