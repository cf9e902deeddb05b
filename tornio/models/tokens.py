"""Texts, or pairs of them, as token ids; what had to be cut is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tornio.errors import InvalidInput

_CHARACTERS_PER_TOKEN = 16
"""More than almost any text has; one that has more (long runs of spaces, say) is read again with twice as many."""
_CHUNK = 1024
"""Texts tokenised together: bounds the memory of the encodings."""
_VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model", "*.spm")


@dataclass(frozen=True, slots=True)
class Tokens:
    """``ids``: one int64 array a text, never empty; ``type_ids``: the same, None: all 0.

    ``truncated``: bool [n].
    """

    ids: list[NDArray[np.int64]]
    type_ids: list[NDArray[np.int64]] | None
    truncated: NDArray[np.bool_]

    @property
    def lengths(self) -> list[int]:
        return [len(ids) for ids in self.ids]


class Tokenizer:
    """The tokenizer of a transformers folder, cutting at ``max_length`` tokens, special ones included.

    Safe to share between threads. Raises InvalidInput for a folder without a fast tokenizer.
    """

    def __init__(self, folder: Path, max_length: int) -> None:
        from transformers import AutoTokenizer

        if not any(found for pattern in _VOCABULARIES for found in folder.glob(pattern)):
            # transformers would go on with an empty vocabulary, for which every word is unknown
            raise InvalidInput(f"{folder} has no tokenizer.json and no vocabulary: copy the whole folder")
        try:
            loaded: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError, ImportError) as error:
            raise InvalidInput(
                f"{folder} has no tokenizer that can be read ({error}): save it with transformers' save_pretrained"
            ) from error
        self._backend: Any = getattr(loaded, "backend_tokenizer", None)
        if self._backend is None:
            raise InvalidInput(f"{folder} has no fast tokenizer: it needs a tokenizer.json")
        self.max_length = max_length
        self._pad_id: int = loaded.pad_token_id if loaded.pad_token_id is not None else 0
        self._tells_types = "token_type_ids" in loaded.model_input_names
        # The folder may ask for another length and for padding, which then stays on for every later call.
        self._backend.no_padding()
        self._backend.enable_truncation(max_length)
        self._lock = Lock()

    def encode(self, texts: Sequence[str]) -> Tokens:
        """Ids of each text, in order. Any string goes: empty, a megabyte, with lone surrogates."""
        return self._gather([(text,) for text in texts], with_types=False)

    def encode_pairs(self, pairs: Sequence[tuple[str, str]]) -> Tokens:
        """Ids of (text, second text), and which of the two a token is of; of the two the longer is cut first."""
        return self._gather(pairs, with_types=self._tells_types)

    def _gather(self, inputs: Sequence[tuple[str, ...]], with_types: bool) -> Tokens:
        ids: list[NDArray[np.int64]] = []
        types: list[NDArray[np.int64]] | None = [] if with_types else None
        truncated: list[bool] = []
        for start in range(0, len(inputs), _CHUNK):
            for encoding, cut in self._encode(inputs[start : start + _CHUNK]):
                # A text without any token is one of padding: attention over nothing is not a number.
                ids.append(np.array(encoding.ids or [self._pad_id], dtype=np.int64))
                if types is not None:
                    types.append(np.array(encoding.type_ids or [0], dtype=np.int64))
                truncated.append(cut)
        return Tokens(ids, types, np.array(truncated, dtype=bool))

    def _encode(self, inputs: Sequence[tuple[str, ...]]) -> list[tuple[Any, bool]]:
        """Encodings, and whether they were cut. The tokenizer reads the beginning of a long text, no more."""
        found: dict[int, tuple[Any, bool]] = {}
        limit = _CHARACTERS_PER_TOKEN * self.max_length
        waiting = list(range(len(inputs)))
        while waiting:
            pieces = [tuple(_well_formed(part[:limit]) for part in inputs[i]) for i in waiting]
            cuts = [any(len(part) > limit for part in inputs[i]) for i in waiting]
            # The fast one gives no offsets, which tell where the tokens of a long text end.
            encode = self._backend.encode_batch if any(cuts) else self._backend.encode_batch_fast
            with self._lock:
                encodings = encode([p if len(p) > 1 else p[0] for p in pieces])
            again = []
            for i, encoding, cut in zip(waiting, encodings, cuts, strict=True):
                if cut and not _ends_well_before(encoding, limit // 2):
                    again.append(i)
                else:
                    found[i] = encoding, cut or bool(encoding.overflowing)
            waiting, limit = again, limit * 2
        return [found[i] for i in range(len(inputs))]


def _ends_well_before(encoding: Any, character: int) -> bool:
    """Whether the tokens were cut, and the last that was kept ends so early that what was not read cannot matter."""
    return bool(encoding.overflowing) and max(end for _, end in encoding.offsets) <= character


def _well_formed(text: str) -> str:
    """The text with lone surrogates, which UTF-8 does not have, replaced by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def padded(rows: Sequence[NDArray[np.int64]], pad: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ids int64 [n, longest], padded on the right, and their mask (1: a token)."""
    width = max(len(row) for row in rows)
    ids = np.full((len(rows), width), pad, dtype=np.int64)
    mask = np.zeros((len(rows), width), dtype=np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return ids, mask
