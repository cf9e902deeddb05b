"""The NLI teacher: a text belongs to the label whose hypothesis it entails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tornio.errors import InvalidInput
from tornio.models.batching import token_batches
from tornio.models.device import precision as precision_for
from tornio.models.encoder import load_pretrained
from tornio.models.head import sigmoid, softmax
from tornio.models.port import FloatMatrix, Scores
from tornio.models.tokens import Tokenizer, padded
from tornio.models.zeroshot import phrases
from tornio.spec import LabelSpec

_CHUNK = 256
"""Texts whose pairs are held together: bounds memory."""


class NliZeroShot:
    """The ``ZeroShotModel`` over a cross-encoder trained on natural language inference. Safe to share between threads.

    A text is the premise, each filled template a hypothesis; a label's logit is the mean over its hypotheses. One
    label each: softmax over the labels of the entailment logits. Several: sigmoid of entailment minus its opposite.
    Source: Yin, Hay and Roth (2019), "Benchmarking Zero-shot Text Classification", EMNLP, section 5, scored as
    transformers' zero-shot pipeline does. Raises InvalidInput for a folder that is no such model.
    """

    def __init__(self, folder: Path, name: str, max_length: int, precision: str = "auto") -> None:
        """``max_length``: tokens of text and hypothesis together; of the two the longer is cut."""
        from transformers import AutoModelForSequenceClassification

        self._model = load_pretrained(AutoModelForSequenceClassification, folder, precision_for(precision))
        self._tokenizer = Tokenizer(folder, max_length)
        self._entailment, self._opposite = nli_classes(self._model.config.label2id)
        self._name = f"teacher:nli:{name}"

    @property
    def name(self) -> str:
        return self._name

    def score(
        self, texts: Sequence[str], labels: Sequence[LabelSpec], templates: Sequence[str], multi_label: bool = False
    ) -> Scores:
        groups = [phrases(label, templates) for label in labels]
        logits = np.zeros((len(texts), len(labels)), dtype=np.float32)
        truncated = np.zeros(len(texts), dtype=bool)
        for start in range(0, len(texts), _CHUNK):
            rows = slice(start, start + _CHUNK)
            logits[rows], truncated[rows] = self._score(texts[rows], groups, multi_label)
        return Scores(logits, sigmoid(logits) if multi_label else softmax(logits), truncated)

    def _score(
        self, texts: Sequence[str], groups: Sequence[Sequence[str]], multi_label: bool
    ) -> tuple[FloatMatrix, NDArray[np.bool_]]:
        hypotheses = [hypothesis for group in groups for hypothesis in group]
        tokens = self._tokenizer.encode_pairs([(text, hypothesis) for text in texts for hypothesis in hypotheses])
        classes = np.empty((len(tokens.ids), self._model.config.num_labels), dtype=np.float32)
        with torch.inference_mode():
            for batch in token_batches(tokens.lengths):
                classes[batch] = self._forward([tokens.ids[i] for i in batch], [tokens.type_ids[i] for i in batch])
        entailed = classes[:, self._entailment] - (classes[:, self._opposite] if multi_label else 0.0)
        by_hypothesis = entailed.reshape(len(texts), len(hypotheses))
        ends = np.cumsum([len(group) for group in groups])[:-1]
        logits = np.stack([part.mean(axis=1) for part in np.split(by_hypothesis, ends, axis=1)], axis=1)
        truncated = np.asarray(tokens.truncated.reshape(len(texts), len(hypotheses)).any(axis=1), dtype=bool)
        return logits, truncated

    def _forward(self, ids: Sequence[NDArray[np.int64]], types: Sequence[NDArray[np.int64]]) -> FloatMatrix:
        """float32 [rows, classes]."""
        tokens, mask = padded(ids, self._tokenizer.pad_id)
        inputs = {"input_ids": tokens, "attention_mask": mask}
        if self._tokenizer.takes_type_ids:
            inputs["token_type_ids"] = padded(types, 0)[0]
        on_device = {name: torch.from_numpy(array).to(self._model.device) for name, array in inputs.items()}
        logits: torch.Tensor = self._model(**on_device).logits
        return np.asarray(logits.float().cpu().numpy())


def nli_classes(label2id: Mapping[str, int]) -> tuple[int, int]:
    """Places of entailment and of its opposite (contradiction, or not-entailment) in a checkpoint's classes.

    Raises InvalidInput where the configuration does not name them.
    """
    names = {name.lower(): place for name, place in label2id.items()}
    entailment = [place for name, place in names.items() if name.startswith("entail")]
    opposite = [place for name, place in names.items() if name.startswith(("contra", "not"))]
    if len(entailment) != 1 or len(opposite) != 1:
        raise InvalidInput(
            f"the classes {sorted(label2id)} are not those of an NLI model: teacher.model needs a checkpoint that "
            "names entailment and contradiction (or not_entailment) in its config.json"
        )
    return entailment[0], opposite[0]
