"""How the classifier is deployed: ``TORNIO_CLASSIFIER_...``. Nothing about tasks or versions may stand here."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ClassifierSettings(BaseSettings):
    """Read by whoever deploys (replicas, resources, queues) and by each replica (batches)."""

    model_config = SettingsConfigDict(env_prefix="TORNIO_CLASSIFIER_", frozen=True)

    replicas: int = Field(2, ge=1, description="Replicas, each holding all tasks. Default 2: one may die.")
    num_cpus: float = Field(
        0.25, ge=0, description="Logical CPUs that a replica asks Ray for. Default a quarter: replicas share the cores."
    )
    max_ongoing_requests: int = Field(
        64,
        ge=1,
        description="Requests that a replica takes at once. Default 64: what a batch can hold, and a few more.",
    )
    max_queued_requests: int = Field(
        256, ge=1, description="Requests that wait at a caller for a free replica; more are told so. Default 256."
    )
    batch_tokens: int = Field(
        8192, ge=1, description="Tokens of a batch, roughly. Default 8192: about a second of MiniLM on a slow core."
    )
    queue_tokens: int = Field(
        131_072,
        ge=1,
        description="Tokens that wait in a replica, roughly; more are told so. Default 16 batches: who would wait "
        "longer is better told at once.",
    )
    ready_seconds: float = Field(
        60.0,
        gt=0,
        description="Seconds that a new replica loads models before it serves without the rest. Default a minute: "
        "one slow task must not keep all others waiting.",
    )
