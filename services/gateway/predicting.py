"""Predictions: by a task's current version, or by the teacher for labels that come with the request."""

from __future__ import annotations

from fastapi import APIRouter

from services.gateway.dependencies import PROBLEMS, AnyCaller, Reader, Task, TheBackend
from tornio.api import PredictIn, Predictions, ZeroShotIn, ZeroShotOut

router = APIRouter(prefix="/v1", tags=["predictions"], responses=PROBLEMS)


@router.post("/tasks/{workspace}/{task}/predict")
async def predict(body: PredictIn, task: Task, backend: TheBackend, _: Reader) -> Predictions:
    """Classify texts. Every prediction names the version that made it. A task without a version yet answers 409."""
    return Predictions(predictions=list(await backend.predict(task, body.texts)))


@router.post("/zero-shot")
async def zero_shot(body: ZeroShotIn, backend: TheBackend, _: AnyCaller) -> ZeroShotOut:
    """Classify texts into labels without training, by the names and descriptions of the labels."""
    return await backend.zero_shot(body)
