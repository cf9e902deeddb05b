"""Answers that are not S3's: a proxy's, a login page's, those of another server at the same address."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError

_WITH_ETAG = frozenset(("GetObject", "HeadObject", "PutObject", "UploadPart"))


class ForeignAnswer(BotoCoreError):
    """Something else than S3 answered. ``http_status``: its status."""

    fmt = "{operation} was answered with {what} (status {http_status}), which no S3 server sends"

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)
        self.http_status = int(fields["http_status"])


def check_answer(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
    """Raise ForeignAnswer for a page of HTML, and for an answer without the ETag that its operation has.

    A handler of botocore's event ``before-parse``. Without it, such a page passes for an object's content, or for an
    object that does not exist.
    """
    status, body, name = response_dict["status_code"], response_dict.get("body"), operation_model.name
    headers = {header.lower(): str(value) for header, value in response_dict["headers"].items()}
    if isinstance(body, bytes) and body.lstrip()[:14].lower().startswith((b"<html", b"<!doctype html")):
        raise ForeignAnswer(operation=name, what="a page of HTML", http_status=status)
    if status == 200 and name in _WITH_ETAG and "etag" not in headers:
        html = "text/html" in headers.get("content-type", "")  # the body of an object is not read yet
        what = "a page of HTML" if html else "something without an ETag"
        raise ForeignAnswer(operation=name, what=what, http_status=status)
