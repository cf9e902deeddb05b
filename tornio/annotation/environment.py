"""Which annotation tool this process works with."""

from __future__ import annotations

from pydantic import ValidationError

from tornio.annotation.argilla import ArgillaTool
from tornio.errors import InvalidInput
from tornio.settings import ArgillaSettings


def annotation_from_environment() -> ArgillaTool:
    """Return the Argilla of TORNIO_ARGILLA_..., not connected yet. Close it, or use it in a ``with`` statement.

    Raises InvalidInput if its address or its key is not set, or if the key cannot be read.
    """
    try:
        settings = ArgillaSettings()
    except ValidationError as error:
        raise InvalidInput(
            "No Argilla is configured. Set TORNIO_ARGILLA_URL, and TORNIO_ARGILLA_API_KEY or "
            "TORNIO_ARGILLA_API_KEY_FILE."
        ) from error
    try:
        key = settings.key()
    except (ValueError, OSError) as error:
        raise InvalidInput(f"The key for Argilla at {settings.url} cannot be read: {error}") from error
    return ArgillaTool(settings.url, key, public_url=settings.public_url)
