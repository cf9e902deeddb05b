"""The interface to the Kubernetes API: objects as the API's JSON, a few calls, our own errors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object. ``group`` is empty for core kinds."""

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
SERVICE = Kind("", "v1", "services", "Service")
SERVICE_ACCOUNT = Kind("", "v1", "serviceaccounts", "ServiceAccount")


class KubeApi(Protocol):
    """The calls of the Kubernetes API that Tornio uses.

    Every call returns within seconds. It raises Unavailable if the API does not respond, Forbidden if the account lacks
    a right (the message names it), and InvalidInput for what the API refuses. ``namespace`` is None for kinds without
    namespaces.
    """

    def get(self, kind: Kind, name: str, namespace: str | None = None) -> Json:
        """Return one object. Raises NotFound, also if the cluster does not have this kind."""

    def list(self, kind: Kind, namespace: str | None = None, labels: str = "") -> list[Json]:
        """Return the objects with these labels (a selector), of all namespaces if none is given.

        Raises NotFound if the cluster does not have this kind.
        """

    def create(self, kind: Kind, body: Json, namespace: str) -> Json:
        """Create an object. Raises AlreadyExists, and NotFound if the cluster does not have this kind."""

    def delete(self, kind: Kind, name: str, namespace: str) -> None:
        """Delete an object and its dependents, in the background. An object that does not exist is not an error."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Kubernetes cluster, and its default namespace."""

    api: KubeApi
    namespace: str


ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Folder in which a pod finds the credentials of its service account."""
