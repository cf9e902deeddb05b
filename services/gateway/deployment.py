"""The gateway as a Serve deployment: the app, with handles of the other deployments."""

from __future__ import annotations

import os

from fastapi import FastAPI
from ray import serve

from services.gateway import draining
from services.gateway.app import create_app
from services.gateway.auth import KeyRing
from services.gateway.backend import StoreBackend
from services.gateway.handles import Handle, Handles
from tornio.settings import StorageSettings
from tornio.storage.s3 import open_store


@serve.deployment(
    name="gateway",
    num_replicas=1,
    max_ongoing_requests=200,  # it waits for others all the time; they refuse requests that they cannot take
    ray_actor_options={"num_cpus": 0.1},
    health_check_period_s=5,
    health_check_timeout_s=10,
    graceful_shutdown_timeout_s=30,
)
@serve.ingress()
class Gateway:
    """The HTTP API. Serve builds the app in the replica, so no part of it is ever pickled."""

    def __init__(self, controller: Handle, classifier: Handle, teacher: Handle) -> None:
        self._cluster = Handles(controller, classifier, teacher)

    def __serve_build_asgi_app__(self) -> FastAPI:
        store = open_store(StorageSettings())  # from the environment
        backend = StoreBackend(store, self._cluster, annotate_url=os.environ.get("TORNIO_ARGILLA_URL"))
        app = create_app(backend, KeyRing.from_environment())
        draining.install(app)
        return app
