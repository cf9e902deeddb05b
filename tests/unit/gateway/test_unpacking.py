"""Packed bodies: what was packed is read, and nothing is unpacked beyond the limit."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from services.gateway.unpacking import Unpacker
from tests.unit.gateway.fake import OPERATOR, AppTransport, FakeBackend, FakeTask, app_of
from tornio.api import MIB, TaskName
from tornio.spec import TaskSpec

pytestmark = pytest.mark.unit

PACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "x-gzip": gzip.compress, "deflate": zlib.compress}
BODIES = {
    "/v1/tasks/acme/support/predict": {"texts": ["a"]},
    "/v2/models/acme.support/infer": {
        "inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a"]}],
    },
    "/hf/models/acme/support": {"inputs": "a"},
}


def post(path: str, content: bytes | Iterator[bytes], encoding: str) -> httpx.Response:
    spec = TaskSpec.model_validate({"workspace": "acme", "name": "support", "labels": ["billing", "bug"]})
    backend = FakeBackend({TaskName("acme", "support"): FakeTask(spec)})
    backend.serve("acme/support")
    headers = {
        "Authorization": f"Bearer {OPERATOR}",
        "Content-Type": "application/json",
        "Content-Encoding": encoding,
    }
    with httpx.Client(transport=AppTransport(app_of(backend)), base_url="http://tornio", headers=headers) as client:
        return client.post(path, content=content)


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("encoding", [*PACK, "GZIP", "identity"])
def test_every_protocol_takes_packed_bodies(path: str, encoding: str) -> None:
    pack = PACK.get(encoding.lower(), bytes)
    response = post(path, pack(json.dumps(BODIES[path]).encode()), encoding)
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("path", BODIES)
def test_a_bomb_ends_at_the_limit_of_the_route(path: str) -> None:
    bomb = gzip.compress(b" " * (200 * MIB))
    assert len(bomb) < MIB
    refused = post(path, bomb, "gzip")
    assert (refused.status_code, "larger than 8 MiB" in refused.text) == (413, True)


def test_what_is_not_packed_is_refused() -> None:
    path, body = next(iter(BODIES)), gzip.compress(b'{"texts": ["a"]}')
    for content in (b"{}", body[:-1], body + body, body + b"x", b""):
        refused = post(path, content, "gzip")
        assert (refused.status_code, "cannot be unpacked as gzip" in refused.text) == (422, True)
    refused = post("/v2/models/acme.support/infer", b"{}", "br")
    assert refused.status_code == 415
    assert "'br' is not known" in refused.json()["error"]


def pieces(packed: bytes, size: int) -> list[bytes]:
    return [packed[at : at + size] for at in range(0, len(packed), size)]


@given(st.binary(max_size=300), st.sampled_from([*PACK]), st.integers(1, 40))
def test_pieces_of_any_size_come_back(body: bytes, encoding: str, size: int) -> None:
    unpacker = Unpacker(encoding, limit=300)
    packed = [*pieces(PACK[encoding](body), size), b""]
    assert b"".join(unpacker.piece(one, at == len(packed) - 1) for at, one in enumerate(packed)) == body


@given(st.integers(0, 5000), st.integers(0, 5000), st.integers(1, 40))
def test_never_more_than_the_limit(length: int, limit: int, size: int) -> None:
    unpacker, unpacked = Unpacker("gzip", limit), 0
    try:
        for piece in pieces(gzip.compress(bytes(length)), size):
            unpacked += len(unpacker.piece(piece, last=False))
    except HTTPException as error:
        assert (error.status_code, length > limit) == (413, True)  # noqa: PT017 - both outcomes are right
    else:
        assert (unpacked, length <= limit) == (length, True)
