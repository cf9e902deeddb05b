"""Probes: whether the process is alive, and whether it can answer predictions. Open to all."""

from __future__ import annotations

from fastapi import APIRouter, Response

from services.gateway.dependencies import TheBackend
from services.gateway.guards import open_to_all
from tornio.api import Readiness

router = APIRouter(tags=["health"])


@router.get("/healthz")
@open_to_all
async def alive() -> dict[str, str]:
    """Answer that the process runs. No other part is asked, so that an outage elsewhere restarts nothing."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"model": Readiness}})
@open_to_all
async def ready(backend: TheBackend, response: Response) -> Readiness:
    """Whether predictions can be answered, and the error of each part if not."""
    readiness = await backend.ready()
    response.status_code = 200 if readiness.ready else 503
    return readiness
