"""The app, made by a pure factory: the same in a test, in one process, and in a Serve replica."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware import Middleware

from services.gateway import health, predicting, problems, runs, tasks
from services.gateway.auth import KeyRing
from services.gateway.guards import BodyLimit, KeyGuard
from services.gateway.port import Backend
from tornio import __version__


def create_app(backend: Backend, keys: KeyRing) -> FastAPI:
    """The HTTP API on this backend, open to the holders of these keys."""
    app = FastAPIOffline(
        title="Tornio",
        version=__version__,
        summary="From unlabelled text and a few annotators to a served classifier that keeps getting better.",
        description="Errors are RFC 9457 problem documents. Send an API key as `Authorization: Bearer <key>`.",
        middleware=[Middleware(KeyGuard, keys=keys), Middleware(BodyLimit)],
        redoc_url=None,
    )
    app.state.backend = backend
    problems.install(app)
    for router in (health.router, predicting.router, tasks.router, runs.router):
        app.include_router(router)
    return app
