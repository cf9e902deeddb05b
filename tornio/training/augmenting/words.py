"""The words of a text of token ids."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tornio.arrays import BoolVector
from tornio.errors import InvalidInput
from tornio.training.augmenting.port import Ids


@dataclass(frozen=True, eq=False)
class Words:
    """Tells where words begin.

    ``closed``: bool [vocabulary], special tokens, which belong to no word. ``continues``: bool [vocabulary], tokens
    that continue a word.
    """

    closed: BoolVector
    continues: BoolVector

    @classmethod
    def of(cls, folder: Path) -> Words:
        """Return the words of a folder's tokenizer. Raises InvalidInput where its tokens do not tell."""
        from transformers import AutoTokenizer

        from tornio.training.adapting.masking import continuing

        tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        continues = continuing(tokenizer)
        if continues is None:
            raise InvalidInput(
                "the tokens of this encoder do not show where a word begins, so its texts cannot be changed word by "
                "word. Choose another encoder, or another training method"
            )
        closed = np.zeros(len(continues), dtype=bool)
        closed[list(tokenizer.all_special_ids)] = True
        return cls(closed, continues)

    def split(self, ids: Ids) -> tuple[list[Ids], list[int]]:
        """Return the pieces of a text, which are its words and its special tokens, and which of them are words."""
        closed = self.closed[ids]
        begins = ~self.continues[ids] | closed
        begins[0] = True
        begins[1:] |= closed[:-1]
        starts = np.flatnonzero(begins)
        return np.split(ids, starts[1:]), np.flatnonzero(~closed[starts]).tolist()

    def cut(self, ids: Ids, most: int) -> Ids:
        """Return the text with at most so many tokens. A special token at its end stays there."""
        if len(ids) <= most:
            return ids
        last = ids[-1:] if self.closed[ids[-1]] else ids[most - 1 : most]
        return np.concatenate([ids[: most - 1], last])
