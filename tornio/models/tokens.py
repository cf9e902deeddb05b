"""Tokenise texts, or pairs of texts, and report which of them were cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tornio.errors import InvalidInput
from tornio.models.limits import most_tokens, vocabulary
from tornio.models.port import Reading
from tornio.models.pretrained import load_config

_CHARACTERS_PER_TOKEN = 16
"""More than almost any text has. A text that has more (long runs of spaces, say) is read again with twice as many."""
_CHUNK = 1024
"""Number of texts tokenised together; it limits the memory that the encodings take."""
_VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model", "*.spm")


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token ids. ``ids``: one int64 array per text, never empty; ``type_ids``: the same, or None if all are 0.

    ``truncated``: bool [n], whether the text was cut. ``unknown_id``: the token of what is not in the vocabulary; None
    where every text can be written in tokens.
    """

    ids: list[NDArray[np.int64]]
    type_ids: list[NDArray[np.int64]] | None
    truncated: NDArray[np.bool_]
    unknown_id: int | None = None

    @property
    def lengths(self) -> list[int]:
        return [len(ids) for ids in self.ids]

    @property
    def reading(self) -> Reading:
        """How many tokens each text has, and whether one of them is unknown."""
        lengths = np.array(self.lengths, dtype=np.int64)
        unknown = np.zeros(len(lengths), dtype=bool)
        if self.unknown_id is not None and len(lengths):
            unknown[np.repeat(np.arange(len(lengths)), lengths)[np.concatenate(self.ids) == self.unknown_id]] = True
        return Reading(lengths, unknown, self.truncated)


class Tokenizer:
    """The tokenizer of a transformers folder. It cuts texts at ``max_length`` tokens, special tokens included, or at
    the model's last position if that comes first.

    Thread-safe. Raises InvalidInput for a folder without a fast tokenizer, or whose tokens its model does not have.
    """

    def __init__(self, folder: Path, max_length: int) -> None:
        from transformers import AutoTokenizer

        if not any(path for pattern in _VOCABULARIES for path in folder.glob(pattern)):
            # transformers would continue with an empty vocabulary, in which every word is unknown
            raise InvalidInput(f"{folder} has no tokenizer.json and no vocabulary. Copy the whole folder.")
        try:
            loaded: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        except Exception as error:  # transformers and tokenizers raise whatever they meet in broken files
            raise InvalidInput(
                f"The tokenizer of {folder} cannot be read ({type(error).__name__}: {error}). Save it with "
                "transformers' save_pretrained."
            ) from error
        self._backend: Any = getattr(loaded, "backend_tokenizer", None)
        if self._backend is None:
            raise InvalidInput(f"{folder} has no fast tokenizer. It needs a tokenizer.json.")
        config = load_config(folder)
        self._check_ids(folder, vocabulary(config))
        self.max_length = min(max_length, most_tokens(config) or max_length)
        self._pad_id: int = loaded.pad_token_id if loaded.pad_token_id is not None else 0
        self._unknown_id: int | None = loaded.unk_token_id
        self._has_types = "token_type_ids" in loaded.model_input_names
        # The folder may set another length, and padding, which would then apply to every later call.
        self._backend.no_padding()
        self._backend.enable_truncation(self.max_length)
        self._lock = Lock()

    def _check_ids(self, folder: Path, known: int | None) -> None:
        """Raise InvalidInput if a token's id is beyond the model's embeddings, which have ``known`` rows."""
        largest = max(self._backend.get_vocab(with_added_tokens=True).values(), default=0)
        if known is not None and largest >= known:
            raise InvalidInput(
                f"The tokenizer of {folder} has token ids up to {largest}, but its model has embeddings for {known} "
                "tokens only. They do not belong together: copy tokenizer and model of the same save_pretrained."
            )

    def encode(self, texts: Sequence[str]) -> Tokens:
        """Return the token ids of each text, in order. Any string is accepted: empty, a megabyte, lone surrogates."""
        return self._gather([(text,) for text in texts], with_types=False)

    def encode_pairs(self, pairs: Sequence[tuple[str, str]]) -> Tokens:
        """Return the token ids of (text, second text), with type ids. The longer of the two is cut first."""
        return self._gather(pairs, with_types=self._has_types)

    def _gather(self, inputs: Sequence[tuple[str, ...]], with_types: bool) -> Tokens:
        ids: list[NDArray[np.int64]] = []
        types: list[NDArray[np.int64]] | None = [] if with_types else None
        truncated: list[bool] = []
        for start in range(0, len(inputs), _CHUNK):
            for encoding, cut in self._encode(inputs[start : start + _CHUNK]):
                # A text without tokens gets one padding token, because attention over no token gives NaN.
                ids.append(np.array(encoding.ids or [self._pad_id], dtype=np.int64))
                if types is not None:
                    types.append(np.array(encoding.type_ids or [0], dtype=np.int64))
                truncated.append(cut)
        return Tokens(ids, types, np.array(truncated, dtype=bool), self._unknown_id)

    def _encode(self, inputs: Sequence[tuple[str, ...]]) -> list[tuple[Any, bool]]:
        """Return the encodings, and whether each was cut. Only the beginning of a long text is tokenised."""
        encoded: dict[int, tuple[Any, bool]] = {}
        limit = _CHARACTERS_PER_TOKEN * self.max_length
        waiting = list(range(len(inputs)))
        while waiting:
            pieces = [tuple(_well_formed(part[:limit]) for part in inputs[i]) for i in waiting]
            cuts = [any(len(part) > limit for part in inputs[i]) for i in waiting]
            # encode_batch_fast returns no offsets, which are needed to see where the tokens of a long text end.
            encode = self._backend.encode_batch if any(cuts) else self._backend.encode_batch_fast
            with self._lock:
                encodings = encode([p if len(p) > 1 else p[0] for p in pieces])
            again = []
            for i, encoding, cut in zip(waiting, encodings, cuts, strict=True):
                if cut and not _ends_well_before(encoding, limit // 2):
                    again.append(i)
                else:
                    encoded[i] = encoding, cut or bool(encoding.overflowing)
            waiting, limit = again, limit * 2
        return [encoded[i] for i in range(len(inputs))]


def _ends_well_before(encoding: Any, character: int) -> bool:
    """Whether the tokens were cut and the last kept token ends so early that the unread rest cannot matter."""
    return bool(encoding.overflowing) and max(end for _, end in encoding.offsets) <= character


def _well_formed(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot encode, by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def joined(readings: Sequence[Reading]) -> Reading:
    """Return these readings as one, in their order."""
    if not readings:
        return Reading(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=bool), np.zeros(0, dtype=bool))
    return Reading(
        np.concatenate([one.tokens for one in readings]),
        np.concatenate([one.unknown for one in readings]),
        np.concatenate([one.truncated for one in readings]),
    )


def padded(rows: Sequence[NDArray[np.int64]], pad: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the ids, int64 [n, longest], padded on the right, and their mask (1: a token)."""
    width = max(len(row) for row in rows)
    ids = np.full((len(rows), width), pad, dtype=np.int64)
    mask = np.zeros((len(rows), width), dtype=np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return ids, mask
