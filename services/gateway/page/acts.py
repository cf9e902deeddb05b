"""What people ask of a task on its page. The same methods of the backend do it as for the API, and write it down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from services.gateway.dependencies import Operator, Reader, Task, TheAnswering, TheBackend
from services.gateway.page.forms import Sent
from services.gateway.page.messages import Done
from services.gateway.page.rendering import page, see_done
from services.gateway.paths import of_page
from tornio.api import MAX_TEXT, Prediction, PromoteIn, RollbackIn, TaskName
from tornio.errors import Conflict, InvalidInput, NotFound
from tornio.status.asks import Ask

router = APIRouter(prefix="/tasks/{workspace}/{task}", include_in_schema=False)


@router.post("/pause")
@of_page
async def pause(request: Request, task: Task, backend: TheBackend, caller: Operator, _: Sent) -> Response:
    """Start no more batches and trainings."""
    await backend.ask(task, Ask.PAUSE, caller.name)
    return _back(request, task, Done.PAUSED)


@router.post("/resume")
@of_page
async def resume(request: Request, task: Task, backend: TheBackend, caller: Operator, _: Sent) -> Response:
    """Go on after a pause or a rollback."""
    await backend.ask(task, Ask.RESUME, caller.name)
    return _back(request, task, Done.RESUMED)


@router.post("/train-now")
@of_page
async def train_now(request: Request, task: Task, backend: TheBackend, caller: Operator, _: Sent) -> Response:
    """Train with the present labels."""
    await backend.ask(task, Ask.TRAIN_NOW, caller.name)
    return _back(request, task, Done.TRAINING)


@router.get("/rollback")
@of_page
async def ask_rollback(request: Request, task: Task, backend: TheBackend, _: Operator) -> Response:
    """Say what a rollback would do, and ask whether that is wanted."""
    serving = (await backend.status(task)).serving
    if serving is None or serving.previous is None:
        raise Conflict(f"No version of {task} served before the present one, so there is nothing to go back to.")
    return page(request.scope, "rollback.html.j2", task=task, serving=serving)


@router.post("/rollback")
@of_page
async def rollback(request: Request, task: Task, backend: TheBackend, caller: Operator, sent: Sent) -> Response:
    """Serve the previous version again, if the one that the person saw still serves."""
    revision = sent.get("expected_revision", "")
    if not revision.isdecimal() or len(revision) > 9:
        raise InvalidInput("The form does not say which version it is about. Open the page again.")
    asked = RollbackIn(why=_why(sent) or None, expected_revision=int(revision))
    await backend.rollback(task, asked, caller.name)
    return _back(request, task, Done.ROLLED_BACK)


@router.get("/promote")
@of_page
async def ask_promotion(
    request: Request, task: Task, backend: TheBackend, _: Operator, version: Annotated[str, Query(max_length=200)]
) -> Response:
    """Say what a promotion would do, and ask whether that is wanted."""
    found = next((one for one in await backend.versions(task) if one.version == version), None)
    if found is None:
        raise NotFound(f"{task} has no version {version}.")
    return page(request.scope, "promote.html.j2", task=task, version=found)


@router.post("/promote")
@of_page
async def promote(request: Request, task: Task, backend: TheBackend, caller: Operator, sent: Sent) -> Response:
    """Let a version serve that a person chose."""
    asked = PromoteIn(why=_why(sent), force="force" in sent)
    await backend.served.promote(task, caller.name, sent.get("version", ""), asked)
    return _back(request, task, Done.PROMOTED)


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of trying a text: a prediction, or why there is none."""

    text: str = ""
    prediction: Prediction | None = None
    fault: str = ""

    @property
    def ranked(self) -> list[tuple[str, float]]:
        """The most probable labels with their probabilities."""
        found = self.prediction.probabilities.items() if self.prediction else ()
        return sorted(found, key=lambda one: -one[1])[:10]


@router.get("/try")
@of_page
async def ask_text(request: Request, task: Task, _: Reader) -> Response:
    """Ask for a text."""
    return page(request.scope, "try.html.j2", task=task, tried=Tried())


@router.post("/try")
@of_page
async def try_text(request: Request, task: Task, answering: TheAnswering, caller: Reader, sent: Sent) -> Response:
    """Show what the version that serves makes of a text. The text is not kept, and not part of an address."""
    text = sent.get("text", "")
    if not text.strip():
        tried = Tried(text, fault="Write a text first.")
    elif len(text) > MAX_TEXT:
        tried = Tried(text[:MAX_TEXT], fault=f"The text is longer than {MAX_TEXT:,} characters.")
    else:
        try:
            (prediction,) = await answering.predict(caller, task, [text])
            tried = Tried(text, prediction)
        except Conflict as error:  # nothing serves yet, and the message says why
            tried = Tried(text, fault=str(error))
    return page(request.scope, "try.html.j2", task=task, tried=tried)


def _why(sent: Mapping[str, str]) -> str:
    return sent.get("why", "").strip()[:1000]


def _back(request: Request, task: TaskName, done: Done) -> Response:
    return see_done(request.scope, f"/tasks/{task}", done)
