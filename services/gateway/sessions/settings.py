"""Settings of the web page: ``TORNIO_PAGE_...``."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class PageSettings(BaseSettings):
    """The web page of the gateway."""

    model_config = SettingsConfigDict(env_prefix="TORNIO_PAGE_", frozen=True)

    session_hours: float = Field(
        12.0,
        gt=0,
        le=24 * 90,
        description="Hours after which somebody who has logged in must show an API key again. Default 12: a working "
        "day, so that a forgotten browser is logged out on the next morning.",
    )
