"""How the classifier is deployed: ``TORNIO_CLASSIFIER_...``. Nothing about tasks or versions may stand here."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ClassifierSettings(BaseSettings):
    """Read by the process that deploys (replicas, resources, queues) and by each replica (batches)."""

    model_config = SettingsConfigDict(env_prefix="TORNIO_CLASSIFIER_", frozen=True)

    replicas: int = Field(2, ge=1, description="Replicas. Each holds all tasks. Default 2, so that one may die.")
    num_cpus: float = Field(
        0.25, ge=0, description="Logical CPUs that a replica asks Ray for. Default a quarter: replicas share the cores."
    )
    max_ongoing_requests: int = Field(
        64,
        ge=1,
        description="Most requests that a replica works on at once. Default 64: a full batch and a few more.",
    )
    max_queued_requests: int = Field(
        256,
        ge=1,
        description="Most requests that wait at the gateway for a free replica. Further ones are refused. Default 256.",
    )
    batch_tokens: int = Field(
        8192, ge=1, description="Tokens per batch, roughly. Default 8192: about a second of MiniLM on a slow core."
    )
    queue_tokens: int = Field(
        131_072,
        ge=1,
        description="Most tokens that wait in a replica, roughly. Further requests are refused. Default 16 batches: "
        "a request that would wait longer is better refused at once.",
    )
    ready_seconds: float = Field(
        60.0,
        gt=0,
        description="Seconds that a new replica loads models before it serves without the rest. Default one minute: "
        "one slow task must not delay all others.",
    )
