"""The classifier as a Serve deployment: HTTP API and models in one process. Aliases decide what it serves."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from ray import serve

from services.classifier.feedback import Feedback, Sampler
from services.classifier.predictor import Predictor
from services.classifier.redaction import Redaction
from services.classifier.settings import ClassifierSettings
from services.gateway import draining
from services.gateway.app import create_app
from services.gateway.auth import KeyRing
from services.gateway.backend import StoreBackend
from services.gateway.handles import Handle, Handles
from services.gateway.sessions.settings import PageSettings
from services.gateway.sessions.stored import StoreSessions
from services.gateway.webhooks import Webhook, WebhookSettings
from services.limits.leased import LeasedLimits
from services.metrics import RayMeter
from tornio.settings import AnnotationLimits, LlmSettings, NodeSettings, StorageSettings, annotation_address
from tornio.storage.s3 import open_store

_settings = ClassifierSettings()


@serve.deployment(
    name="classifier",
    num_replicas=_settings.replicas,
    max_ongoing_requests=_settings.max_ongoing_requests,
    max_queued_requests=_settings.max_queued_requests,
    ray_actor_options={"num_cpus": _settings.num_cpus, "num_gpus": _settings.num_gpus},
    health_check_period_s=5,
    health_check_timeout_s=30,
    graceful_shutdown_wait_loop_s=1,
    graceful_shutdown_timeout_s=30,
)
@serve.ingress()
class Classifier:
    """One replica answers every request. A prediction is made in the process that received it.

    Serve builds the app in the replica, so no part of it is ever pickled. Arguments of Serve name no task and no
    version, because a change of them would replace every replica.
    """

    def __init__(self, controller: Handle, teacher: Handle) -> None:
        self._handles = Handles(controller, teacher)

    def __serve_build_asgi_app__(self) -> FastAPI:
        store, meter = open_store(StorageSettings()), RayMeter()  # from the environment
        replica = serve.get_replica_context().replica_id.unique_id
        sampler = Sampler()
        self._predictor = predictor = Predictor(
            store, self._handles, replica, NodeSettings(), ClassifierSettings(), meter, sampler.offer
        )
        annotate_url, max_labels = annotation_address(os.environ), AnnotationLimits().max_labels
        endpoints = LlmSettings().endpoints
        backend = StoreBackend(store, self._handles, predictor, annotate_url, max_labels, endpoints)
        feedback = Feedback(sampler, backend.live_texts, Redaction.installed(), meter)

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            await predictor.start()  # Serve sends no request before this is done
            feedback.start()
            yield
            await feedback.stop()
            await predictor.stop()

        app = create_app(
            backend,
            KeyRing.from_environment(),
            lifespan=lifespan,
            most_per_client=_settings.most_per_client,
            limits=LeasedLimits(self._handles, replica),
            meter=meter,
            webhook=Webhook(WebhookSettings(), self._handles.answered),
            sessions=StoreSessions(store, PageSettings().session_hours),
        )
        draining.install(app)
        return app

    def check_health(self) -> None:
        """Raises RuntimeError when the replica must be replaced."""
        self._predictor.check()
