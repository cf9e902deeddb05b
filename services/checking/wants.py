"""What a deployment needs from its cluster, read from its manifests. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from tornio.kube.port import Json

PULL = "imagePullSecrets"
MINILM = "minilm"
"""The base model of tasks and teachers that name none."""
AUTH_TOKEN = "auth_token"  # noqa: S105 - the key that KubeRay reads
"""Key in the Secret that ``authOptions`` names."""


@dataclass(frozen=True, slots=True)
class SecretKey:
    secret: str
    key: str


@dataclass(frozen=True, slots=True)
class GpuGroup:
    """A worker group with GPUs: ``count`` of ``resource`` per worker."""

    name: str
    resource: str
    count: int
    most: int
    """Largest number of workers."""


@dataclass(frozen=True, slots=True)
class Wants:
    """What a deployment needs.

    ``secrets``: name -> keys; ``exact``: keys that reach a program byte by byte, so that a newline at the end is wrong;
    ``accounts``: service accounts that pods run as and that the manifests do not create; ``environment``: that of the
    serving containers, as values or as references to secrets; ``encoders``: base models of the teacher and of tasks;
    ``redis``: its address, or an empty string; ``pod_monitor``: whether there is a PodMonitor.
    """

    secrets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    accounts: frozenset[str] = frozenset()
    gpus: tuple[GpuGroup, ...] = ()
    environment: Mapping[str, str | SecretKey] = field(default_factory=dict)
    exact: frozenset[SecretKey] = frozenset()
    encoders: frozenset[str] = frozenset()
    redis: str = ""
    pod_monitor: bool = False


def wants_of(manifests: Iterable[Json]) -> Wants:
    """Return what the manifests need: secrets that they refer to, service accounts of pods, GPUs of worker groups.

    The environment is that of the serving pods. RayJobs in a ConfigMap, which are templates, count too.
    """
    documents = list(_with_templates(manifests))
    secrets: dict[str, set[str]] = {}
    accounts, exact = set[str](), set[SecretKey]()
    for node in _dicts(documents):
        if account := node.get("serviceAccountName"):
            accounts.add(account)
        for name, key, is_exact in _refers(node):
            secrets.setdefault(name, set())
            if key:
                secrets[name].add(key)
            if is_exact:
                exact.add(SecretKey(name, key))
    gpus: list[GpuGroup] = []
    environment: dict[str, str | SecretKey] = {}
    for cluster in filter(None, map(_cluster, documents)):
        gpus += _gpus(cluster)
    for pod in _pods(documents):
        for value in (variables := _environment(pod)).values():
            if isinstance(value, SecretKey):
                secrets.setdefault(value.secret, set()).add(value.key)
        environment = {**variables, **environment}  # serving pods come first and take precedence
    accounts -= {one["metadata"]["name"] for one in documents if one.get("kind") == "ServiceAccount"}
    return Wants(
        {name: frozenset(keys) for name, keys in secrets.items()},
        frozenset(accounts),
        tuple(gpus),
        environment,
        frozenset(exact),
        frozenset(_encoders(documents, environment)) if environment else frozenset(),
        next(filter(None, map(_redis, documents)), ""),
        any(one.get("kind") == "PodMonitor" for one in documents),
    )


def _redis(document: Json) -> str:
    return str(((_cluster(document) or {}).get("gcsFaultToleranceOptions") or {}).get("redisAddress") or "")


def _encoders(documents: Iterable[Json], environment: Mapping[str, str | SecretKey]) -> Iterator[str]:
    """Yield the base models of the teacher, and those of the tasks that the chart's Job applies."""
    yield str(environment.get("TORNIO_TEACHER_MODEL") or MINILM)
    for document in documents:
        data = (document.get("data") or {}) if document.get("kind") == "ConfigMap" else {}
        for task in (yaml.safe_load(text) for name, text in data.items() if name.endswith(".yaml")):
            if isinstance(task, dict) and {"workspace", "name"} <= task.keys():
                yield str((task.get("classifier") or {}).get("encoder") or MINILM)
                teacher = task.get("teacher") or {}
                for one in (teacher, *(teacher.get("members") or ())):
                    if model := one.get("model"):
                        yield str(model)


