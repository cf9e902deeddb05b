"""Where the outside world is: settings of a deployment, from the environment (``TORNIO_...``) or a secrets file.

Secrets are read from ``TORNIO_..._FILE`` where that is set, so that they need not stand in the environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class StorageSettings(BaseSettings):
    """The object store. Keys come from the usual AWS chain (environment, profile, instance or pod role)."""

    model_config = SettingsConfigDict(env_prefix="TORNIO_S3_", frozen=True)

    bucket: str = Field(description="Bucket that everything persisted lives in. No default: it must exist.")
    prefix: str = Field("", description="Key prefix inside the bucket. Default none.")
    endpoint: str | None = Field(None, description="URL of an S3 server that is not AWS. Default AWS's.")
    region: str = Field("us-east-1", description="Region. Default us-east-1, which most S3 servers ignore.")
    retry_seconds: float = Field(
        40.0,
        description="Seconds that throttling and network faults are retried with backoff. Default 40: a "
        "store that is away for half a minute is not an error.",
    )


class ArgillaSettings(BaseSettings):
    """The annotation tool."""

    model_config = SettingsConfigDict(env_prefix="TORNIO_ARGILLA_", frozen=True)

    url: str = Field(description="Address of the Argilla server. No default.")
    api_key: SecretStr | None = Field(None, description="Key of an admin or owner account. Or use api_key_file.")
    api_key_file: Path | None = Field(None, description="File that holds the key; read at each connection.")

    def key(self) -> str:
        """The API key. Raises ValueError when neither field is set."""
        if self.api_key_file is not None:
            return self.api_key_file.read_text().strip()
        if self.api_key is not None:
            return self.api_key.get_secret_value()
        raise ValueError("set TORNIO_ARGILLA_API_KEY or TORNIO_ARGILLA_API_KEY_FILE")


class NodeSettings(BaseSettings):
    """This node."""

    model_config = SettingsConfigDict(env_prefix="TORNIO_", frozen=True)

    cache_dir: Path = Field(
        Path.home() / ".cache" / "tornio",
        description="Node-local cache of blobs, shared by the node's processes. "
        "Default ~/.cache/tornio; on Kubernetes an emptyDir.",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="What models compute in. Default auto: bfloat16 where the processor or GPU computes in it, else "
        "float32.",
    )
    torch_threads: int = Field(
        1, ge=1, description="Threads of each process's torch. Default 1: replicas share the cores."
    )
