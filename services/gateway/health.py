"""Probes: is the process alive, and can it answer predictions."""

from __future__ import annotations

from fastapi import APIRouter, Response

from services.gateway.dependencies import TheBackend
from tornio.api import Readiness

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def alive() -> dict[str, str]:
    """The process answers. Asks nobody else, so that an outage elsewhere restarts nothing."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"model": Readiness}})
async def ready(backend: TheBackend, response: Response) -> Readiness:
    """Whether predictions can be answered, and what is wrong if not."""
    readiness = await backend.ready()
    response.status_code = 200 if readiness.ready else 503
    return readiness