def _with_templates(manifests: Iterable[Json]) -> Iterator[Json]:
    for one in manifests:
        yield one
        if one.get("kind") == "ConfigMap":
            for text in (one.get("data") or {}).values():
                if "RayJob" in text and isinstance(template := yaml.safe_load(text), dict):  # reads JSON, too
                    yield template


def _dicts(node: Any) -> Iterator[Json]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _dicts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _dicts(value)


def _refers(node: Json) -> Iterator[tuple[str, str, bool]]:
    """Yield the secrets that this part of a manifest requires, with the key that it reads (or an empty string), and
    whether the key's value becomes a variable as it is. Tornio strips what it reads from files.
    """
    for name in ("secretKeyRef", "secretRef"):
        ref = node.get(name)
        if isinstance(ref, dict) and ref.get("name") and not ref.get("optional"):
            yield ref["name"], ref.get("key", ""), name == "secretKeyRef"
    volume = node.get("secret")
    if isinstance(volume, dict) and not volume.get("optional"):
        secret = volume.get("secretName") or volume.get("name")
        if secret:
            yield secret, "", False
            yield from ((secret, item["key"], False) for item in volume.get("items") or ())
    auth = node.get("authOptions")
    if isinstance(auth, dict) and auth.get("secretName"):
        yield auth["secretName"], AUTH_TOKEN, True
    for ref in node.get(PULL) or ():
        yield ref["name"], "", False


def _cluster(document: Json) -> Json | None:
    spec = document.get("spec") or {}
    cluster = spec.get("rayClusterConfig") or spec.get("rayClusterSpec")
    return cluster if isinstance(cluster, dict) else None


def _gpus(cluster: Json) -> Iterator[GpuGroup]:
    for group in cluster.get("workerGroupSpecs") or ():
        for container in group["template"]["spec"]["containers"][:1]:
            resources = container.get("resources") or {}
            amounts = {**(resources.get("requests") or {}), **(resources.get("limits") or {})}
            for resource, count in amounts.items():
                if resource.endswith("/gpu") and int(count) > 0:
                    yield GpuGroup(group["groupName"], resource, int(count), int(group.get("maxReplicas") or 0))


def _pods(documents: Iterable[Json]) -> Iterator[Json]:
    """Yield the pods of Ray clusters, first those of a RayService, workers before the head, which may mount less."""
    for document in sorted(documents, key=lambda one: one.get("kind") != "RayService"):
        cluster = _cluster(document)
        if cluster is not None:
            for group in (*(cluster.get("workerGroupSpecs") or ()), cluster["headGroupSpec"]):
                yield group["template"]["spec"]


def _environment(pod: Json) -> dict[str, str | SecretKey]:
    container, variables = pod["containers"][0], dict[str, str | SecretKey]()
    mounted = dict(_mounted(pod, container))
    for variable in container.get("env") or ():
        ref = (variable.get("valueFrom") or {}).get("secretKeyRef")
        if ref and not ref.get("optional"):
            variables[variable["name"]] = SecretKey(ref["name"], ref["key"])
        elif "value" in variable:
            value = str(variable["value"])
            folder, _, name = value.rpartition("/")
            variables[variable["name"]] = SecretKey(mounted[folder], name) if folder in mounted else value
    return variables


def _mounted(pod: Json, container: Json) -> Iterator[tuple[str, str]]:
    """Yield folders in the container, each with the Secret whose keys are its files."""
    volumes = {v["name"]: v["secret"] for v in pod.get("volumes") or () if isinstance(v.get("secret"), dict)}
    for mount in container.get("volumeMounts") or ():
        volume = volumes.get(mount["name"])
        if volume and not volume.get("optional") and not volume.get("items"):
            yield mount["mountPath"].rstrip("/"), volume["secretName"]
