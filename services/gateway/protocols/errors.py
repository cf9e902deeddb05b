"""The format of errors that the Open Inference Protocol and Hugging Face share."""

from __future__ import annotations

from fastapi import Response
from pydantic import BaseModel, Field, ValidationError

from services.gateway.problems import Failure
from tornio.errors import storable
from tornio.spec.limits import cut


class Refusal(BaseModel):
    error: str = Field(description="What was found, and what to do.")


REFUSALS: dict[int | str, dict[str, object]] = {
    "4XX": {"model": Refusal, "description": "What was found, and what to do."},
    "429": {
        "model": Refusal,
        "description": "Too many requests or texts of this client. `Retry-After` says when to come back.",
    },
    "500": {"model": Refusal, "description": "A stored document or a part of Tornio is broken."},
    "503": {"model": Refusal, "description": "A part is away or busy, or the model is not ready. Try again."},
}
"""For the documentation of every route."""


def refusal(failure: Failure) -> Response:
    """Return the failure as ``{"error": "..."}``."""
    return Response(Refusal(error=failure.detail).model_dump_json(), failure.status, media_type="application/json")


def told(error: ValidationError, what: str) -> str:
    """Return what pydantic found, in a line. ``what`` was read."""
    faults = error.errors(include_url=False)
    lines = (f"{'.'.join(str(step) for step in fault['loc']) or what}: {fault['msg']}" for fault in faults[:3])
    return storable(f"{what} cannot be read: {cut('; '.join(lines), 1_000)}")
