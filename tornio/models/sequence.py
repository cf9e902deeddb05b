"""A transformers model for sequence classification, as it was trained elsewhere: scores, and is not trained here."""

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
    """Scores texts for given labels. Safe to share between threads.

    ``labels``: in the order that scores shall have; they must be those of the model's config.json, or, where that
    has only LABEL_0, LABEL_1, ..., as many, and then they stand for these in this order. Raises InvalidInput for
    other labels and for a folder that is no such model.
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
        """[n, labels] in the order of ``labels``: a softmax, or, with several labels allowed, a sigmoid each."""
        logits = np.zeros((len(texts), len(self._columns)), dtype=np.float32)
        truncated = np.zeros(len(texts), dtype=bool)
        parts = windows(len(texts))
        for rows, tokens in zip(parts, one_ahead(lambda rows: self._tokenizer.encode(texts[rows]), parts), strict=True):
            logits[rows] = self._classifier.logits(tokens)[:, self._columns]
            truncated[rows] = tokens.truncated
        return Scores(logits, sigmoid(logits) if self._multi_label else softmax(logits), truncated)


def model_labels(config: object) -> tuple[str, ...]:
    """The classes that a model's configuration names, in their order."""
    names: dict[int, str] = getattr(config, "id2label", None) or {}
    return tuple(names[number] for number in sorted(names))


def in_model_order(folder: Path, labels: Sequence[str]) -> tuple[str, ...]:
    """Labels that were found in data, and whose order nobody stated, so that they fit the columns of a model.

    A model that names its classes needs no order. One that does not takes numbers as the numbers of its columns.
    Raises InvalidInput for other labels: only who knows the model can say which is its first.
    """
    from transformers import AutoConfig

    classes = model_labels(AutoConfig.from_pretrained(folder, local_files_only=True))
    if not all(_NAMELESS.fullmatch(name) for name in classes):
        return tuple(labels)
    numbers = {int(found[1]): name for name in labels if (found := _NUMBER.fullmatch(name))}
    if sorted(numbers) != list(range(len(classes))) or len(labels) != len(classes):
        raise InvalidInput(
            f"the model has {len(classes)} classes without names, and nothing says which of {', '.join(labels)} is its "
            "first: name all of them with --labels, in the model's order"
        )
    return tuple(numbers[number] for number in range(len(classes)))


def columns_of(classes: Sequence[str], labels: Sequence[str]) -> list[int]:
    """For each label the model's column. Raises InvalidInput where they do not match."""
    if len(classes) == len(labels) and all(_NAMELESS.fullmatch(name) for name in classes):
        return list(range(len(labels)))
    missing = [name for name in labels if name not in classes]
    if missing or len(classes) != len(labels):
        raise InvalidInput(
            f"the model knows {', '.join(classes)}, the data {', '.join(labels)}: they must be the same; name the "
            "model's with --labels"
        )
    return [list(classes).index(name) for name in labels]
