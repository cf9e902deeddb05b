"""Takes the events of Argilla's webhook. An event wakes the tasks of its data set, and nothing else is read from it.

The route is open to all, because Argilla sends no API key. The signature of an event takes its place.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Header, Request
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.gateway.dependencies import PROBLEMS
from services.gateway.guards import open_to_all
from tornio.annotation.argilla_webhook import Signature, dataset_of, read_secret
from tornio.errors import InvalidInput, NotFound, Unavailable

PATH = "/v1/argilla/webhook"
MOST_AT_ONCE = 16
"""Events that a replica takes at a time. Nobody has shown a key before the body is here, so others keep their room."""

router = APIRouter(tags=["webhooks"], responses=PROBLEMS)

Wake = Callable[[str, str], Awaitable[None]]
"""Wakes the tasks of a data set, by the names of its workspace and its own."""


class WebhookSettings(BaseSettings):
    """The webhook of the annotation tool. Without a secret, events are not taken, and answers are polled."""

    model_config = SettingsConfigDict(env_prefix="TORNIO_ARGILLA_WEBHOOK_", frozen=True)

    secret: SecretStr | None = Field(
        None,
        description="Secret with which Argilla signs the events, in base64 as Argilla shows it. Alternatively set "
        "secret_file.",
    )
    secret_file: Path | None = Field(
        None, description="File that holds the secret. It is read at each event, so it may be replaced."
    )

    def key(self) -> bytes | None:
        """Return the secret, None without one. Raises Unavailable if it cannot be used."""
        try:
            if self.secret_file is not None:
                return read_secret(self.secret_file.read_text())
            return None if self.secret is None else read_secret(self.secret.get_secret_value())
        except (OSError, UnicodeError, InvalidInput) as error:
            why = error.strerror if isinstance(error, OSError) else error
            where = self.secret_file or "TORNIO_ARGILLA_WEBHOOK_SECRET"
            raise Unavailable(f"The secret of Argilla's webhook cannot be used ({where}): {why}.") from None


class Webhook:
    """What the route needs: the secret, and whom to wake. ``now``: seconds since 1970."""

    def __init__(self, settings: WebhookSettings, wake: Wake, now: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._taken = 0
        self.wake = wake
        self.now = now

    def secret(self) -> bytes:
        """Return the secret. Raises NotFound without one, Unavailable for one that cannot be used."""
        secret = self._settings.key()
        if secret is None:
            raise NotFound(
                "This server takes no events of Argilla, and polls the answers. For events, its operator must set "
                "TORNIO_ARGILLA_WEBHOOK_SECRET_FILE or TORNIO_ARGILLA_WEBHOOK_SECRET."
            )
        return secret

    @contextmanager
    def room(self) -> Iterator[None]:
        """Count an event that is under way. Raises Unavailable if there are too many."""
        if self._taken >= MOST_AT_ONCE:
            raise Unavailable(f"{MOST_AT_ONCE} events are under way here. Answers are polled meanwhile.")
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1


async def _nobody(workspace: str, dataset: str) -> None:
    return None


NO_WEBHOOK = Webhook(WebhookSettings(secret=None, secret_file=None), _nobody)
"""Takes no events."""


async def _webhook(request: Request) -> Webhook:
    return cast(Webhook, request.app.state.webhook)


_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object", "description": "An event of Argilla."}}},
    }
}


@router.post(PATH, openapi_extra=_BODY)
@open_to_all
async def argilla_event(
    request: Request,
    webhook: Annotated[Webhook, Depends(_webhook)],
    webhook_id: Annotated[str, Header(description="Id of the event.")] = "",
    webhook_timestamp: Annotated[str, Header(description="When it was sent, in seconds since 1970.")] = "",
    webhook_signature: Annotated[
        str, Header(description="`v1,` and a signature; several are separated by spaces.")
    ] = "",
) -> dict[str, str]:
    """Take an event of Argilla's webhook, which wakes the tasks of its data set: see `docs/operating.md`.

    It needs no API key, but a signature by the webhook's secret. Data sets of no task are ignored.
    """
    secret = webhook.secret()
    signature = Signature(webhook_id, webhook_timestamp, webhook_signature)
    signature.check_fresh(webhook.now())
    with webhook.room():
        body = await request.body()
        signature.check(secret, body)
        found = dataset_of(body)
        if found is not None:
            await webhook.wake(*found)
    return {"status": "ok"}
