"""The NLI teacher: a text gets the label whose hypothesis it entails."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tornio.arrays import FloatMatrix
from tornio.errors import InvalidInput
from tornio.models.device import precision as precision_for
from tornio.models.engine import classifier_for
from tornio.models.folder import read_config
from tornio.models.head import sigmoid, softmax
from tornio.models.outputs import Outputs, read_outputs
from tornio.models.port import Scores
from tornio.models.pretrained import load_classifier
from tornio.models.tokens import Tokenizer, Tokens
from tornio.models.windows import WINDOW, one_ahead, windows
from tornio.models.zeroshot import phrases
from tornio.spec import LabelSpec


class NliZeroShot:
    """The ``ZeroShotModel`` over a cross-encoder trained on natural language inference. Thread-safe.

    The text is the premise, each filled template is a hypothesis, and a label's logit is the mean over its hypotheses.
    Single-label: softmax of the entailment logits over the labels. Multi-label: sigmoid of entailment minus its
    opposite. Source: Yin, Hay and Roth (2019), "Benchmarking Zero-shot Text Classification", EMNLP, section 5, scored
    as transformers' zero-shot pipeline does. Raises InvalidInput for a folder that is not such a model.
    """

    def __init__(self, folder: Path, name: str, max_length: int, precision: str = "auto") -> None:
        """``max_length``: tokens of text and hypothesis together; the longer of the two is cut."""
        self._entailment, self._opposite = nli_classes(read_outputs(read_config(folder)))
        self._classifier = classifier_for(load_classifier(folder, precision_for(precision)))
        self._tokenizer = Tokenizer(folder, max_length)
        self._name = f"teacher:nli:{name}"

    @property
    def name(self) -> str:
        return self._name

    def score(
        self, texts: Sequence[str], labels: Sequence[LabelSpec], templates: Sequence[str], multi_label: bool = False
    ) -> Scores:
        groups = [phrases(label, templates) for label in labels]
        hypotheses = [hypothesis for group in groups for hypothesis in group]

        def read(rows: slice) -> Tokens:
            return self._tokenizer.encode_pairs(
                [(text, hypothesis) for text in texts[rows] for hypothesis in hypotheses]
            )

        logits = np.zeros((len(texts), len(labels)), dtype=np.float32)
        truncated = np.zeros(len(texts), dtype=bool)
        parts = windows(len(texts), max(1, WINDOW // max(1, len(hypotheses))))
        for rows, tokens in zip(parts, one_ahead(read, parts), strict=True):
            classes = self._classifier.logits(tokens)
            entailed = classes[:, self._entailment] - (classes[:, self._opposite] if multi_label else 0.0)
            logits[rows] = _mean_by_label(entailed.reshape(-1, len(hypotheses)), groups)
            truncated[rows] = tokens.truncated.reshape(-1, len(hypotheses)).any(axis=1)
        return Scores(logits, sigmoid(logits) if multi_label else softmax(logits), truncated)


def _mean_by_label(values: FloatMatrix, groups: Sequence[Sequence[str]]) -> FloatMatrix:
    """Average [n, hypotheses] to [n, labels]; the hypotheses of a label are adjacent columns."""
    ends = np.cumsum([len(group) for group in groups])[:-1]
    return np.stack([part.mean(axis=1) for part in np.split(values, ends, axis=1)], axis=1)


def nli_classes(outputs: Outputs) -> tuple[int, int]:
    """Return the columns of entailment and of its opposite (contradiction or not-entailment) among a model's outputs.

    Raises InvalidInput if they do not have these names, or are not classes of which each text has one.
    """
    outputs.check_several(False)
    names = [name.lower() for name in outputs.names]
    entailment = [column for column, name in enumerate(names) if name.startswith("entail")]
    opposite = [column for column, name in enumerate(names) if name.startswith(("contra", "not"))]
    if len(entailment) != 1 or len(opposite) != 1:
        raise InvalidInput(
            f"The classes {sorted(outputs.names)} are not those of an NLI model. teacher.model needs a checkpoint "
            "whose config.json names entailment and contradiction (or not_entailment)."
        )
    return entailment[0], opposite[0]
