"""The codec of tensors: whatever is packed is unpacked, and whatever is sent is read or refused."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.protocols.inference import read_request, write_answer
from services.gateway.protocols.tensors import BOOL, BYTES, FP32, Tensor, flatten, pack_bytes, split, unpack_bytes
from tornio.api import Prediction
from tornio.errors import InvalidInput

pytestmark = pytest.mark.unit

WORD = st.text(st.characters(codec="utf-8"), max_size=20)
TEXT = WORD.map(lambda word: f"a{word}")
NESTED = st.recursive(st.integers(), lambda inner: st.lists(inner, max_size=3), max_leaves=20)


@given(st.lists(st.binary(max_size=30)))
def test_bytes_come_back(elements: list[bytes]) -> None:
    assert unpack_bytes(pack_bytes(elements)) == elements


@given(st.binary(max_size=40))
def test_any_bytes_are_unpacked_or_refused(packed: bytes) -> None:
    try:
        elements = unpack_bytes(packed)
    except InvalidInput:
        return
    assert pack_bytes(elements) == packed


def test_bytes_on_the_wire() -> None:
    assert pack_bytes([b"ab", b""]) == b"\x02\x00\x00\x00ab\x00\x00\x00\x00"
    assert Tensor("x", FP32, (2,), [1.0, -2.0]).binary() == b"\x00\x00\x80?\x00\x00\x00\xc0"
    assert Tensor("x", BOOL, (2,), [True, False]).binary() == b"\x01\x00"
    assert Tensor("x", BYTES, (1,), ["é"]).binary() == b"\x02\x00\x00\x00\xc3\xa9"


@given(NESTED)
def test_nested_data_are_read_in_order(data: Any) -> None:
    def elements(one: Any) -> list[Any]:
        return [leaf for inner in one for leaf in elements(inner)] if isinstance(one, list) else [one]

    assert list(flatten(data)) == elements(data)


def test_deep_nesting_exhausts_no_stack() -> None:
    deep: Any = "a"
    for _ in range(100_000):
        deep = [deep]
    assert list(flatten(deep)) == ["a"]


@pytest.mark.parametrize("length", ["", "-1", "1.5", "²", "9" * 30, "4"])
def test_a_length_that_cannot_be_is_refused(length: str) -> None:
    with pytest.raises(InvalidInput, match="Inference-Header-Content-Length"):
        split(b"{}x", length)


def request(texts: list[str], binary: bool) -> tuple[bytes, str | None]:
    tensor: dict[str, Any] = {"name": "text", "datatype": "BYTES", "shape": [len(texts)]}
    if not binary:
        return json.dumps({"inputs": [tensor | {"data": texts}]}).encode(), None
    packed = pack_bytes([text.encode() for text in texts])
    header = json.dumps({"inputs": [tensor | {"parameters": {"binary_data_size": len(packed)}}]}).encode()
    return header + packed, str(len(header))


@given(st.lists(TEXT, min_size=1, max_size=5), st.booleans())
def test_texts_are_read_from_both_forms(texts: list[str], binary: bool) -> None:
    assert read_request(*request(texts, binary)).texts == texts


@given(st.binary(max_size=60), st.one_of(st.none(), st.integers(0, 70).map(str)))
def test_any_body_is_read_or_refused(body: bytes, length: str | None) -> None:
    with pytest.raises(InvalidInput):
        read_request(body, length)


@given(st.data())
def test_a_broken_binary_body_is_read_or_refused(data: st.DataObject) -> None:
    body, length = request(["one", "two"], binary=True)
    at = data.draw(st.integers(0, len(body) - 1))
    broken = body[:at] + data.draw(st.binary(max_size=4)) + body[at + 1 :]
    with suppress(InvalidInput):
        read_request(broken, length)


def test_an_answer_says_what_is_special_about_its_version() -> None:
    asked = read_request(*request(["a"], binary=False))
    special = Prediction(("b",), {"b": 1.0}, False, "v1", 3, taught_by="embedding", outdated_labels=True)
    about = json.loads(write_answer(asked, "acme.x", [special]).body)["parameters"]
    assert about == {"revision": 3, "taught_by": "embedding", "outdated_labels": True}


@given(
    st.lists(st.tuples(st.sampled_from(["é", "b", "c"]), st.booleans()), min_size=1, max_size=5),
    st.dictionaries(st.sampled_from(["label", "score", "probabilities", "truncated"]), st.booleans(), min_size=1),
)
def test_outputs_come_back_in_the_forms_that_were_asked_for(
    answers: list[tuple[str, bool]], wanted: dict[str, bool]
) -> None:
    predictions = [Prediction((name,), dict.fromkeys("ébc", 0.1) | {name: 0.8}, cut, "v1", 3) for name, cut in answers]
    body, _ = request(["a"], binary=False)
    outputs = [{"name": name, "parameters": {"binary_data": binary}} for name, binary in wanted.items()]
    asked = read_request(json.dumps(json.loads(body) | {"outputs": outputs, "id": "7"}).encode(), None)
    answer = write_answer(asked, "acme.x", predictions)
    assert (answer.header_length is not None) is any(wanted.values())
    header, rest = split(answer.body, None if answer.header_length is None else str(answer.header_length))
    read = json.loads(header)
    assert (read["id"], read["model_version"], read["parameters"]) == ("7", "v1", {"revision": 3})
    expected: dict[str, Any] = {
        "label": [name for name, _ in answers],
        "score": [0.8] * len(answers),
        "probabilities": [list(one.probabilities.values()) for one in predictions],
        "truncated": [cut for _, cut in answers],
    }
    assert [output["name"] for output in read["outputs"]] == list(wanted)
    for output in read["outputs"]:
        values: Any = output.get("data")
        if wanted[output["name"]]:
            size = output["parameters"]["binary_data_size"]
            piece, rest = rest[:size], rest[size:]
            values = read_binary(output["datatype"], piece)
        shaped = np.asarray(values).reshape(output["shape"]).tolist()
        if output["datatype"] == FP32:
            np.testing.assert_allclose(shaped, expected[output["name"]], rtol=1e-6)
        else:
            assert shaped == expected[output["name"]]
    assert rest == b""


def read_binary(datatype: str, piece: bytes) -> list[Any]:
    if datatype == BYTES:
        return [element.decode() for element in unpack_bytes(piece)]
    return list(np.frombuffer(piece, "<f4" if datatype == FP32 else "?"))
