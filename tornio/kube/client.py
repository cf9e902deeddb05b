"""The Kubernetes API over the official client: from within a pod, with its account, or by a kubeconfig."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from tornio.errors import AlreadyExists, Forbidden, InvalidInput, NotFound, TornioError, Unauthorized, Unavailable
from tornio.kube.port import ACCOUNT, CONFIG_MAP, NAMESPACE, NODE, SECRET, SERVICE_ACCOUNT, Cluster, Json, Kind
from tornio.settings import KubeSettings

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

T = TypeVar("T")
ANSWER_S = 10.0
"""Seconds that the API may take to connect, and to answer."""
_MOST_SAID = 500


def connect(settings: KubeSettings | None = None) -> Cluster:
    """The cluster of the pod that this is, or of the kubeconfig (KUBECONFIG, ~/.kube/config).

    Asks nobody yet. Raises InvalidInput where there is neither, or no client.
    """
    settings = settings or KubeSettings()
    try:
        from kubernetes.client import ApiClient, Configuration

        config: Any = import_module("kubernetes.config")  # it says nothing of its types
    except ImportError as error:
        raise InvalidInput(f"Kubernetes needs its client: pip install 'tornio[cluster]' ({error})") from error
    logging.getLogger("kubernetes").setLevel(logging.WARNING)
    made = Configuration()
    made.retries = False  # whoever asks, asks again
    namespace = "default"
    try:
        if settings.context is None and (ACCOUNT / "token").exists():
            config.load_incluster_config(made)  # reads the token again each minute: it rotates
            namespace = (ACCOUNT / "namespace").read_text().strip()
        else:
            config.load_kube_config(client_configuration=made, context=settings.context)
            contexts, active = config.list_kube_config_contexts()
            chosen = next((one for one in contexts if one["name"] == settings.context), active)
            namespace = chosen["context"].get("namespace") or namespace
    except Exception as error:  # what a broken kubeconfig raises depends on where it is broken
        raise InvalidInput(
            f"no Kubernetes: this is no pod with an account, and there is no kubeconfig that can be used ({error}): "
            "set KUBECONFIG, and TORNIO_KUBE_CONTEXT where it has several contexts"
        ) from error
    return Cluster(OfficialClient(ApiClient(made)), settings.namespace or namespace)


class OfficialClient:
    """The ``KubeApi`` over ``kubernetes.client``. Its calls for custom objects serve every group but the core's."""

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

    def _json(self, answer: Any) -> Json:
        found: Json = self._client.sanitize_for_serialization(answer)
        return found

    def _ask(self, call: Callable[..., T], *args: object, **options: object) -> T:
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        try:
            return call(*args, **options, _request_timeout=(ANSWER_S, ANSWER_S))
        except ApiException as error:
            raise _told(error.status or 0, error.body or error.reason) from error
        except (HTTPError, OSError) as error:
            raise Unavailable(
                f"the Kubernetes API at {self._client.configuration.host} does not answer ({type(error).__name__}): "
                "see that it runs, and, outside of a pod, that KUBECONFIG has its address"
            ) from error


_CORE = {
    SECRET: "namespaced_secret",
    CONFIG_MAP: "namespaced_config_map",
    SERVICE_ACCOUNT: "namespaced_service_account",
    NAMESPACE: "namespace",
    NODE: "node",
}
"""What the client calls those of the core."""


def _told(status: int, body: object) -> TornioError:
    """An answer of the API that is none, as one of our errors."""
    try:
        said = json.loads(str(body))["message"]
    except (ValueError, KeyError, TypeError):
        said = str(body)
    said = said[:_MOST_SAID]
    match status:
        case 401:
            return Unauthorized(f"the Kubernetes API does not know who asks ({said}): look at the account, or log in")
        case 403:
            return Forbidden(f"the Kubernetes API refuses: {said}. Give the account this right")
        case 404:
            return NotFound(f"the Kubernetes API has it not: {said}")
        case 409:
            return AlreadyExists(f"the Kubernetes API has it already: {said}")
        case 429:
            return Unavailable(f"the Kubernetes API asks for patience ({said}): it is asked again")
        case _ if status >= 500 or status == 0:
            return Unavailable(f"the Kubernetes API has trouble ({status}: {said}): it is asked again")
        case _:
            return InvalidInput(f"the Kubernetes API refuses what it was given ({status}): {said}")
