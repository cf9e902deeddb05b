"""Predictions: by a task's current version, or by the teacher for labels that come with the request."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Any, cast

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from services.gateway.answering import Answering
from services.gateway.callers import Caller, Role
from services.gateway.dependencies import PROBLEMS, AnyCaller, Reader, Task, TheAnswering
from tornio.api import PredictIn, Predictions, TaskName, ZeroShotIn, ZeroShotOut
from tornio.spec import NAME_PATTERN

router = APIRouter(prefix="/v1", tags=["predictions"], responses=PROBLEMS)
_NAME = re.compile(NAME_PATTERN)
_JSON = "application/json"


class _ShortWay(APIRoute):
    """Answers a well-formed request without FastAPI's resolution of dependencies, which costs as much as all else here.

    Every other request goes the usual way, which finds out what is wrong with it. Measured with one short text, it
    saves a tenth of a millisecond of processor time of each request.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        usual = super().get_route_handler()

        async def handle(request: Request) -> Response:
            task = TaskName(request.path_params["workspace"], request.path_params["task"])
            if request.headers.get("content-type") != _JSON or not all(map(_NAME.fullmatch, task)):
                return await usual(request)
            try:
                body = PredictIn.model_validate_json(await request.body())
            except (ValidationError, ClientDisconnect):
                return await usual(request)
            caller, answering = cast(Caller, request.state.caller), cast(Answering, request.app.state.answering)
            caller.check(Role.PREDICT, task)
            answer = Predictions(predictions=list(await answering.predict(caller, task, body.texts)))
            return Response(answer.model_dump_json(), media_type=_JSON)

        return handle


async def predict(body: PredictIn, task: Task, answering: TheAnswering, caller: Reader) -> Predictions:
    """Classify texts. Every prediction names the version that made it. A task without a version yet answers 409."""
    return Predictions(predictions=list(await answering.predict(caller, task, body.texts)))


router.add_api_route("/tasks/{workspace}/{task}/predict", predict, methods=["POST"], route_class_override=_ShortWay)


@router.post("/zero-shot")
async def zero_shot(body: ZeroShotIn, answering: TheAnswering, caller: AnyCaller) -> ZeroShotOut:
    """Classify texts into labels without training, by the names and descriptions of the labels."""
    return await answering.zero_shot(caller, body)
