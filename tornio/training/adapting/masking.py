"""Hide tokens of texts at random, as BERT's pre-training does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tornio.errors import InvalidInput
from tornio.training.data import TokenIds

SHARE = 0.15
"""Share of the tokens, or of the words, that are to be predicted (Devlin et al. 2019, section 3.1)."""
REPLACED, RANDOM = 0.8, 0.5
"""Share of these that become the mask; share of the others that become a random token. The rest stays: 80/10/10."""
_WORD_MARKS = ("Ġ", "▁")
"""How byte-level BPE and SentencePiece mark a token that begins a word."""


@dataclass(frozen=True, eq=False)
class Masked:
    """Texts with hidden tokens. ``positions``: int64 [m], the tokens to be predicted, counted over all texts one after
    the other. ``targets``: int64 [m], what they were."""

    ids: list[TokenIds]
    positions: Tensor
    targets: Tensor


@dataclass(frozen=True, eq=False)
class Masker:
    """Masks texts of one tokenizer.

    ``mask_id``: token that hides another. ``tokens``: number of tokens that the model
    has a vector for, from which random ones are drawn. ``closed``:
    bool [vocabulary], special tokens, which are never chosen. ``continues``: bool [vocabulary], tokens that continue a
    word, so that words are chosen whole; None chooses each token by itself.
    """

    mask_id: int
    tokens: int
    closed: Tensor
    continues: Tensor | None = None

    @classmethod
    def of(cls, folder: Path, vocabulary: int, whole_words: bool) -> Masker:
        """Return the masker of a folder's tokenizer. ``vocabulary``: number of embeddings of the model.

        Raises InvalidInput for a tokenizer without a mask token, and for whole words of one that does not mark them.
        """
        from transformers import AutoTokenizer

        tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        if tokenizer.mask_token_id is None:
            raise InvalidInput(
                "this encoder has no mask token, so it cannot learn to predict hidden words. Use --objective "
                "contrastive, which needs none"
            )
        closed = torch.zeros(max(vocabulary, len(tokenizer)), dtype=torch.bool)
        closed[list(tokenizer.all_special_ids)] = True
        continues = _continues(tokenizer, len(closed)) if whole_words else None
        return cls(int(tokenizer.mask_token_id), min(vocabulary, len(tokenizer)), closed, continues)

    def open_tokens(self, ids: TokenIds) -> int:
        """Return how many tokens of a text may be chosen."""
        return int((~self.closed[torch.from_numpy(ids)]).sum())

    def mask(self, texts: Sequence[TokenIds], generator: torch.Generator | None = None) -> Masked:
        """Choose tokens and hide them, with new random numbers each time. The texts are not changed.

        The same rates as transformers' DataCollatorForLanguageModeling: each token that is not special is chosen with
        probability ``SHARE``. Whole words: each word is, and its tokens are hidden independently of each other.
        ``generator``: None means torch's own.
        """
        ids = torch.from_numpy(np.concatenate(texts))
        closed = self.closed[ids]
        chosen = (_draw(ids, generator) < SHARE) if self.continues is None else self._words(ids, closed, generator)
        chosen &= ~closed
        hidden = chosen & (_draw(ids, generator) < REPLACED)
        random = chosen & ~hidden & (_draw(ids, generator) < RANDOM)
        others = torch.randint(self.tokens, ids.shape, generator=generator)
        masked = torch.where(hidden, self.mask_id, torch.where(random, others, ids)).numpy()
        ends = np.cumsum([len(text) for text in texts])[:-1]
        return Masked(np.split(masked, ends), chosen.nonzero().flatten(), ids[chosen])

    def _words(self, ids: Tensor, closed: Tensor, generator: torch.Generator | None) -> Tensor:
        """bool [tokens]: the tokens of the chosen words. A special token ends a word, so no word spans two texts."""
        assert self.continues is not None
        begins = ~self.continues[ids] | closed
        begins[1:] |= closed[:-1]
        begins[0] = True
        word = begins.cumsum(0) - 1
        return (_draw(word[: int(word[-1]) + 1], generator) < SHARE)[word]


def _draw(like: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.rand(like.shape, generator=generator)


def _continues(tokenizer: Any, size: int) -> Tensor:
    """bool [size]: tokens that continue a word. Raises InvalidInput where tokens do not tell."""
    within = continuing(tokenizer)
    if within is None:
        raise InvalidInput(
            "the tokens of this encoder do not show where a word begins, so words cannot be hidden whole. Leave out "
            "--whole-words"
        )
    padded: NDArray[np.bool_] = np.zeros(size, dtype=bool)
    padded[: len(within)] = within
    return torch.from_numpy(padded)


def continuing(tokenizer: Any) -> NDArray[np.bool_] | None:
    """Return bool [tokens of a transformers tokenizer]: those that continue a word; None where tokens do not tell."""
    names: list[str] = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    model = tokenizer.backend_tokenizer.model
    prefix = getattr(model, "continuing_subword_prefix", None)
    mark = next((mark for mark in _WORD_MARKS if any(name.startswith(mark) for name in names)), None)
    if type(model).__name__ == "WordLevel":
        return np.zeros(len(names), dtype=bool)
    if prefix:
        return np.array([name.startswith(prefix) for name in names])
    if mark:
        return np.array([not name.startswith(mark) for name in names])
    return None
