"""A frozen transformers model that turns texts into vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers.utils.logging import disable_progress_bar

from tornio.errors import InvalidInput
from tornio.models.batching import token_batches
from tornio.models.device import Precision, device
from tornio.models.device import precision as precision_for
from tornio.models.port import Embedded
from tornio.models.tokens import Tokenizer, padded
from tornio.schemas.registry import EncoderUse, Pooling


def load_pretrained(auto_class: Any, folder: Path, precision: Precision) -> Any:
    """A transformers model from a local folder: safetensors only, no remote code, frozen, on its device.

    ``auto_class``: AutoModel or one of its siblings. Raises InvalidInput for a folder that is no such model.
    """
    disable_progress_bar()  # type: ignore[no-untyped-call]  # of reading one local file
    try:
        model = auto_class.from_pretrained(
            str(folder),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=getattr(torch, precision),
        )
    except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:
        raise InvalidInput(
            f"{folder} is not a model that can be loaded here ({error}): it needs config.json and safetensors of an "
            "architecture that transformers itself has"
        ) from error
    return model.eval().requires_grad_(False).to(device())


def load_weights(folder: Path, precision: Precision) -> Any:
    """The transformers model of an encoder's folder; see ``load_pretrained``."""
    from transformers import AutoModel

    return load_pretrained(AutoModel, folder, precision)


class Encoder:
    """The ``TextEncoder`` over a transformers folder. Safe to share between threads.

    In float32 its vectors are those of a plain forward pass within 1e-5, whatever the texts share a batch with.
    """

    def __init__(
        self,
        folder: Path,
        *,
        pooling: Pooling,
        normalise: bool,
        max_length: int,
        layer: int = -1,
        precision: str = "auto",
        weights: Any = None,
    ) -> None:
        """``weights``: this folder's model where it is loaded already; encoders of one model may share it."""
        self.precision = precision_for(precision)
        self._model = load_weights(folder, self.precision) if weights is None else weights
        self._tokenizer = Tokenizer(folder, max_length)
        self._pooling = pooling
        self._layer = layer
        self._normalise = normalise

    @property
    def dimension(self) -> int:
        return int(self._model.config.hidden_size)

    def embed(self, texts: Sequence[str]) -> Embedded:
        """float32 [n, dim], in the order of ``texts``; n may be 0."""
        tokens = self._tokenizer.encode(texts)
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        with torch.inference_mode():
            for batch in token_batches(tokens.lengths):
                ids, mask = padded([tokens.ids[i] for i in batch], self._tokenizer.pad_id)
                vectors[batch] = self._pooled(torch.from_numpy(ids), torch.from_numpy(mask)).cpu().numpy()
        return Embedded(vectors, tokens.truncated)

    def _hidden(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if self._layer == -1:
            last: torch.Tensor = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
            return last
        layers = self._model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
        chosen: torch.Tensor = layers[self._layer]
        return chosen

    def _pooled(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        ids, mask = ids.to(self._model.device), mask.to(self._model.device)
        hidden = self._hidden(ids, mask).float()
        if self._pooling == "cls":
            pooled = hidden[:, 0]
        else:
            weights = mask[..., None].float()
            pooled = (hidden * weights).sum(1) / weights.sum(1)
        return torch.nn.functional.normalize(pooled, dim=1) if self._normalise else pooled


def encoder_from(folder: Path, use: EncoderUse, precision: str = "auto", weights: Any = None) -> Encoder:
    """The encoder in this folder, used as a version says."""
    return Encoder(
        folder,
        pooling=use.pooling,
        normalise=use.normalise,
        max_length=use.max_length,
        layer=use.layer,
        precision=precision,
        weights=weights,
    )
