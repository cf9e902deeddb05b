"""The least that can serve: uvicorn, one route, the batcher and the model, in one process and without Ray.

    python -m bench.serving.bare --port 8000

It is what ``bench.serving_speed`` compares with. It checks no key, no host and no body.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

import torch
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.swapping.workshop import FULL_NAME
from services.batching import Batcher
from services.classifier.answers import answer
from services.classifier.checkpoints import Checkpoints
from services.classifier.settings import ClassifierSettings
from services.classifier.shelf import Serving
from tornio.models.loading import Loader
from tornio.records import Prediction
from tornio.registry import NodeCache
from tornio.settings import NodeSettings, StorageSettings
from tornio.storage.s3 import open_store


def app(version: str) -> Starlette:
    node, settings = NodeSettings(), ClassifierSettings()
    torch.set_num_threads(node.torch_threads)
    store = open_store(StorageSettings())
    loaded = Checkpoints(store, Loader(store, NodeCache(Path(node.cache_dir), store), node.precision)).load(
        FULL_NAME, version
    )
    serving = Serving(version, 1, loaded.model)
    batcher = Batcher[str, Prediction](
        lambda task: partial(answer, serving), batch_tokens=settings.batch_tokens, queue_tokens=settings.queue_tokens
    )

    async def predict(request: Request) -> Response:
        texts = json.loads(await request.body())["texts"]
        predictions = [
            {
                "labels": one.labels,
                "probabilities": one.probabilities,
                "truncated": one.truncated,
                "version": one.version,
                "revision": one.revision,
            }
            for one in await batcher.submit(FULL_NAME, texts)
        ]
        return Response(json.dumps({"predictions": predictions}), media_type="application/json")

    return Starlette(routes=[Route(f"/v1/tasks/{FULL_NAME}/predict", predict, methods=["POST"])])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--version", default="v0")
    args = parser.parse_args()
    uvicorn.run(app(args.version), host="127.0.0.1", port=args.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
