"""Triton's client: everything that it can ask of a server with one model."""

from __future__ import annotations

import sys

import numpy as np
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

MODEL, TEXTS = "acme.support", ["Where is my parcel?", "", "Grüße", "x" * 2000]


def texts(binary: bool) -> InferInput:
    """The texts as an input, in JSON or in binary form."""
    array = np.array(TEXTS, dtype=object)
    tensor = InferInput("text", list(array.shape), "BYTES")
    tensor.set_data_from_numpy(array, binary_data=binary)
    return tensor


def refused(message: str, *tensors: InferInput) -> None:
    """Check that the server refuses the request, and that the client shows why."""
    try:
        client.infer(MODEL, list(tensors), headers=key)
    except InferenceServerException as error:
        assert message in str(error), error
    else:
        raise AssertionError(f"not refused: {message}")


address, secret = sys.argv[1:]
key = {"Authorization": f"Bearer {secret}"}
client = InferenceServerClient(address)

assert client.is_server_live()
assert client.is_server_ready()
assert client.is_model_ready(MODEL, headers=key)
assert not client.is_model_ready("acme.none", headers=key)
assert client.get_server_metadata(headers=key)["name"] == "tornio"
metadata = client.get_model_metadata(MODEL, headers=key)
assert metadata["outputs"][2]["parameters"]["labels"] == ["a", "b"], metadata
assert [row["name"] for row in client.get_model_repository_index(headers=key)] == [MODEL]

TEXTS[1] = "again"
for binary_in in (False, True):
    for binary_out in (False, True):
        names = ("probabilities", "label", "score", "truncated")
        outputs = [InferRequestedOutput(name, binary_data=binary_out) for name in names]
        answer = client.infer(MODEL, [texts(binary_in)], outputs=outputs, request_id="r1", headers=key)
        assert answer.get_response()["id"] == "r1"
        assert answer.get_response()["model_version"] == "v2"
        assert answer.as_numpy("label").astype(str).tolist() in (["a"] * 4, ["b'a'"] * 4)
        assert [one.decode() if isinstance(one, bytes) else one for one in answer.as_numpy("label")] == ["a"] * 4
        assert answer.as_numpy("score").dtype == np.float32
        np.testing.assert_allclose(answer.as_numpy("probabilities"), [[0.75, 0.25]] * 4, rtol=1e-6)
        assert answer.as_numpy("truncated").tolist() == [False, False, False, True]

for algorithm in ("gzip", "deflate"):
    packed = client.infer(MODEL, [texts(True)], headers=dict(key), request_compression_algorithm=algorithm)
    assert packed.as_numpy("label").tolist() == [b"a"] * 4

everything = client.infer(MODEL, [texts(True)], headers=key)
assert everything.as_numpy("label").tolist() == [b"a"] * 4
waiting = [client.async_infer(MODEL, [texts(True)], headers=key) for _ in range(8)]
assert all(one.get_result().as_numpy("score").shape == (4,) for one in waiting)

older = client.infer(MODEL, [texts(True)], model_version="previous", headers=key)
assert older.get_response()["model_version"] == "v1"
assert client.is_model_ready(MODEL, "v1", headers=key)
assert client.get_model_metadata(MODEL, "v1", headers=key)["name"] == MODEL
client.load_model(MODEL, headers=key)
client.unload_model(MODEL, headers=key)

other = InferInput("x", [1], "BYTES")
other.set_data_from_numpy(np.array(["a"], dtype=object))
refused("one input, 'text'", other)
