"""How the classifier is deployed: ``TORNIO_CLASSIFIER_...``. Nothing about tasks or versions may stand here."""

from __future__ import annotations

from fnmatch import fnmatchcase

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ClassifierSettings(BaseSettings):
    """Read by the process that deploys (replicas, resources, queues) and by each replica (batches)."""

    model_config = SettingsConfigDict(env_prefix="TORNIO_CLASSIFIER_", frozen=True)

    replicas: int = Field(
        2, ge=1, description="Replicas. Each answers every request, for every task. Default 2, so that one may die."
    )
    num_cpus: float = Field(
        0.25, ge=0, description="Logical CPUs that a replica asks Ray for. Default a quarter: replicas share the cores."
    )
    num_gpus: float = Field(0.0, ge=0, description="GPUs that a replica asks Ray for. Default none.")
    max_ongoing_requests: int = Field(
        64,
        ge=1,
        description="Most requests that a replica works on at once. Default 64: a full batch and a few more. Further "
        "ones go to a replica of another node.",
    )
    max_queued_requests: int = Field(
        256,
        ge=1,
        description="Most requests that wait at the proxy for a free replica. Further ones are refused. Default 256.",
    )
    client_share: float = Field(
        0.75,
        gt=0,
        le=1,
        description="Share of `max_ongoing_requests` that one client, an API key or without keys an address, may have "
        "under way in a replica while other clients use it, too, and that its requests whose bodies are still arriving "
        "may have in any case. Further requests of it are refused with status 429. Default three quarters: one client "
        "keeps a replica busy, and always leaves room for others.",
    )
    batch_tokens: int = Field(
        8192, ge=1, description="Tokens per batch, roughly. Default 8192: about a second of MiniLM on a slow core."
    )
    queue_tokens: int = Field(
        131_072,
        ge=1,
        description="Most tokens that wait in a replica, roughly. The API keys whose requests wait have equal parts "
        "of it; what is beyond is refused with status 503. Default 16 batches: a request that would wait longer is "
        "better refused at once.",
    )
    model_bytes: int = Field(
        2 << 30,
        ge=1,
        description="Bytes that the models of all tasks may take in a replica. Beyond that, tasks that were asked for "
        "least recently are loaded only when they are asked for again. A base encoder that tasks share is not counted. "
        "Default 2 GiB: thousands of few-shot versions, or about ten fine-tuned MiniLMs with their predecessors.",
    )
    on_demand_bytes: int = Field(
        512 << 20,
        ge=0,
        description="Bytes beside `model_bytes` that versions may take which requests name and no alias does. Beyond "
        "that, those that were asked for least recently are dropped. One version may exceed it alone. Default 512 MiB: "
        "about five fine-tuned MiniLMs.",
    )
    pinned: str = Field(
        "",
        description="Tasks that always stay loaded: full names or patterns such as shop/*, separated by commas. "
        "Default none.",
    )
    ready_seconds: float = Field(
        60.0,
        gt=0,
        description="Seconds that a new replica loads models before it serves without the rest. Default one minute: "
        "one slow task must not delay all others.",
    )

    window_seconds: int = Field(
        3600,
        ge=60,
        description="Seconds of a window of live texts, which is compared with the hold-out. Default one hour: a "
        "window needs 100 texts, and a shift is seen within one. For tasks with less traffic, a day (86400).",
    )
    window_days: int = Field(
        14, ge=1, description="Days that the counts of a window are kept. They hold no text. Default 14."
    )

    @property
    def most_per_client(self) -> int:
        """Requests that one client may have under way in a replica."""
        return max(1, int(self.client_share * self.max_ongoing_requests))

    def is_pinned(self, task: str) -> bool:
        """Whether a task, by its full name, always stays loaded."""
        return any(fnmatchcase(task, pattern.strip()) for pattern in self.pinned.split(",") if pattern.strip())
