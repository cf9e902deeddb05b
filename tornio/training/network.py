"""The networks that trainings change: a transformers encoder, and the head that predicts labels from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tornio.arrays import FloatMatrix
from tornio.models.batching import token_batches
from tornio.models.device import Precision, device
from tornio.models.pretrained import load_body
from tornio.schemas.registry import Pooling
from tornio.training.packing import WIDTH, Rows, pack

_UNUSED = "pooler."
"""BERT's and RoBERTa's layer over [CLS], which neither kind of pooling reads."""


class EncoderNetwork(nn.Module):
    """A transformers encoder that trains: token ids to hidden states.

    ``narrow`` leaves it the word embeddings of the tokens that occur. The other rows have no gradient where only texts
    are read, and embeddings are not decayed, so they would not change. An optimizer over all rows would spend half of a
    small model's step on rows that stay the same (MiniLM: 11.7 of 22.7 million parameters).
    """

    def __init__(self, body: Any, pooling: Pooling, precision: Precision = "float32") -> None:
        """``body``: a transformers encoder in float32. ``precision``: what it computes in."""
        super().__init__()
        self.body: Any = body.requires_grad_(True)
        for name, parameter in self.body.named_parameters():
            parameter.requires_grad_(not name.startswith(_UNUSED))
        pad = getattr(self.body.config, "pad_token_id", None)
        self._pad_id = pad if isinstance(pad, int) else 0
        self._pooling = pooling
        self._half = precision == "bfloat16"
        self._first_position = first_position(self.body)
        self._table: nn.Embedding | None = None
        self._place: NDArray[np.int64] | None = None

    def narrow(self, ids: Iterable[NDArray[np.int64]]) -> None:
        """Keep the embeddings of these tokens only, until ``widen``. Later texts must consist of these tokens."""
        table = self.body.get_input_embeddings()
        # Some models count positions from the padding's id, so it and the ids before it keep their places.
        kept = np.unique(np.concatenate([np.arange(self._pad_id + 1), *ids]))
        self._place = np.full(table.num_embeddings, -1, dtype=np.int64)
        self._place[kept] = np.arange(len(kept))
        self._table = table.requires_grad_(False)  # it is not trained, so an optimizer must not see it
        rows = table.weight.detach()[torch.from_numpy(kept).to(table.weight.device)]
        narrow = nn.Embedding(len(rows), rows.shape[1], table.padding_idx, device=rows.device)
        narrow.weight.data = rows
        self.body.set_input_embeddings(narrow)

    def widen(self) -> None:
        """Write the trained rows back into the whole table."""
        if self._table is None or self._place is None:
            return
        kept = torch.from_numpy(np.flatnonzero(self._place >= 0)).to(self._table.weight.device)
        with torch.no_grad():
            self._table.weight[kept] = self.body.get_input_embeddings().weight
        self.body.set_input_embeddings(self._table.requires_grad_(True))
        self._table = self._place = None

    def hidden(self, texts: Sequence[NDArray[np.int64]]) -> tuple[torch.Tensor, Rows]:
        """Return float32 [rows * width, dim], the hidden states of token ids, and the rows that they were put in.
        Texts that share a row do not see each other."""
        if self._place is not None:
            texts = [self._place[text] for text in texts]
        rows = pack(texts, self._pad_id, WIDTH if self._first_position is not None else 1)
        ids, owners = (torch.from_numpy(values).to(device()) for values in (rows.ids, rows.owners))
        inputs = {"input_ids": ids, "attention_mask": (owners >= 0).long()}
        if len(rows.ids) < len(texts):
            inputs["attention_mask"] = owners[:, None, :, None] == owners[:, None, None, :]
            inputs["position_ids"] = torch.from_numpy(rows.positions + (self._first_position or 0)).to(device())
        with self.autocast():
            hidden = self.body(**inputs).last_hidden_state
        return hidden.float().flatten(0, 1), rows

    def pooled(self, texts: Sequence[NDArray[np.int64]]) -> torch.Tensor:
        """Return float32 [n, dim] of token ids."""
        hidden, rows = self.hidden(texts)
        if self._pooling == "cls":
            firsts: torch.Tensor = hidden[torch.from_numpy(rows.firsts).to(hidden.device)]
            return firsts
        owners = torch.from_numpy(rows.owners.flatten()).to(hidden.device)
        inside = owners >= 0
        sums = hidden.new_zeros(len(texts), hidden.shape[1]).index_add(0, owners[inside], hidden[inside])
        means: torch.Tensor = sums / torch.from_numpy(rows.lengths).to(hidden.device)[:, None]
        return means

    def computed(
        self, texts: Sequence[NDArray[np.int64]], width: int, compute: Callable[[list[NDArray[np.int64]]], torch.Tensor]
    ) -> FloatMatrix:
        """Return float32 [n, width]: what ``compute`` makes of token ids, without dropout and gradients, batch by
        batch."""
        self.eval()
        found = np.empty((len(texts), width), dtype=np.float32)
        with torch.no_grad():
            for rows in token_batches([len(text) for text in texts]):
                found[rows] = compute([texts[row] for row in rows]).float().cpu().numpy()
        return found

    def autocast(self) -> torch.autocast:
        """Return the context in which the network computes in its precision."""
        return torch.autocast(device().type, torch.bfloat16, enabled=self._half)

    def trained(self) -> dict[str, nn.Parameter]:
        """Return the parameters that training changes, by name."""
        return {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}

    def is_head(self, name: str) -> bool:
        return not name.startswith("body.")

    def decays(self, name: str, parameter: nn.Parameter) -> bool:
        """Return whether weight decay applies: to matrices, not to biases, norms and embeddings."""
        return parameter.ndim > 1 and "embedding" not in name


class Network(EncoderNetwork):
    """Token ids to logits [n, labels]: ``head(pool(body(ids)))``. An ``Encoder`` over the saved body and a
    ``LinearHead`` compute the same."""

    def __init__(self, folder: Path, pooling: Pooling, outputs: int, precision: Precision = "float32") -> None:
        """``precision``: what the body computes in. Its weights and the head are always float32."""
        super().__init__(load_body(folder, "float32"), pooling, precision)
        self.head = nn.Linear(int(self.body.config.hidden_size), outputs).to(device())
        nn.init.normal_(self.head.weight, std=float(getattr(self.body.config, "initializer_range", 0.02)))
        nn.init.zeros_(self.head.bias)

    def forward(self, rows: Sequence[NDArray[np.int64]]) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.pooled(rows))
        return logits


def first_position(body: Any) -> int | None:
    """Return the position of a text's first token, or None where texts may not share a row of this model.

    They may share a row where attention takes any mask and positions are an argument, not where positions follow from
    the row itself.
    """
    kind = body.config.model_type
    if getattr(body.config, "_attn_implementation", None) != "sdpa":
        return None
    if kind in ("bert", "distilbert", "electra"):
        return 0
    if kind in ("roberta", "xlm-roberta", "camembert"):
        return int(body.config.pad_token_id) + 1
    return None
