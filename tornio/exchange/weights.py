"""Tensors of a folder, renamed and written into one safetensors file without holding them in memory.

A safetensors file is the length of a header (8 bytes, little-endian), the header (JSON: name to dtype, shape and
place), and the bytes of the tensors one after the other. So a tensor can be copied whatever its dtype.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tornio.errors import InvalidInput
from tornio.models.folder import check_weights, read_object

FILE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_CHUNK = 1 << 22


@dataclass(frozen=True, slots=True)
class Stored:
    """One tensor of a file: its dtype as safetensors writes it, its shape, and its bytes from ``start`` on."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    size: int


def stored(folder: Path) -> dict[str, Stored]:
    """Return the tensors of a transformers folder by name, those of all its parts.

    Raises InvalidInput for a folder without safetensors and for broken ones.
    """
    parts = sorted(set(map(str, read_object(folder / _INDEX).get("weight_map", {}).values()))) or [FILE]
    check_weights(folder)
    found: dict[str, Stored] = {}
    for part in parts:
        path = folder / Path(part).name
        if not path.is_file():
            raise InvalidInput(f"{folder} has no {path.name}, so the weights of the version are not complete.")
        found.update(_tensors(path))
    return found


def write(
    path: Path,
    tensors: Mapping[str, Stored],
    rename: Callable[[str], str | None] = lambda name: name,
    new: Mapping[str, NDArray[np.float32]] | None = None,
) -> None:
    """Write these tensors under the names that ``rename`` gives, without those for which it gives None, and the
    ``new`` ones, which replace a tensor of the same name."""
    kept = {name: one for old, one in tensors.items() if (name := rename(old)) is not None and name not in (new or {})}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, dtype, shape, size in (
        *((name, one.dtype, one.shape, one.size) for name, one in kept.items()),
        *((name, "F32", array.shape, 4 * array.size) for name, array in (new or {}).items()),
    ):
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for one in kept.values():
            with one.file.open("rb") as source:
                for chunk in _bytes(source, one):
                    file.write(chunk)
        for array in (new or {}).values():
            file.write(np.ascontiguousarray(array, dtype="<f4").tobytes())


def _tensors(path: Path) -> Iterator[tuple[str, Stored]]:
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    for name, about in header.items():
        if name != "__metadata__":
            start, end = about["data_offsets"]
            yield name, Stored(path, about["dtype"], tuple(about["shape"]), 8 + length + start, end - start)


def _bytes(source: BinaryIO, one: Stored) -> Iterator[bytes]:
    source.seek(one.start)
    left = one.size
    while left:
        chunk = source.read(min(left, _CHUNK))
        left -= len(chunk)
        yield chunk
