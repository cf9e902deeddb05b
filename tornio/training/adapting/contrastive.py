"""Contrastive pre-training without labels: a text should be near itself, and far from the other texts of the batch.

Gao et al. (2021), "SimCSE: Simple Contrastive Learning of Sentence Embeddings", section 3 (unsupervised): the two views
of a text are two passes with different dropout. Deviations: vectors are pooled as the encoder's makers intended, not
always from the first token, and there is no extra layer during the training, so that what is trained is what is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from tornio.errors import InvalidInput
from tornio.models.device import Precision, device, gpus
from tornio.models.pretrained import load_body
from tornio.schemas.registry import Pooling
from tornio.seeds import derive_seed
from tornio.training.batches import Rows
from tornio.training.data import TokenIds
from tornio.training.network import EncoderNetwork
from tornio.training.objective import Verdict

TEMPERATURE = 0.05
"""Section 6.3 of the paper."""
COMPARED = 64
"""Most texts that are compared with each other: the paper's batch."""


class ContrastiveNetwork(EncoderNetwork):
    """An encoder and how its vectors are pooled."""

    new_head = False

    def __init__(self, folder: Path, pooling: Pooling, precision: Precision = "float32") -> None:
        """Raises InvalidInput for an encoder without dropout, and as ``load_body`` does."""
        super().__init__(load_body(folder, "float32"), pooling, precision)
        if not any(isinstance(module, nn.Dropout) and module.p > 0 for module in self.body.modules()):
            raise InvalidInput(
                "this encoder has no dropout, so two passes over a text do not differ, and contrastive pre-training "
                "learns nothing. Use --objective masked-language"
            )

    def write(self, folder: Path) -> None:
        """Write the encoder in transformers' layout."""
        self.widen()
        self.body.save_pretrained(folder, safe_serialization=True)


@dataclass(frozen=True, eq=False)
class Contrastive:
    """The ``Objective`` of contrastive pre-training: the cross-entropy of finding a text's second view among those of
    the micro-batch, by cosine similarity over ``TEMPERATURE``.

    The held-out texts are judged with dropout that is seeded, so that their losses can be compared. The score is the
    negative loss. It tells whether the training goes on, but not how good the vectors are for a task.
    """

    train: Sequence[TokenIds]
    held_out: Sequence[TokenIds]
    seed: int

    name = f"contrastive {TEMPERATURE} {COMPARED}"
    score_name = "log_likelihood"
    sums = 2
    """The loss, and the number of texts."""

    @cached_property
    def lengths(self) -> list[int]:
        return [len(ids) for ids in self.train]

    @cached_property
    def held_out_lengths(self) -> list[int]:
        return [len(ids) for ids in self.held_out]

    def loss(self, network: ContrastiveNetwork, rows: Rows, done: float) -> Tensor:
        return loss_of(network, [self.train[row] for row in rows])

    def weight(self, rows: Rows) -> float:
        return float(len(rows))

    def judge(self, network: ContrastiveNetwork, rows: Rows) -> Tensor:
        loss = torch.zeros((), device=device())
        network.train()
        with torch.random.fork_rng(gpus()):
            for start in range(0, len(rows), COMPARED):
                part = rows[start : start + COMPARED]
                torch.manual_seed(derive_seed("held-out dropout", self.seed, int(part[0])))
                loss += loss_of(network, [self.held_out[row] for row in part])
        network.eval()
        return torch.stack([loss, torch.tensor(float(len(rows)), device=loss.device)])

    def verdict(self, sums: Sequence[float]) -> Verdict:
        loss, count = sums
        return Verdict(score=-loss / count, loss=loss / count)


def loss_of(network: EncoderNetwork, texts: Sequence[TokenIds]) -> Tensor:
    """Return the sum of the losses of the texts, as a scalar. A text alone has no other to be told from: its loss is
    0."""
    vectors = functional.normalize(network.pooled([*texts, *texts]), dim=1)
    first, second = vectors[: len(texts)], vectors[len(texts) :]
    similarities = first @ second.T / TEMPERATURE
    return functional.cross_entropy(similarities, torch.arange(len(texts), device=vectors.device), reduction="sum")
