"""How the teacher is deployed: ``TORNIO_TEACHER_...``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from tornio.spec import TeacherSpec


class TeacherSettings(BaseSettings):
    """Settings of zero-shot requests. A task's own teacher is named in its task.yaml."""

    model_config = SettingsConfigDict(env_prefix="TORNIO_TEACHER_", frozen=True)

    kind: Literal["embedding", "nli"] = Field("embedding", description="As in task.yaml. Default embedding.")
    model: str | None = Field(
        None, description="Hub id, s3:// address or path. Default the encoder that tornio[embedded] ships."
    )
    replicas: int = Field(1, ge=1, description="Replicas. Default 1: no part that must stay up depends on the teacher.")
    num_cpus: float = Field(0.1, ge=0, description="Logical CPUs that a replica asks Ray for. Default a tenth.")
    num_gpus: float = Field(0.0, ge=0, description="GPUs that a replica asks Ray for. Default none.")
    max_ongoing_requests: int = Field(32, ge=1, description="Most requests that a replica works on. Default 32.")
    max_queued_requests: int = Field(128, ge=1, description="Most requests that wait for a free replica. Default 128.")
    batch_tokens: int = Field(8192, ge=1, description="Tokens per batch, roughly. Default 8192, as for the classifier.")
    queue_tokens: int = Field(
        131_072, ge=1, description="Most tokens that wait in a replica, roughly. Default 16 batches."
    )

    def spec(self) -> TeacherSpec:
        """Return the teacher as the loader takes it."""
        return TeacherSpec(kind=self.kind, model=self.model)
