"""The Kubernetes API over the official client: in a pod with its service account, elsewhere with a kubeconfig."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from tornio.errors import AlreadyExists, Forbidden, InvalidInput, NotFound, TornioError, Unauthorized, Unavailable
from tornio.kube.port import ACCOUNT, CONFIG_MAP, NAMESPACE, NODE, SECRET, SERVICE, SERVICE_ACCOUNT, Cluster, Json, Kind
from tornio.settings import KubeSettings

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

T = TypeVar("T")
ANSWER_S = 10.0
"""Seconds that the API may take to connect, and then to respond."""
_MAX_MESSAGE = 500


def connect(settings: KubeSettings | None = None) -> Cluster:
    """Return the cluster of this pod, or of the kubeconfig (KUBECONFIG, ~/.kube/config).

    Sends no request. Raises InvalidInput if neither exists, or if the Kubernetes client is not installed.
    """
    settings = settings or KubeSettings()
    try:
        from kubernetes.client import ApiClient, Configuration

        config: Any = import_module("kubernetes.config")  # it has no type annotations
    except ImportError as error:
        raise InvalidInput(
            f"The Kubernetes client is not installed ({error}). Install it with: pip install 'tornio[cluster]'"
        ) from error
    logging.getLogger("kubernetes").setLevel(logging.WARNING)
    configuration = Configuration()
    configuration.retries = False  # the callers repeat their requests themselves
    namespace = "default"
    try:
        if settings.context is None and (ACCOUNT / "token").exists():
            config.load_incluster_config(configuration)  # reads the token again each minute, because it rotates
            namespace = (ACCOUNT / "namespace").read_text().strip()
        else:
            config.load_kube_config(client_configuration=configuration, context=settings.context)
            contexts, active = config.list_kube_config_contexts()
            chosen = next((one for one in contexts if one["name"] == settings.context), active)
            namespace = chosen["context"].get("namespace") or namespace
    except Exception as error:  # the exception depends on where the kubeconfig is broken
        raise InvalidInput(
            "No Kubernetes cluster was found. This is not a pod with a service account, and no kubeconfig can be used "
            f"({error}). Set KUBECONFIG, and TORNIO_KUBE_CONTEXT if it has several contexts."
        ) from error
    return Cluster(OfficialClient(ApiClient(configuration)), settings.namespace or namespace)


class OfficialClient:
    """``KubeApi`` over ``kubernetes.client``. Its calls for custom objects work for every group except the core's."""

    def __init__(self, client: ApiClient) -> None:
        from kubernetes.client import CoreV1Api, CustomObjectsApi

        self._client: Any = client
        self._objects: Any = CustomObjectsApi(client)
        self._core: Any = CoreV1Api(client)

    def get(self, kind: Kind, name: str, namespace: str | None = None) -> Json:
        if not kind.group:
            of = () if namespace is None else (namespace,)
            return self._json(self._ask(getattr(self._core, f"read_{_CORE[kind]}"), name, *of))
        if namespace is None:
            return self._json(
                self._ask(self._objects.get_cluster_custom_object, kind.group, kind.version, kind.plural, name)
            )
        where = (kind.group, kind.version, namespace, kind.plural, name)
        return self._json(self._ask(self._objects.get_namespaced_custom_object, *where))

    def list(self, kind: Kind, namespace: str | None = None, labels: str = "") -> list[Json]:
        where: tuple[str, ...]
        if not kind.group:
            call, where = getattr(self._core, f"list_{_CORE[kind]}"), () if namespace is None else (namespace,)
        elif namespace is None:
            call, where = self._objects.list_cluster_custom_object, (kind.group, kind.version, kind.plural)
        else:
            call = self._objects.list_namespaced_custom_object
            where = (kind.group, kind.version, namespace, kind.plural)
        items: list[Json] = self._json(self._ask(call, *where, label_selector=labels))["items"]
        return items

    def create(self, kind: Kind, body: Json, namespace: str) -> Json:
        where = (kind.group, kind.version, namespace, kind.plural, body)
        return self._json(self._ask(self._objects.create_namespaced_custom_object, *where))

    def delete(self, kind: Kind, name: str, namespace: str) -> None:
        where = (kind.group, kind.version, namespace, kind.plural, name)
        try:
            self._ask(self._objects.delete_namespaced_custom_object, *where, propagation_policy="Background")
        except NotFound:
            return

    def _json(self, response: Any) -> Json:
        values: Json = self._client.sanitize_for_serialization(response)
        return values

    def _ask(self, call: Callable[..., T], *args: object, **options: object) -> T:
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        try:
            return call(*args, **options, _request_timeout=(ANSWER_S, ANSWER_S))
        except ApiException as error:
            raise _translated(error.status or 0, error.body or error.reason) from error
        except (HTTPError, OSError) as error:
            raise Unavailable(
                f"The Kubernetes API at {self._client.configuration.host} does not respond ({type(error).__name__}). "
                "Check that it runs and, outside of a pod, that KUBECONFIG has its address."
            ) from error


_CORE = {
    SECRET: "namespaced_secret",
    CONFIG_MAP: "namespaced_config_map",
    SERVICE: "namespaced_service",
    SERVICE_ACCOUNT: "namespaced_service_account",
    NAMESPACE: "namespace",
    NODE: "node",
}
"""The client's names of the core kinds."""


def _translated(status: int, body: object) -> TornioError:
    """Return our own error for an error response of the API."""
    try:
        message = json.loads(str(body))["message"]
    except (ValueError, KeyError, TypeError):
        message = str(body)
    message = message[:_MAX_MESSAGE]
    match status:
        case 401:
            return Unauthorized(
                f"The Kubernetes API does not recognise the account ({message}). Check the account, or log in."
            )
        case 403:
            return Forbidden(f"The Kubernetes API refuses the request: {message}. Grant the account this right.")
        case 404:
            return NotFound(f"The Kubernetes API did not find the object: {message}")
        case 409:
            return AlreadyExists(f"The object already exists in Kubernetes: {message}")
        case 429:
            return Unavailable(f"The Kubernetes API limits the rate of requests ({message}). They will be repeated.")
        case _ if status >= 500 or status == 0:
            return Unavailable(f"The Kubernetes API failed ({status}: {message}). The request will be repeated.")
        case _:
            return InvalidInput(f"The Kubernetes API refuses the request ({status}): {message}")
