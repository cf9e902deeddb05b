"""The Kubernetes API as a port: objects as the API's JSON, a few calls, our own errors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object. ``group``: empty for the core's own."""

    group: str
    version: str
    plural: str
    name: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


RAY_JOB = Kind("ray.io", "v1", "rayjobs", "RayJob")
RAY_SERVICE = Kind("ray.io", "v1", "rayservices", "RayService")
DEPLOYMENT = Kind("apps", "v1", "deployments", "Deployment")
CRD = Kind("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition")
SECRET = Kind("", "v1", "secrets", "Secret")
CONFIG_MAP = Kind("", "v1", "configmaps", "ConfigMap")
NODE = Kind("", "v1", "nodes", "Node")
NAMESPACE = Kind("", "v1", "namespaces", "Namespace")
SERVICE_ACCOUNT = Kind("", "v1", "serviceaccounts", "ServiceAccount")


class KubeApi(Protocol):
    """What is used of the Kubernetes API.

    Every call answers within seconds and raises Unavailable where nobody answers, Forbidden where the account lacks a
    right (the message names it), and InvalidInput for what the API refuses. ``namespace``: none for kinds without.
    """

    def get(self, kind: Kind, name: str, namespace: str | None = None) -> Json:
        """Raises NotFound, also for a kind that the cluster does not have."""

    def list(self, kind: Kind, namespace: str | None = None, labels: str = "") -> list[Json]:
        """Those with these labels (a selector), of all namespaces where none is given. Raises NotFound for a kind
        that the cluster does not have."""

    def create(self, kind: Kind, body: Json, namespace: str) -> Json:
        """Raises AlreadyExists, NotFound for a kind that the cluster does not have."""

    def delete(self, kind: Kind, name: str, namespace: str) -> None:
        """With all that belongs to it; what is not there is no error. It may take a while to go."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Kubernetes cluster, and the namespace of it that is meant where none is named."""

    api: KubeApi
    namespace: str


ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its account."""
