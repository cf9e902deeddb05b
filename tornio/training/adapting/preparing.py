"""Network and objective of each kind of adaptation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tornio.models.device import Precision
from tornio.schemas.registry import Pooling
from tornio.training.adapting.contrastive import COMPARED, Contrastive, ContrastiveNetwork
from tornio.training.adapting.masked import MaskedLanguage, MaskedNetwork
from tornio.training.adapting.masking import Masker
from tornio.training.batches import MICRO_ROWS
from tornio.training.data import TokenIds
from tornio.training.objective import Objective


@dataclass(frozen=True, eq=False)
class Base:
    """What is adapted: a transformers folder, how its vectors are pooled, and what it computes in."""

    folder: Path
    pooling: Pooling
    precision: Precision


@dataclass(frozen=True, eq=False)
class Prepared:
    """What the loop trains. ``micro_rows``: see ``loop.run``."""

    network: MaskedNetwork | ContrastiveNetwork
    objective: Objective
    micro_rows: int


def masked_language(
    base: Base, train: Sequence[TokenIds], held_out: Sequence[TokenIds], seed: int, whole_words: bool
) -> Prepared:
    """Raises InvalidInput for an encoder without a mask token or of an architecture without a head."""
    network = MaskedNetwork(base.folder, base.pooling, base.precision)
    masker = Masker.of(base.folder, int(network.body.get_input_embeddings().num_embeddings), whole_words)
    return Prepared(network, MaskedLanguage(train, held_out, masker, seed), MICRO_ROWS)


def contrastive(
    base: Base, train: Sequence[TokenIds], held_out: Sequence[TokenIds], seed: int, _whole_words: bool
) -> Prepared:
    """Raises InvalidInput for an encoder without dropout."""
    network = ContrastiveNetwork(base.folder, base.pooling, base.precision)
    network.narrow([*train, *held_out])
    return Prepared(network, Contrastive(train, held_out, seed), COMPARED)
