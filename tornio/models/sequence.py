"""A transformers model for sequence classification that was trained elsewhere. It is used to score, not to train."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tornio.errors import InvalidInput
from tornio.models.device import precision as precision_for
from tornio.models.engine import classifier_for
from tornio.models.folder import read_config
from tornio.models.head import sigmoid, softmax
from tornio.models.outputs import Outputs, class_number, read_outputs
from tornio.models.port import Scores
from tornio.models.pretrained import load_classifier
from tornio.models.tokens import Tokenizer
from tornio.models.windows import one_ahead, windows


class SequenceClassifier:
    """Scores texts for given labels. Thread-safe.

    ``labels``: the labels in the order of the scores. They must equal those of the model's config.json. If that only
    has LABEL_0, LABEL_1, ..., their number must be equal, and they name these classes in this order. A model with one
    output for two classes takes two labels: no, and yes. Raises InvalidInput for other labels, for a model whose
    outputs mean something else (``outputs.Outputs``), and for a folder that is not such a model.
    """

    def __init__(
        self, folder: Path, labels: Sequence[str], *, multi_label: bool, max_length: int, precision: str = "auto"
    ) -> None:
        outputs = read_outputs(read_config(folder))
        self._columns = columns_of(outputs, labels, multi_label)
        self._one_logit = outputs.one_logit and not multi_label
        self._multi_label = multi_label
        self._classifier = classifier_for(load_classifier(folder, precision_for(precision)))
        self._tokenizer = Tokenizer(folder, max_length)

    def score(self, texts: Sequence[str]) -> Scores:
        """Return [n, labels] in the order of ``labels``: a softmax, or, with several labels, a sigmoid each."""
        logits = np.zeros((len(texts), len(self._columns)), dtype=np.float32)
        truncated = np.zeros(len(texts), dtype=bool)
        parts = windows(len(texts))
        for rows, tokens in zip(parts, one_ahead(lambda rows: self._tokenizer.encode(texts[rows]), parts), strict=True):
            given = self._classifier.logits(tokens)
            if self._one_logit:  # the sigmoid of one logit is the softmax of it and 0
                given = np.column_stack([np.zeros_like(given), given])
            logits[rows] = given[:, self._columns]
            truncated[rows] = tokens.truncated
        return Scores(logits, sigmoid(logits) if self._multi_label else softmax(logits), truncated)


def check_classifier(
    folder: Path, labels: Sequence[str], *, multi_label: bool, max_length: int, precision: str
) -> None:
    """Raise InvalidInput as ``SequenceClassifier`` does, and if the model cannot read a text."""
    SequenceClassifier(folder, labels, multi_label=multi_label, max_length=max_length, precision=precision).score(["a"])


def in_model_order(outputs: Outputs, labels: Sequence[str]) -> tuple[str, ...]:
    """Return labels that were found in data, whose order nobody has given, in the order of a model's columns.

    If the model names its classes, these are the labels, whether the data has all of them or not. If it does not,
    labels that are numbers are taken as the numbers of its columns. Raises InvalidInput for other labels, because only
    the user can know their order.
    """
    classes = outputs.names
    if outputs.named:
        return classes if set(labels) < set(classes) else tuple(labels)
    if outputs.one_logit:
        raise InvalidInput(
            f"The model has one output and the data has the labels {', '.join(labels)}. Say what the output decides "
            "with --labels NO,YES: the label of texts with a low output first."
        )
    found = ((class_number(name.removeprefix("LABEL_")), name) for name in labels)
    numbers = {number: name for number, name in found if number is not None}
    if sorted(numbers) != list(range(len(classes))) or len(labels) != len(classes):
        raise InvalidInput(
            f"The model has {len(classes)} classes without names, and the order of {', '.join(labels)} is not "
            "known. Give all of them with --labels, in the model's order."
        )
    return tuple(numbers[number] for number in range(len(classes)))


def columns_of(outputs: Outputs, labels: Sequence[str], multi_label: bool) -> list[int]:
    """Return the model's column of each label. Of one output for two classes, 0 is no and 1 is yes.

    Raises InvalidInput if labels and outputs do not match.
    """
    outputs.check_several(multi_label)
    classes = outputs.names
    if outputs.one_logit and not multi_label:
        if len(labels) != 2:
            raise InvalidInput(
                f"The model has one output, which decides between two labels, not {', '.join(labels)}. Give both with "
                "--labels NO,YES: the label of texts with a low output first."
            )
        return [1, 0] if outputs.named and labels[0] == classes[0] else [0, 1]
    if len(classes) == len(labels) and not outputs.named:
        return list(range(len(labels)))
    missing = [name for name in labels if name not in classes]
    if missing or len(classes) != len(labels):
        raise InvalidInput(
            f"The model has the labels {', '.join(classes)}, but the data has {', '.join(labels)}. They must be "
            "the same. Give the labels of the model with --labels."
        )
    return [classes.index(name) for name in labels]
