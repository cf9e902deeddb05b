"""A transformers model for sequence classification that was trained elsewhere. It is used to score, not to train."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tornio.errors import InvalidInput
from tornio.models.device import precision as precision_for
from tornio.models.encoder import load_pretrained
from tornio.models.engine import classifier_for
from tornio.models.head import sigmoid, softmax
from tornio.models.port import Scores
from tornio.models.tokens import Tokenizer
from tornio.models.windows import one_ahead, windows

_NAMELESS = re.compile(r"LABEL_\d+")
_NUMBER = re.compile(r"(?:LABEL_)?(\d+)")


class SequenceClassifier:
    """Scores texts for given labels. Thread-safe.

    ``labels``: the labels in the order of the scores. They must equal those of the model's config.json. If that only
    has LABEL_0, LABEL_1, ..., their number must be equal, and they name these classes in this order. Raises
    InvalidInput for other labels, and for a folder that is not such a model.
    """

    def __init__(
        self, folder: Path, labels: Sequence[str], *, multi_label: bool, max_length: int, precision: str = "auto"
    ) -> None:
        from transformers import AutoModelForSequenceClassification

        model = load_pretrained(AutoModelForSequenceClassification, folder, precision_for(precision))
        self._columns = columns_of(model_labels(model.config), labels)
        self._multi_label = multi_label
        self._classifier = classifier_for(model)
        self._tokenizer = Tokenizer(folder, max_length)

    def score(self, texts: Sequence[str]) -> Scores:
        """Return [n, labels] in the order of ``labels``: a softmax, or, with several labels, a sigmoid each."""
        logits = np.zeros((len(texts), len(self._columns)), dtype=np.float32)
        truncated = np.zeros(len(texts), dtype=bool)
        parts = windows(len(texts))
        for rows, tokens in zip(parts, one_ahead(lambda rows: self._tokenizer.encode(texts[rows]), parts), strict=True):
            logits[rows] = self._classifier.logits(tokens)[:, self._columns]
            truncated[rows] = tokens.truncated
        return Scores(logits, sigmoid(logits) if self._multi_label else softmax(logits), truncated)


def model_labels(config: object) -> tuple[str, ...]:
    """Return the classes that a model's configuration names, in their order."""
    names: dict[int, str] = getattr(config, "id2label", None) or {}
    return tuple(names[number] for number in sorted(names))


def in_model_order(folder: Path, labels: Sequence[str]) -> tuple[str, ...]:
    """Return labels that were found in data, whose order nobody has given, in the order of a model's columns.

    If the model names its classes, the order does not matter. If it does not, labels that are numbers are taken as the
    numbers of its columns. Raises InvalidInput for other labels, because only the user can know their order.
    """
    from transformers import AutoConfig

    classes = model_labels(AutoConfig.from_pretrained(folder, local_files_only=True))
    if not all(_NAMELESS.fullmatch(name) for name in classes):
        return tuple(labels)
    numbers = {int(match[1]): name for name in labels if (match := _NUMBER.fullmatch(name))}
    if sorted(numbers) != list(range(len(classes))) or len(labels) != len(classes):
        raise InvalidInput(
            f"The model has {len(classes)} classes without names, and the order of {', '.join(labels)} is not "
            "known. Give all of them with --labels, in the model's order."
        )
    return tuple(numbers[number] for number in range(len(classes)))


def columns_of(classes: Sequence[str], labels: Sequence[str]) -> list[int]:
    """Return the model's column of each label. Raises InvalidInput if they do not match."""
    if len(classes) == len(labels) and all(_NAMELESS.fullmatch(name) for name in classes):
        return list(range(len(labels)))
    missing = [name for name in labels if name not in classes]
    if missing or len(classes) != len(labels):
        raise InvalidInput(
            f"The model has the labels {', '.join(classes)}, but the data has {', '.join(labels)}. They must be "
            "the same. Give the labels of the model with --labels."
        )
    return [list(classes).index(name) for name in labels]
