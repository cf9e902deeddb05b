"""Masked language modelling: predict hidden tokens from the others.

Devlin et al. (2019), "BERT", section 3.1, with masks drawn anew in each step as in Liu et al. (2019), "RoBERTa",
section 4.1. Without next-sentence prediction. As further training on a domain: Gururangan et al. (2020), "Don't Stop
Pretraining".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tornio.errors import InvalidInput
from tornio.models.device import Precision
from tornio.models.pretrained import load_body, load_config, load_masked
from tornio.schemas.registry import Pooling
from tornio.seeds import derive_seed
from tornio.training.adapting.masking import SHARE, Masked, Masker
from tornio.training.batches import Rows
from tornio.training.data import TokenIds
from tornio.training.network import EncoderNetwork
from tornio.training.objective import Verdict

HEADS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "bert": lambda model, hidden: model.cls(hidden),
    "camembert": lambda model, hidden: model.lm_head(hidden),
    "distilbert": lambda model, hidden: model.vocab_projector(
        model.vocab_layer_norm(model.activation(model.vocab_transform(hidden)))
    ),
    "electra": lambda model, hidden: model.generator_lm_head(model.generator_predictions(hidden)),
    "modernbert": lambda model, hidden: model.decoder(model.head(hidden)),
    "mpnet": lambda model, hidden: model.lm_head(hidden),
    "roberta": lambda model, hidden: model.lm_head(hidden),
    "xlm-roberta": lambda model, hidden: model.lm_head(hidden),
}
"""The masked-language head of each architecture: hidden states [n, dim] to logits [n, vocabulary]."""


def check_architecture(folder: Path) -> None:
    """Raise InvalidInput for an encoder whose architecture has no masked-language head here."""
    kind = load_config(folder).model_type
    if kind not in HEADS:
        raise InvalidInput(
            f"masked language modelling does not know the architecture {kind!r}: it knows {', '.join(HEADS)}. Use "
            "--objective contrastive, which works with any encoder"
        )


class MaskedNetwork(EncoderNetwork):
    """An encoder with its masked-language head, whose output matrix is the table of word embeddings.

    ``new_head``: the base has none, so this one starts with random weights.
    """

    def __init__(self, folder: Path, pooling: Pooling, precision: Precision = "float32") -> None:
        """Raises InvalidInput for an architecture that is not in ``HEADS``, and as ``load_body`` does."""
        check_architecture(folder)
        model, new_head = load_masked(folder)
        setattr(model, model.base_model_prefix, load_body(folder, "float32"))  # with the pooler, if there is one
        model.requires_grad_(True).tie_weights()
        super().__init__(model.base_model, pooling, precision)
        self.model: Any = model
        self.new_head: bool = new_head
        self._head = HEADS[model.config.model_type]

    def logits(self, masked: Masked) -> Tensor:
        """Return float32 [m, vocabulary] of the tokens to be predicted. No other token costs a row of logits."""
        hidden, rows = self.hidden(masked.ids)
        places = torch.from_numpy(rows.places)[masked.positions]
        with self.autocast():
            logits = self._head(self.model, hidden[places.to(hidden.device)])
        return logits.float()

    def write(self, folder: Path) -> None:
        """Write encoder and head in transformers' layout."""
        self.model.save_pretrained(folder, safe_serialization=True)


@dataclass(frozen=True, eq=False)
class MaskedLanguage:
    """The ``Objective`` of masked language modelling: the mean cross-entropy of the hidden tokens, in nats.

    The sum of a batch's losses is divided by the expected number of its hidden tokens, and not by the number that was
    drawn, so that workers need not agree on it. The held-out texts are masked once, so that their losses can be
    compared. The score is the negative loss.
    """

    train: Sequence[TokenIds]
    held_out: Sequence[TokenIds]
    masker: Masker
    seed: int

    score_name = "log_likelihood"
    sums = 2
    """The loss, and the number of hidden tokens."""

    @property
    def name(self) -> str:
        return f"masked-language {SHARE} {'words' if self.masker.continues is not None else 'tokens'}"

    @cached_property
    def lengths(self) -> list[int]:
        return [len(ids) for ids in self.train]

    @cached_property
    def held_out_lengths(self) -> list[int]:
        return [len(ids) for ids in self.held_out]

    def loss(self, network: MaskedNetwork, rows: Rows, done: float) -> Tensor:
        return loss_of(network, self.masker.mask([self.train[row] for row in rows]))

    def weight(self, rows: Rows) -> float:
        return max(SHARE * float(self._open_tokens[rows].sum()), 1.0)

    def judge(self, network: MaskedNetwork, rows: Rows) -> Tensor:
        texts = [self._masked[row] for row in rows]
        starts = np.cumsum([0] + [len(text.ids[0]) for text in texts])
        together = Masked(
            [text.ids[0] for text in texts],
            torch.cat([text.positions + int(start) for text, start in zip(texts, starts, strict=False)]),
            torch.cat([text.targets for text in texts]),
        )
        loss, count = loss_of(network, together), len(together.targets)
        return torch.stack([loss, torch.tensor(float(count), device=loss.device)])

    def verdict(self, sums: Sequence[float]) -> Verdict:
        loss, count = sums
        mean = loss / max(count, 1.0)
        return Verdict(score=-mean, loss=mean)

    @cached_property
    def _open_tokens(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        return np.array([self.masker.open_tokens(ids) for ids in self.train], dtype=np.int64)

    @cached_property
    def _masked(self) -> list[Masked]:
        """Each held-out text with its hidden tokens."""
        generator = torch.Generator().manual_seed(derive_seed("held-out masks", self.seed))
        return [self.masker.mask([ids], generator) for ids in self.held_out]


def loss_of(network: MaskedNetwork, masked: Masked) -> Tensor:
    """Return the sum of the losses of the hidden tokens, as a scalar."""
    logits = network.logits(masked)
    return functional.cross_entropy(logits, masked.targets.to(logits.device), reduction="sum")
