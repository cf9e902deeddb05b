"""Writing to the Hugging Face hub: its names, the token, and its errors as our own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from tornio.errors import Forbidden, InvalidInput, Unauthorized, Unavailable

if TYPE_CHECKING:
    from huggingface_hub import HfApi

HUB = "hub:"
_NAME = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?")


def check_name(name: str, what: str) -> None:
    """Raise InvalidInput if no repository on the hub can have this name. ``what``: what it is, such as a data set."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"{name!r} is not a valid name of a {what} on the hub. Give hub:NAME or hub:OWNER/NAME.")


def writer() -> tuple[HfApi, str]:
    """Return the hub's API and the token, from HF_TOKEN, or from the file that HF_TOKEN_PATH names (by default the one
    of ``hf auth login``). Raises InvalidInput where HF_HUB_OFFLINE is set, Unauthorized without a token."""
    from huggingface_hub import HfApi, constants, get_token

    if constants.is_offline_mode():
        raise InvalidInput("HF_HUB_OFFLINE is set, so nothing can be sent to the hub. Unset it, or write a folder.")
    token = get_token()
    if not token:
        raise Unauthorized("There is no token for the hub. Set HF_TOKEN, or set HF_TOKEN_PATH to a file that holds it.")
    return HfApi(token=token), token


@contextmanager
def hub_errors(name: str) -> Iterator[None]:
    """Replace errors of the hub by our own errors."""
    # HTTPError is that of the HTTP library that the installed huggingface_hub uses.
    from huggingface_hub.errors import HfHubHTTPError, HTTPError  # type: ignore[attr-defined]

    try:
        yield
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status == HTTPStatus.UNAUTHORIZED:
            raise Unauthorized(f"The hub does not know this token ({error}). Check HF_TOKEN.") from error
        if status == HTTPStatus.FORBIDDEN:
            raise Forbidden(
                f"The token may not write {name} ({error}). Give it the right to write, or choose another name."
            ) from error
        raise Unavailable(f"The hub did not accept {name} ({error}). Try again.") from error
    except HTTPError as error:
        raise Unavailable(f"The hub does not respond ({type(error).__name__}: {error}). Try again.") from error
