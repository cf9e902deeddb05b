"""Tensors of the Open Inference Protocol, as JSON and in its binary form. Pure.

Source: Open Inference Protocol, "Inference" (github.com/kserve/open-inference-protocol), and "Binary Tensor Data
Extension" (github.com/triton-inference-server/server, docs/protocol/extension_binary_data.md). The binary form of all
tensors follows the JSON part of a body, in their order: FP32 as little-endian floats, BOOL as one byte each, and an
element of BYTES as its length (4 bytes, little-endian) and its bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tornio.errors import InvalidInput

BYTES, FP32, BOOL = "BYTES", "FP32", "BOOL"
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Tensor:
    """``data``: all elements in row-major order: str for BYTES, float for FP32, bool for BOOL."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: Sequence[Any]

    def binary(self) -> bytes:
        """Return the elements in the binary form."""
        if self.datatype == BYTES:
            return pack_bytes([text.encode() for text in self.data])
        return np.asarray(self.data, "<f4" if self.datatype == FP32 else "?").tobytes()


def pack_bytes(elements: Sequence[bytes]) -> bytes:
    """Return elements of datatype BYTES in the binary form."""
    return b"".join(part for element in elements for part in (_LENGTH.pack(len(element)), element))


def unpack_bytes(packed: bytes) -> list[bytes]:
    """Return the elements that ``pack_bytes`` packed. Raises InvalidInput if the lengths do not add up."""
    elements: list[bytes] = []
    at = 0
    while at < len(packed):
        begin = at + _LENGTH.size
        end = begin + _LENGTH.unpack_from(packed, at)[0] if begin <= len(packed) else begin
        if end > len(packed):
            raise InvalidInput(
                f"The binary data of the tensor end in the middle of element {len(elements)}. Each element is its "
                "length, as 4 bytes in little-endian order, and its bytes."
            )
        elements.append(packed[begin:end])
        at = end
    return elements


def flatten(data: object) -> Iterator[object]:
    """Yield the elements of a tensor in JSON, which may be nested or in row-major order already."""
    waiting = [iter([data])]
    while waiting:
        one = next(waiting[-1], waiting)
        if one is waiting:
            waiting.pop()
        elif isinstance(one, list):
            waiting.append(iter(one))
        else:
            yield one


def split(body: bytes, header_length: str | None) -> tuple[bytes, bytes]:
    """Return the JSON part of a body, and the binary data behind it.

    ``header_length``: the header Inference-Header-Content-Length, which has the bytes of the JSON part. Without it the
    whole body is JSON. Raises InvalidInput.
    """
    if header_length is None:
        return body, b""
    if not (header_length.isascii() and header_length.isdigit() and len(header_length) < 16):
        raise InvalidInput(f"Inference-Header-Content-Length is {header_length[:80]!r}. It must be a number of bytes.")
    length = int(header_length)
    if length > len(body):
        raise InvalidInput(f"Inference-Header-Content-Length is {length:,}, but the body has {len(body):,} bytes.")
    return body[:length], body[length:]
