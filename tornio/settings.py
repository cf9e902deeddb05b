"""Settings of a deployment: object store, annotation tool, node, jobs, uploads and Kubernetes.

They are read from environment variables (``TORNIO_...``). A secret is read from a file instead where
``TORNIO_..._FILE`` names one, so that the environment does not have to hold it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class StorageSettings(BaseSettings):
    """The object store. Credentials come from the usual AWS chain (environment, profile, instance or pod role)."""

    model_config = SettingsConfigDict(env_prefix="TORNIO_S3_", frozen=True)

    bucket: str = Field(description="Bucket that holds everything persisted. Required; it must exist.")
    prefix: str = Field(
        "",
        description="Key prefix inside the bucket, without spaces and without the folders `.` and `..`, which servers "
        "and clients read differently. Default: no prefix.",
    )
    endpoint: str | None = Field(None, description="URL of an S3 server other than AWS. Default: AWS.")
    region: str = Field("us-east-1", description="Region. Default us-east-1, which most S3 servers ignore.")
    retry_seconds: float = Field(
        40.0,
        description="Seconds during which throttling and network faults are retried with backoff. Default 40: a "
        "store that is unreachable for half a minute does not cause an error.",
    )

    @field_validator("prefix")
    @classmethod
    def _is_one_place(cls, prefix: str) -> str:
        inner = prefix.strip("/")
        odd = inner and any(part in ("", ".", "..") for part in inner.split("/"))
        if odd or not prefix.isprintable() or any(letter.isspace() for letter in prefix):
            raise ValueError(
                f"the prefix {prefix!r} has a space, a control character, an empty folder, or the folder . or .., "
                "which not every server and client reads as the same place. Use a prefix such as team/tornio."
            )
        return prefix

    @property
    def root(self) -> str:
        """The prefix of every key: ``prefix`` with exactly one slash at its end, or an empty string."""
        inner = self.prefix.strip("/")
        return f"{inner}/" if inner else ""


class ArgillaSettings(BaseSettings):
    """The annotation tool."""

    model_config = SettingsConfigDict(env_prefix="TORNIO_ARGILLA_", frozen=True)

    url: str = Field(description="Address of the Argilla server. Required.")
    public_url: str | None = Field(
        None,
        description="Address at which people open Argilla, where they cannot use the former, such as that of a service "
        "inside a cluster. The status, the API and messages show it. Default: the same as TORNIO_ARGILLA_URL.",
    )
    api_key: SecretStr | None = Field(
        None, description="API key of an admin or owner account. Alternatively set api_key_file."
    )
    api_key_file: Path | None = Field(None, description="File that holds the API key. It is read at each connection.")

    def key(self) -> str:
        """Return the API key. Raises ValueError when neither field is set."""
        if self.api_key_file is not None:
            return self.api_key_file.read_text().strip()
        if self.api_key is not None:
            return self.api_key.get_secret_value()
        raise ValueError("No API key is set. Set TORNIO_ARGILLA_API_KEY or TORNIO_ARGILLA_API_KEY_FILE.")


class AnnotationLimits(BaseSettings):
    """What the annotation tool takes, as far as its operator can change it."""

    model_config = SettingsConfigDict(env_prefix="TORNIO_ARGILLA_", frozen=True)

    max_labels: int = Field(
        500,
        ge=2,
        description="Options that Argilla takes for one question. A new task with more labels is refused. Default 500, "
        "as Argilla's; raise it together with Argilla's ARGILLA_LABEL_SELECTION_OPTIONS_MAX_ITEMS.",
    )


def annotation_address(environment: Mapping[str, str]) -> str | None:
    """Return the address at which people annotate; None where no annotation tool is set."""
    return environment.get("TORNIO_ARGILLA_PUBLIC_URL") or environment.get("TORNIO_ARGILLA_URL")


class NodeSettings(BaseSettings):
    """Settings of this node."""

    model_config = SettingsConfigDict(env_prefix="TORNIO_", frozen=True)

    cache_dir: Path = Field(
        Path.home() / ".cache" / "tornio",
        description="Folder of this node that caches blobs. All processes of the node share it. "
        "Default ~/.cache/tornio; on Kubernetes an emptyDir.",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Number format that models compute in. Default auto: bfloat16 where the processor or GPU supports "
        "it in hardware, otherwise float32.",
    )
    store_dir: Path | None = Field(
        None,
        description="Folder that stores the documents of runs instead of a bucket, for one machine without a "
        "server. Default: not set, and the bucket is used.",
    )
    torch_threads: int = Field(
        1, ge=1, description="Threads that torch uses in each process. Default 1, because replicas share the cores."
    )


class LlmEndpoint(BaseModel):
    """A server that speaks the OpenAI chat-completions protocol, and how much may be asked of it in all."""

    # What is wrong is said without its value, which may be a key that stands in the wrong place.
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, hide_input_in_errors=True)

    url: str = Field(
        pattern=r"^https?://[^@\s?#]+$",
        description="Address up to the protocol's version, such as `https://api.example.com/v1`; requests go to "
        "`{url}/chat/completions`. A redirect is not followed. Required.",
    )
    model: str = Field(min_length=1, max_length=200, description="Name of the model on that server. Required.")
    api_key_file: Path | None = Field(
        None, description="File that holds the key. It is read for each request. Default: no key is sent."
    )
    api_key_variable: str | None = Field(
        None, description="Environment variable that holds the key, where there is no file. Default: none."
    )
    max_requests: int = Field(
        ge=1,
        description="Most requests in all, retries too, counted in the bucket. Required: each may cost money. To allow "
        "more, raise it.",
    )
    max_tokens: int = Field(ge=1, description="Most tokens of questions and answers in all. Required, as above.")
    input_price: float | None = Field(
        None, ge=0, description="Price of a million tokens of questions, to estimate the cost. Default: no estimate."
    )
    concurrency: int = Field(
        8, ge=1, le=256, description="Requests at the same time, per run. Default 8: providers limit the rate."
    )
    timeout_seconds: float = Field(
        60.0, gt=0, description="Seconds that a request may take. Default 60: an answer has few tokens."
    )
    retries: int = Field(
        5,
        ge=0,
        le=20,
        description="How often a request is sent again after a timeout, a lost connection, or status 429 or 5xx. "
        "Pauses double from one second on, or are what the server's `Retry-After` says. Default 5: about a minute.",
    )
    longest_wait_seconds: float = Field(
        120.0, gt=0, description="Longest `Retry-After` that is waited for; a longer one ends the attempt. Default 120."
    )
    max_characters: int = Field(
        8000, ge=100, description="A longer text is cut to so many characters. Default 8000: about 2000 tokens."
    )
    answer_tokens: int = Field(
        256, ge=8, description="Most tokens of an answer. Default 256. A model that reasons first needs some thousands."
    )
    answer_tokens_field: Literal["max_tokens", "max_completion_tokens"] = Field(
        "max_tokens",
        description="The request's field for it. Default `max_tokens`, which most servers know. Newer models of OpenAI "
        "need the other one.",
    )
    temperature: float | None = Field(
        0.0, ge=0, le=2, description="Sampling temperature. Default 0. Null sends none, for models that refuse it."
    )
    max_unanswered: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Share of the texts that may stay without a usable answer. Above it, the run fails. Default 0.2: "
        "students bear gaps, but a model that answers worse does not understand the task.",
    )
    proxy: str | None = Field(
        None,
        pattern=r"^https?://[^@\s]+$",
        description="Address of a proxy. Default: none. `HTTPS_PROXY` is not read, because texts go where an operator "
        "says, and nowhere else.",
    )
    ca_file: Path | None = Field(
        None,
        description="Certificates (PEM) to trust for this server. Default: those of the system, or of `SSL_CERT_FILE`.",
    )


class LlmSettings(BaseSettings):
    """The servers that the teacher `llm` may ask. Without one, no task can have it: texts would leave the cluster."""

    # The message about a fault has no value: a key may stand where none belongs.
    model_config = SettingsConfigDict(env_prefix="TORNIO_LLM_", frozen=True, hide_input_in_errors=True)

    endpoints: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")], LlmEndpoint] = Field(
        {},
        description="JSON object: names that task.yaml may use, each with the fields of an endpoint (see below). Keys "
        "of servers are not part of it. Default: none.",
    )

    def variables(self) -> tuple[str, ...]:
        """Return the environment variables that a process needs to ask these servers."""
        keys = {endpoint.api_key_variable for endpoint in self.endpoints.values()} - {None}
        return ("TORNIO_LLM_ENDPOINTS", *sorted(map(str, keys)))


class JobSettings(BaseSettings):
    """Which runs are large, and how large runs are spread over the cluster."""

    model_config = SettingsConfigDict(env_prefix="TORNIO_JOB_", frozen=True)

    large_texts: Literal["always", "never"] | NonNegativeInt = Field(
        20_000,
        description="Number of texts that a run may pass through a model before it becomes a Ray job of its own. "
        "Smaller runs are done in the warm worker, which does one run at a time for all tasks. `always` makes every "
        "run a job; `never` keeps even scoring in the warm worker and needs no Ray dashboard. Default 20000: this "
        "takes MiniLM one or two minutes on one processor, so that the 15 seconds that a job needs to start matter "
        "little.",
    )

    workers: int = Field(
        0,
        ge=0,
        description="Number of actors that a large run is spread over. Default 0: one per GPU of the cluster, or one "
        "per processor if the cluster has no GPU.",
    )
    worker_cpus: float = Field(
        0.5,
        gt=0,
        description="Logical processors that each of these actors requests, and also a large run that computes in its "
        "own process. Default 0.5: Ray Data needs some processors itself and would wait forever if none were left.",
    )

    warm_idle_seconds: float = Field(
        300.0,
        gt=0,
        description="Seconds without a run after which the warm worker ends. The next run starts it. Default 300: "
        "it keeps a pod from being removed and 1 GB of memory, and a start costs some seconds.",
    )


class TrainSettings(BaseSettings):
    """How fine-tuning is spread over workers, and how much work an interruption may cost."""

    model_config = SettingsConfigDict(env_prefix="TORNIO_TRAIN_", frozen=True)

    workers: int = Field(
        1,
        ge=1,
        description="Number of workers that share each batch, under Ray Train. Default 1: training runs in the "
        "process of the job, which is fastest for the few labels that people give.",
    )
    worker_cpus: float = Field(
        1.0,
        gt=0,
        description="Logical processors that each of several workers requests. In a cluster with GPUs each worker "
        "also requests one GPU.",
    )
    max_failures: int = Field(
        3, ge=0, description="How often the workers of a training are restarted after one has died. Default 3."
    )
    checkpoint_seconds: float = Field(
        60.0,
        ge=0,
        description="Seconds between two checkpoints, and so the work that an interruption may cost. Default 60: a "
        "checkpoint of MiniLM is 130 MB.",
    )


class UploadSettings(BaseSettings):
    """Files that users upload for runs on the cluster: how large they may be, and how long they are kept."""

    model_config = SettingsConfigDict(env_prefix="TORNIO_UPLOAD_", frozen=True)

    max_mib: int = Field(
        1024,
        ge=1,
        description="Largest file, in MiB. Default 1024: some millions of short texts. Larger files belong into S3, "
        "where several workers can send and read them.",
    )
    quota_mib: int = Field(
        10_240,
        ge=1,
        description="What the uploads of one workspace may take together, in MiB, so that no workspace fills the "
        "bucket. Default 10240: ten of the largest files.",
    )
    days: float = Field(
        14.0,
        gt=0,
        description="Days after its last use after which an upload is deleted. A run that is not over keeps its own. "
        "Default 14: long enough to repeat a run, and short enough that texts do not stay in the bucket unnoticed.",
    )

    @property
    def max_bytes(self) -> int:
        return self.max_mib << 20

    @property
    def quota_bytes(self) -> int:
        return self.quota_mib << 20


class KubeSettings(BaseSettings):
    """Kubernetes, which does large runs as KubeRay RayJobs: see ``jobs.running.kuberay``."""

    model_config = SettingsConfigDict(env_prefix="TORNIO_KUBE_", frozen=True)

    job_template: Path | None = Field(
        None,
        description="File with a RayJob manifest. The controller and `tornio score --on kuberay` make a RayJob from it "
        "for each large run: they set its name, labels and entry point and keep the rest. The chart mounts "
        "its own file. Default: not set, and large runs are Ray jobs in the serving cluster.",
    )
    namespace: str | None = Field(
        None,
        description="Namespace in which RayJobs are created. Default: the namespace of the pod or of the kubeconfig.",
    )
    context: str | None = Field(
        None,
        description="Context of the kubeconfig. Default: the pod's service account; outside a pod the current context.",
    )


class UpgradeSettings(BaseSettings):
    """The cluster and pod that this process runs in, so that connections are closed before they are removed.

    If the fields are not set, Kubernetes is not queried.
    """

    model_config = SettingsConfigDict(env_prefix="", frozen=True)

    rayservice: str | None = Field(None, description="Name of the RayService. Set by the chart.")
    ray_cluster_name: str | None = Field(None, description="Name of this RayCluster. Set by KubeRay.")
    ray_cluster_namespace: str | None = Field(None, description="Namespace of this RayCluster. Set by KubeRay.")
    tornio_leaving_file: Path | None = Field(
        None,
        description="File whose existence means that this pod is about to end. Set by the chart; its hook creates it.",
    )
