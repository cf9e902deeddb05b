"""What Argilla's webhooks send: whether an event is Argilla's own, and which data set it is about.

An event is signed as Standard Webhooks 1.0 says (https://www.standardwebhooks.com): HMAC-SHA256 over its id, its time
and its body. A copy of an event passes for five minutes. That is harmless: an event only makes a task be looked at.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from tornio.errors import InvalidInput, Unauthorized

TOLERANCE_S = 300
"""Seconds that an event's time may differ from this clock's, as in the libraries of Standard Webhooks."""
MIN_SECRET_BYTES = 24
"""Standard Webhooks asks for secrets of 24 to 64 bytes. Those of Argilla have 64."""
_PREFIX = "whsec_"
_SCHEME = "v1"
"""Signatures by HMAC-SHA256. Others may stand beside them, and are not looked at."""


def read_secret(text: str) -> bytes:
    """Return the secret of a webhook from base64, as Argilla shows it, with or without the prefix ``whsec_``.

    Padding may be missing. Raises InvalidInput, which does not repeat the secret.
    """
    bare = text.strip().removeprefix(_PREFIX).rstrip("=")
    try:
        secret = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except ValueError:  # binascii.Error, and characters that are not ASCII
        raise InvalidInput("it is not base64. Copy the field `secret` of the webhook from Argilla's answer") from None
    if len(secret) < MIN_SECRET_BYTES:
        raise InvalidInput(f"it has {len(secret)} bytes, and needs at least {MIN_SECRET_BYTES}")
    return secret


@dataclass(frozen=True, slots=True)
class Signature:
    """The headers of an event: ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature``."""

    event: str
    timestamp: str
    signatures: str

    def check_fresh(self, now: float) -> None:
        """Raises Unauthorized for an event without the headers, or of another time. ``now``: seconds since 1970."""
        if not (self.event and self.timestamp and self.signatures):
            raise Unauthorized(
                "The event is not signed. Argilla sends webhook-id, webhook-timestamp and webhook-signature by itself."
            )
        if not (self.timestamp.isascii() and self.timestamp.isdigit() and len(self.timestamp) <= 12):
            raise Unauthorized("The header webhook-timestamp does not have whole seconds since 1970.")
        if abs(late := now - int(self.timestamp)) > TOLERANCE_S:
            raise Unauthorized(
                f"The event is {abs(late):.0f} s {'old' if late > 0 else 'ahead'}, and {TOLERANCE_S} s are allowed. "
                "Compare the clocks of Argilla's worker and of this server."
            )

    def check(self, secret: bytes, body: bytes) -> None:
        """Raises Unauthorized if no signature is that of these headers and this body by the secret."""
        signed = f"{self.event}.{self.timestamp}.".encode("latin-1", "replace") + body  # as HTTP headers are read
        own = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest())
        found = False
        for one in self.signatures.split(" "):
            scheme, _, given = one.partition(",")
            same = hmac.compare_digest(own, given.encode("latin-1", "replace"))
            found = found or (scheme == _SCHEME and same)
        if not found:
            raise Unauthorized("The event's signature is not by the secret of this server. Compare it with Argilla's.")


class _Named(BaseModel):
    name: str


class _Dataset(_Named):
    workspace: _Named


class _Record(BaseModel):
    dataset: _Dataset


class _Response(BaseModel):
    record: _Record


class _Event(BaseModel):
    type: str
    data: dict[str, Any]


_DATASET: Mapping[str, Callable[[object], _Dataset]] = {
    "response": lambda data: _Response.model_validate(data).record.dataset,
    "record": lambda data: _Record.model_validate(data).dataset,
    "dataset": _Dataset.model_validate,
}
"""Where the data set stands in the events of each kind: the part of their type before the dot."""


def dataset_of(body: bytes) -> tuple[str, str] | None:
    """Return the names of workspace and data set that an event is about; None for other events, such as ``ping``.

    Nothing else is read. Raises InvalidInput for a body that does not have them where Argilla 2.8 puts them.
    """
    try:
        event = _Event.model_validate_json(body)
        find = _DATASET.get(event.type.partition(".")[0])
        if find is None:
            return None
        dataset = find(event.data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        raise InvalidInput(f"This is not an event as Argilla 2.8 sends it: {where}: {first['msg']}.") from None
    return dataset.workspace.name, dataset.name
