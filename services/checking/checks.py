"""The checks of the cluster through its API."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial

from services.checking.redis import check_service, service_of
from services.checking.wants import Wants
from tornio.errors import Forbidden, NotFound
from tornio.findings import Finding, missing, note, ok, unknown
from tornio.kube.port import CRD, DEPLOYMENT, NAMESPACE, NODE, SECRET, SERVICE_ACCOUNT, Cluster, Json, KubeApi

KUBERAY = (1, 6)
"""The oldest version of KubeRay that Tornio was tested with."""
INSTALL = (
    "install KubeRay 1.6: helm repo add kuberay https://ray-project.github.io/kuberay-helm && helm install "
    "kuberay-operator kuberay/kuberay-operator --version 1.6.1"
)
UPGRADE_CRDS = (
    "helm never upgrades CRDs: kubectl apply --server-side --force-conflicts -k "
    "'github.com/ray-project/kuberay/ray-operator/config/crd?ref=v1.6.1'"
)
CRDS: Mapping[str, tuple[str, ...]] = {
    "rayclusters.ray.io": ("authOptions", "gcsFaultToleranceOptions"),
    "rayservices.ray.io": (
        "excludeHeadPodFromServeSvc",
        "rayClusterDeletionDelaySeconds",
        "rayClusterConfig.authOptions",
    ),
    "rayjobs.ray.io": ("backoffLimit", "preRunningDeadlineSeconds", "rayClusterSpec.authOptions"),
}
"""The custom resources, each with the fields of its spec that the chart uses."""
OPERATOR = "kuberay-operator"
POD_MONITORS = "podmonitors.monitoring.coreos.com"


def check_cluster(cluster: Cluster, wants: Wants) -> Iterator[Finding]:
    """Check custom resources, operator, namespace, accounts, secrets and GPUs. Raises Unavailable without an API."""
    for name, fields in CRDS.items():
        yield _checked(f"CRD {name}", partial(_crd, cluster.api, name, fields))
    yield _checked("KubeRay operator", partial(_operator, cluster.api))
    yield _checked(f"Namespace {cluster.namespace}", partial(_namespace, cluster))
    for name in sorted(wants.accounts):
        yield _checked(f"ServiceAccount {name}", partial(_account, cluster, name))
    for name, keys in sorted(wants.secrets.items()):
        exact = frozenset(one.key for one in wants.exact if one.secret == name)
        yield _checked(f"Secret {name}", partial(_secret, cluster, name, keys, exact))
    if wants.pod_monitor:
        yield _checked(f"CRD {POD_MONITORS}", partial(_pod_monitor, cluster.api))
    if wants.redis and (service := service_of(wants.redis, cluster.namespace)):
        yield _checked(f"Redis at {wants.redis}", partial(check_service, cluster.api, wants.redis, *service))
    if wants.gpus:
        yield from _gpus(cluster.api, wants)


def _checked(what: str, check: Callable[[], Finding]) -> Finding:
    """Return the finding of a check, or ``unknown`` if the account lacks the right to check."""
    try:
        return check()
    except Forbidden as error:
        return unknown(what, f"this account may not read it ({error})", "run the check with an administrator's account")


def _crd(api: KubeApi, name: str, fields: tuple[str, ...]) -> Finding:
    what = f"CRD {name}"
    try:
        crd = api.get(CRD, name)
    except NotFound:
        return missing(what, "it does not exist", INSTALL)
    served = {one["name"]: one for one in crd["spec"]["versions"] if one.get("served")}
    if "v1" not in served:
        return missing(what, f"it serves {', '.join(served) or 'nothing'}, not v1", UPGRADE_CRDS)
    spec = _properties(served["v1"].get("schema", {}).get("openAPIV3Schema", {}), "spec")
    if lacking := [path for path in fields if _properties(spec, *path.split(".")) is None]:
        return missing(what, f"it lacks the fields {', '.join(lacking)}", UPGRADE_CRDS)
    return ok(what, "v1, with all fields that the chart uses")


def _properties(schema: Json | None, *path: str) -> Json | None:
    for name in path:
        schema = ((schema or {}).get("properties") or {}).get(name)
    return schema


def _operator(api: KubeApi) -> Finding:
    what = "KubeRay operator"
    operators = [one for one in api.list(DEPLOYMENT) if OPERATOR in one["metadata"]["name"] or OPERATOR in _labels(one)]
    if not operators:
        return missing(what, f"no Deployment in any namespace is named or labelled {OPERATOR}", INSTALL)
    running = [one for one in operators if (one.get("status") or {}).get("availableReplicas")]
    where = ", ".join(f"{one['metadata']['namespace']}/{one['metadata']['name']}" for one in running or operators)
    if not running:
        return missing(what, f"{where} has no running pod", "check its pods and their logs: kubectl describe")
    image = running[0]["spec"]["template"]["spec"]["containers"][0]["image"]
    version = _version(image)
    if version is None:
        return unknown(what, f"{where} runs {image}, which has no version", "check that it is KubeRay 1.6 or later")
    if version < KUBERAY:
        return missing(what, f"{where} runs {image}", f"upgrade it. {INSTALL.replace('install', 'upgrade')}")
    return ok(what, f"{where} runs {image}")


def _labels(one: Json) -> Collection[str]:
    return (one["metadata"].get("labels") or {}).values()


def _version(image: str) -> tuple[int, int] | None:
    tag = image.partition("@")[0].rpartition(":")[2]
    match = re.match(r"v?(\d+)\.(\d+)", tag)
    return None if match is None else (int(match[1]), int(match[2]))


def _namespace(cluster: Cluster) -> Finding:
    what = f"Namespace {cluster.namespace}"
    try:
        namespace = cluster.api.get(NAMESPACE, cluster.namespace)
    except NotFound:
        return missing(what, "it does not exist", f"kubectl create namespace {cluster.namespace}")
    if namespace["metadata"].get("deletionTimestamp"):
        return missing(
            what, "it is being deleted", "wait until it is deleted and create it again, or use another namespace"
        )
    return ok(what, "it exists")


def _account(cluster: Cluster, name: str) -> Finding:
    what = f"ServiceAccount {name}"
    try:
        cluster.api.get(SERVICE_ACCOUNT, name, cluster.namespace)
    except NotFound:
        todo = "let the chart create it (serviceAccount.create), or name an existing one (serviceAccount.name)"
        return missing(what, f"it does not exist in namespace {cluster.namespace}", todo)
    return ok(what, "it exists")


def _pod_monitor(api: KubeApi) -> Finding:
    what = f"CRD {POD_MONITORS}"
    try:
        api.get(CRD, POD_MONITORS)
    except NotFound:
        return missing(what, "it does not exist", "install the Prometheus operator, or set podMonitor.enabled=false")
    return ok(what, "it exists")


def _secret(cluster: Cluster, name: str, keys: frozenset[str], exact: frozenset[str]) -> Finding:
    """``exact``: keys whose values must have no newline at their ends."""
    what = f"Secret {name}"
    literals = " ".join(f"--from-literal={key}=..." for key in sorted(keys))
    create = f"kubectl -n {cluster.namespace} create secret generic {name} {literals}".strip()
    try:
        data = cluster.api.get(SECRET, name, cluster.namespace).get("data") or {}
    except NotFound:
        return missing(what, f"it does not exist in namespace {cluster.namespace}", create)
    if lacking := sorted(keys - data.keys()):
        return missing(
            what, f"it lacks the keys {', '.join(lacking)}; it has {', '.join(sorted(data)) or 'none'}", create
        )
    if empty := sorted(key for key in keys if not data[key]):
        return missing(what, f"the keys {', '.join(empty)} are empty", create)
    values = {key: base64.b64decode(data[key]) for key in keys}
    if blank := sorted(key for key in keys if not values[key].strip()):
        return missing(what, f"the keys {', '.join(blank)} hold only spaces or newlines", create)
    if untidy := sorted(key for key in keys & exact if values[key] != values[key].strip()):
        todo = f"write the value without it, with `printf %s` or --from-literal, and create the Secret again: {create}"
        return missing(what, f"the keys {', '.join(untidy)} begin or end with a space or newline", todo)
    return ok(what, f"it has {', '.join(sorted(keys)) or 'no required keys'}")


def _gpus(api: KubeApi, wants: Wants) -> Iterator[Finding]:
    try:
        nodes = api.list(NODE)
    except Forbidden as error:
        yield unknown(
            "GPUs", f"this account may not list nodes ({error})", "run the check with an administrator's account"
        )
        return
    for group in wants.gpus:
        what = f"GPUs of group {group.name}"
        per_node = [int(node["status"].get("allocatable", {}).get(group.resource, 0)) for node in nodes]
        room = sum(count // group.count for count in per_node)
        wanted = f"{group.most} workers with {group.count} {group.resource} each"
        if room >= max(1, group.most):
            yield ok(what, f"there is room for {room} workers; at most {wanted} are wanted")
        elif room:
            yield note(
                what,
                f"there is room for {room} workers; at most {wanted} are wanted",
                "let the nodes scale, or lower maxReplicas",
            )
        elif any(per_node):
            yield missing(what, f"no node has {group.count} {group.resource}; the largest has {max(per_node)}", _FEWER)
        else:
            yield note(what, f"no node offers {group.resource}", _PLUGIN)


_FEWER = "request fewer GPUs per worker, or add nodes that have them"
_PLUGIN = (
    "install the vendor's device plugin (such as the NVIDIA GPU operator) on nodes with GPUs; this is not a problem if "
    "an autoscaler adds such nodes on demand"
)


def resolved(cluster: Cluster, wants: Wants) -> dict[str, str]:
    """Return the deployment's environment with the values of secrets, as far as this account may read them."""
    values: dict[str, str] = {}
    for name, value in wants.environment.items():
        if isinstance(value, str):
            values[name] = value
            continue
        try:
            data = cluster.api.get(SECRET, value.secret, cluster.namespace).get("data") or {}
        except (Forbidden, NotFound):
            continue
        if value.key in data:
            values[name.removesuffix("_FILE")] = base64.b64decode(data[value.key]).decode(errors="replace").strip()
    return values
