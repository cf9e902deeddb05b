"""KServe's REST client: health, readiness and inference in JSON and in binary form."""

from __future__ import annotations

import asyncio
import sys

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

MODEL = "acme.support"


async def main(address: str, secret: str) -> None:
    """Ask everything. A failed assertion ends it."""
    base, key = f"http://{address}", {"Authorization": f"Bearer {secret}"}
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        assert await client.is_server_live(base) is True
        assert await client.is_server_ready(base) is True
        assert await client.is_model_ready(base, MODEL, headers=key)
        assert not await client.is_model_ready(base, "acme.none", headers=key)

        plain = InferInput("text", [2], "BYTES", ["Where is my parcel?", "Grüße"])
        answer = await client.infer(base, InferRequest(MODEL, [plain], "r1"), model_name=MODEL, headers=dict(key))
        assert answer.id == "r1"
        assert answer.parameters == {"revision": 2}
        found = {output.name: output for output in answer.outputs}
        assert found["label"].data == ["a", "a"]
        np.testing.assert_allclose(found["probabilities"].as_numpy(), [[0.75, 0.25]] * 2, rtol=1e-6)

        binary = InferInput("text", [2], "BYTES")
        binary.set_data_from_numpy(np.array(["one", "two"], dtype=object), binary_data=True)
        asked = InferRequest(MODEL, [binary], parameters={"binary_data_output": True})
        answer = await client.infer(base, asked, model_name=MODEL, headers=dict(key))
        found = {output.name: output for output in answer.outputs}
        assert found["label"].as_numpy().tolist() in (["a", "a"], [b"a", b"a"])
        np.testing.assert_allclose(found["probabilities"].as_numpy(), [[0.75, 0.25]] * 2, rtol=1e-6)

        try:
            await client.infer(base, {"inputs": []}, model_name=MODEL, headers=key)
        except httpx.HTTPStatusError as error:
            assert "inputs" in str(error), error
        else:
            raise AssertionError("a request without inputs was not refused")


asyncio.run(main(*sys.argv[1:]))
