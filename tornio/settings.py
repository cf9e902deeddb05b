"""Where the outside world is: settings of a deployment, from the environment (``TORNIO_...``) or a secrets file.

Secrets are read from ``TORNIO_..._FILE`` where that is set, so that they need not stand in the environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeInt, SecretStr
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

    @property
    def root(self) -> str:
        """What keys begin with: the prefix with one slash at its end, or nothing."""
        inner = self.prefix.strip("/")
        return f"{inner}/" if inner else ""


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
    store_dir: Path | None = Field(
        None,
        description="Folder that runs keep their documents in, in place of a bucket: for one machine without a "
        "server. Default none: the bucket.",
    )
    torch_threads: int = Field(
        1, ge=1, description="Threads of each process's torch. Default 1: replicas share the cores."
    )


class JobSettings(BaseSettings):
    """Large work: what counts as large, and how it is spread."""

    model_config = SettingsConfigDict(env_prefix="TORNIO_JOB_", frozen=True)

    large_texts: Literal["always", "never"] | NonNegativeInt = Field(
        20_000,
        description="Texts that a run passes through a model above which it is a Ray job of its own, and not done in "
        "the warm worker, which does one run at a time for all tasks: a number, `always`, or `never`, which keeps even "
        "scoring there and needs no dashboard of Ray. Default 20000: one or two minutes of MiniLM on one processor, "
        "beside which the quarter of a minute that a job takes to start is little.",
    )

    workers: int = Field(
        0,
        ge=0,
        description="Actors that a large run is spread over. Default 0: one for each GPU of the cluster, or, without "
        "any, for each processor.",
    )
    worker_cpus: float = Field(
        0.5,
        gt=0,
        description="Logical processors that each of them asks for, and a large run that computes in its own process. "
        "Default 0.5: Ray Data needs some of them itself, and waits for ever where nothing is left.",
    )


class TrainSettings(BaseSettings):
    """Fine-tuning: how it is spread, and how much of it may be lost."""

    model_config = SettingsConfigDict(env_prefix="TORNIO_TRAIN_", frozen=True)

    workers: int = Field(
        1,
        ge=1,
        description="Workers that share each batch, under Ray Train. Default 1: in the process of the job, which is "
        "the fastest for the few labels that people give.",
    )
    worker_cpus: float = Field(
        1.0, gt=0, description="Logical processors that each of several workers asks for; also a GPU, where there are."
    )
    max_failures: int = Field(
        3, ge=0, description="How often the workers of a training are started again when one dies. Default 3."
    )
    checkpoint_seconds: float = Field(
        60.0,
        ge=0,
        description="Seconds between two checkpoints, which is what an interruption may cost. Default 60: one of "
        "MiniLM is 130 MB.",
    )


class KubeSettings(BaseSettings):
    """Kubernetes, for large runs as KubeRay RayJobs: see ``jobs.running.kuberay``."""

    model_config = SettingsConfigDict(env_prefix="TORNIO_KUBE_", frozen=True)

    job_template: Path | None = Field(
        None,
        description="File with the manifest of a RayJob, from which the controller and `tornio score --on kuberay` "
        "make one for each large run: name, labels and entry point are theirs, all else stands in it. The chart mounts "
        "its own. Default none: large runs are Ray jobs in the cluster that serves.",
    )
    namespace: str | None = Field(
        None, description="Namespace that RayJobs are made in. Default the pod's own, or the kubeconfig's."
    )
    context: str | None = Field(
        None, description="Context of the kubeconfig. Default: in a pod its account; else the current context."
    )


class UpgradeSettings(BaseSettings):
    """Whose cluster and pod this is, so that connections are closed before it goes; not set: nothing is asked."""

    model_config = SettingsConfigDict(env_prefix="", frozen=True)

    rayservice: str | None = Field(None, description="Name of the RayService. Set by the chart.")
    ray_cluster_name: str | None = Field(None, description="Name of this RayCluster. Set by KubeRay.")
    ray_cluster_namespace: str | None = Field(None, description="Its namespace. Set by KubeRay.")
    tornio_leaving_file: Path | None = Field(
        None, description="A file that is there once this pod is about to end. Set by the chart, whose hook makes it."
    )
