"""The probability of each label from the log-probabilities of an answer's tokens. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence

import numpy as np

from tornio.arrays import DoubleArray
from tornio.models.llm.port import Token


def label_probabilities(tokens: Sequence[Token], names: Sequence[str], field: str) -> DoubleArray | None:
    """Return float64 [labels], or None where the tokens do not say.

    The answer is JSON with one string, ``{"label": "NAME"}``. Where NAME begins, each alternative of the token begins
    the names of some labels. Its probability goes to that label, or in equal shares to all labels that it may become:
    which of these it would have been is known for the chosen token alone, whose successors are read in the same way.
    What went to no label (other words, and alternatives that the server did not list) is left out, and the rest is
    scaled to one. None also where the answer spells a label in another way than JSON does, so that no token fits.
    """
    start = _start(tokens, field)
    if start is None:
        return None
    first, inside = start
    endings = [json.dumps(name, ensure_ascii=False).encode("utf-8", "surrogatepass")[1:] for name in names]
    shares = np.zeros(len(names))
    mass, spelt = 1.0, b""
    for number, token in enumerate(tokens[first:]):
        before, chosen = (token.text[:inside], token.text[inside:]) if not number else (b"", token.text)
        for alternative, logprob in token.alternatives.items():
            piece = alternative[len(before) :]
            if alternative == token.text or not piece or not alternative.startswith(before):
                continue
            meant = _meant(spelt + piece, endings)
            shares[meant] += mass * math.exp(min(logprob, 0.0)) / max(1, len(meant))
        if token.text not in token.alternatives:
            return None
        mass *= math.exp(min(token.alternatives[token.text], 0.0))
        spelt += chosen
        meant = _meant(spelt, endings)
        if len(meant) == 1:
            shares[meant] += mass
            total = float(shares.sum())
            return shares / total if math.isfinite(total) and total > 0 else None
        if not meant:
            return None
    return None


def _start(tokens: Sequence[Token], field: str) -> tuple[int, int] | None:
    """Return the token in which the field's value begins, behind the quotation mark, and where in this token."""
    whole = b"".join(token.text for token in tokens)
    keys = list(re.finditer(re.escape(json.dumps(field).encode()) + rb"\s*:", whole))  # a label may have this name, too
    quote = whole.find(b'"', keys[-1].end()) if keys else -1
    if quote < 0:
        return None
    begin = quote + 1
    for number, token in enumerate(tokens):
        if begin < len(token.text):
            return number, begin
        begin -= len(token.text)
    return None


def _meant(spelt: bytes, endings: Sequence[bytes]) -> list[int]:
    """Return the columns of the labels that this begins, or that it has spelt to the end with the quotation mark."""
    return [column for column, ending in enumerate(endings) if ending.startswith(spelt) or spelt.startswith(ending)]
