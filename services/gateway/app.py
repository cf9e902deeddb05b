"""The app, made by a pure factory: the same in a test, in one process, and in a Serve replica."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware import Middleware
from starlette.routing import Mount, Route

from services.gateway import audit, health, lines, openapi, predicting, reports, runs, tasks, uploads, webhooks
from services.gateway.answering import Answering
from services.gateway.auth import KeyRing
from services.gateway.guards import KeyGuard, open_to_all
from services.gateway.heads import HeadAsGet
from services.gateway.intake import BODY_S, BodyLimit, ClientShare
from services.gateway.page.live import Live
from services.gateway.page.login import Login
from services.gateway.page.rendering import show_failure
from services.gateway.page.routes import ROUTERS as PAGE
from services.gateway.port import Backend
from services.gateway.problems import ErrorFormat, Problems
from services.gateway.protocols import hugging_face, open_inference
from services.gateway.sessions.memory import MemorySessions
from services.gateway.sessions.port import Sessions
from services.gateway.sessions.settings import PageSettings
from services.gateway.unpacking import Unpacked
from services.limits.local import LocalLimits
from services.limits.port import Limits
from services.metrics import Meter, Unmeasured
from tornio import __version__

_DOCUMENTATION = frozenset({"/docs", "/docs/oauth2-redirect", "/openapi.json", "/static-offline-docs"})
"""Open paths: the pages that describe the API, and their static files."""


@dataclass(frozen=True, slots=True)
class WireProtocol:
    """A router, and the format of the errors at all paths below its prefix. None means problem documents (RFC 9457).

    A router with a format of its own needs a prefix, because some errors happen before a request is routed.
    """

    router: APIRouter
    errors: ErrorFormat | None = None

    def __post_init__(self) -> None:
        if self.errors is not None and not self.router.prefix:
            raise ValueError("A protocol with its own error format needs a router with a prefix.")


PROTOCOLS = (
    *map(
        WireProtocol,
        (
            health.router,
            predicting.router,
            lines.router,
            tasks.router,
            reports.router,
            runs.router,
            audit.router,
            uploads.router,
            webhooks.router,
            *PAGE,
        ),
    ),
    WireProtocol(open_inference.router, open_inference.errors),
    WireProtocol(hugging_face.router, hugging_face.errors),
)


Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
"""What runs before the first request and after the last."""


def create_app(
    backend: Backend,
    keys: KeyRing,
    protocols: Sequence[WireProtocol] = PROTOCOLS,
    lifespan: Lifespan | None = None,
    most_per_client: int = 48,
    body_seconds: float = BODY_S,
    limits: Limits | None = None,
    meter: Meter | None = None,
    webhook: webhooks.Webhook | None = None,
    sessions: Sessions | None = None,
) -> FastAPI:
    """Return the HTTP API and the web page on this backend, open to the holders of these keys.

    ``most_per_client``: requests that one client may have under way. ``body_seconds``: see ``BodyLimit``.
    ``limits``: those of keys, by default those of this process alone. ``meter``: measures what they refuse.
    ``webhook``: takes the events of the annotation tool; by default, none are taken.
    ``sessions``: of people who are logged in to the page, by default those of this process alone.
    """
    formats = {one.router.prefix: one.errors for one in protocols if one.errors is not None}
    problems, settings = Problems(formats, show_failure), PageSettings()
    sessions = sessions or MemorySessions(settings.session_hours)
    app = FastAPIOffline(
        title="Tornio",
        version=__version__,
        summary="From unlabelled text and a few annotators to a served classifier that keeps getting better.",
        description="Errors are RFC 9457 problem documents. Send an API key as `Authorization: Bearer <key>`.",
        middleware=[
            Middleware(HeadAsGet),
            Middleware(KeyGuard, keys=keys, problems=problems, sessions=sessions),
            Middleware(ClientShare, problems=problems, most=most_per_client),
            Middleware(BodyLimit, problems=problems, seconds=body_seconds),
            Middleware(Unpacked, problems=problems),
        ],
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.backend = backend
    app.state.answering = Answering(backend, limits or LocalLimits(), meter or Unmeasured())
    app.state.login = Login(keys, sessions, settings.session_hours)
    app.state.live = Live(backend)
    app.state.webhook = webhook or webhooks.NO_WEBHOOK
    problems.install(app)
    openapi.install(app)
    for route in app.routes:
        if isinstance(route, Route | Mount) and route.path in _DOCUMENTATION:
            open_to_all(route.app if isinstance(route, Mount) else route.endpoint)
    for protocol in protocols:
        app.include_router(protocol.router)
    return app
