"""The runner for large work on Kubernetes: each attempt is a RayJob of KubeRay, with a cluster of its own."""

from __future__ import annotations

import hashlib
import logging
import shlex
from collections.abc import Callable
from copy import deepcopy
from itertools import count
from pathlib import Path
from uuid import uuid4

import yaml

from jobs.running.placement import is_spread
from jobs.running.port import RunPhase, RunStatus
from jobs.running.submitted import ended_because
from tornio.errors import AlreadyExists, Forbidden, InvalidInput, NotFound, Unauthorized, Unavailable
from tornio.kube.port import RAY_JOB, RAY_SERVICE, Cluster, Json
from tornio.schemas.runs import RunFailure, RunPlan
from tornio.settings import StorageSettings, UpgradeSettings
from tornio.storage import documents
from tornio.storage.port import ObjectStore

log = logging.getLogger(__name__)
LONGEST_NAME = 47
"""Largest number of characters in a RayJob's name. KubeRay derives other names from it."""
RUN, ATTEMPT, STORE, JOB = "tornio/run", "tornio/attempt", "tornio/store", "tornio/job"
"""Names of labels."""
COMPUTING_CPUS = 0.5
"""Logical processors of a job that computes in its own process, as in the serving cluster."""
_COMPUTING = ("entrypointNumCpus", "entrypointNumGpus", "entrypointResources")


_API_ERRORS = (Unavailable, Forbidden, Unauthorized, NotFound)


class KubeRayRunner:
    """The ``JobRunner`` over RayJobs.

    Their names follow from run and attempt, so that a second submission changes nothing, and a new controller finds
    the RayJobs of an earlier one.

    The entry point reads the plan from the store, and may be started again: KubeRay submits it again after a cluster
    has lost its head (see ``jobs.running.execute.resumed_attempt``). So one RayJob can make several attempts;
    ``status`` describes the last one that has begun.

    A RayJob's own state at its end is only a hint: a run with a result is done, one without is not.
    """

    def __init__(
        self,
        connect: Callable[[], Cluster],
        template: Callable[[], Json],
        store: ObjectStore,
        place: str,
        owner: str | None = None,
    ) -> None:
        """``place``: names the store among all stores that RayJobs of this namespace may work for.

        ``owner``: the RayService of this controller. Its RayJobs are deleted with it, because the account and the
        secrets of their pods are, too.
        """
        self._connect = connect
        self._template = template
        self._store = store
        self._place = hashlib.sha256(place.encode()).hexdigest()[:4]
        self._owner = owner
        self._cluster: Cluster | None = None

    def submit(self, plan: RunPlan, attempt: int) -> None:
        """Submit an attempt.

        Raises Unavailable if the API does not respond (submit it again), InvalidInput for a template that cannot be
        used, Forbidden, and NotFound for a cluster without KubeRay.
        """
        if any(self._last_begun(plan, _attempt(job)) >= attempt for job in self._jobs(plan)):
            return
        cluster = self._connected()
        body = manifest(self._template(), plan, attempt, self._place, uuid4().hex, self._owner_in(cluster))
        try:
            cluster.api.create(RAY_JOB, body, cluster.namespace)
        except AlreadyExists:  # another controller was first with the same attempt
            log.info("RayJob %s already exists and is followed.", body["metadata"]["name"])
        else:
            log.info("Run %s, attempt %d, is RayJob %s.", plan.run, attempt, body["metadata"]["name"])

    def status(self, plan: RunPlan) -> RunStatus:
        try:
            return self._status(plan)
        except _API_ERRORS as error:  # the run may be elsewhere; submitting it here would report the error
            log.info("The state of run %s is not known: %s", plan.run, error)
            return RunStatus(RunPhase.UNKNOWN)

    def cancel(self, plan: RunPlan) -> None:
        """Delete the run's RayJobs that have not ended, which ends their clusters."""
        cluster = self._connected()
        for job in self._jobs(plan):
            if judge(job)[0] is RunPhase.RUNNING:
                cluster.api.delete(RAY_JOB, job["metadata"]["name"], cluster.namespace)

    def names(self, plan: RunPlan) -> list[str]:
        """Return the names of the run's RayJobs, that of the last attempt last."""
        return [job["metadata"]["name"] for job in self._jobs(plan)]

    def _status(self, plan: RunPlan) -> RunStatus:
        jobs = self._jobs(plan)
        if not jobs:
            return RunStatus(RunPhase.UNKNOWN)
        phase, error = judge(jobs[-1])
        attempt = self._last_begun(plan, _attempt(jobs[-1]))
        if phase is RunPhase.RUNNING:
            return RunStatus(phase, attempt)
        if self._store.head(plan.run_keys.result) is not None:
            return RunStatus(RunPhase.DONE, attempt)
        noted = documents.find(self._store, plan.run_keys.failure(attempt), RunFailure)
        if noted is not None:
            return RunStatus(RunPhase.FAILED, attempt, noted[0].error)
        name = jobs[-1]["metadata"]["name"]
        return RunStatus(
            RunPhase.FAILED, attempt, error or f"RayJob {name} ended without an error, but there is no result"
        )

    def _jobs(self, plan: RunPlan) -> list[Json]:
        """Return the RayJobs of this run that the cluster has, by attempt. Raises what the API raises."""
        cluster = self._connected()
        try:
            jobs = cluster.api.list(RAY_JOB, cluster.namespace, f"{RUN}={plan.run},{STORE}={self._place}")
        except NotFound as error:
            raise NotFound(
                "This Kubernetes has no RayJobs. Install the KubeRay operator (`tornio deploy check` gives details), "
                "or unset TORNIO_KUBE_JOB_TEMPLATE, which makes large runs Ray jobs of the serving cluster."
            ) from error
        return sorted(jobs, key=_attempt)

    def _last_begun(self, plan: RunPlan, first: int) -> int:
        """Return the last attempt that a RayJob has begun whose first attempt was ``first``."""
        keys = plan.run_keys
        return next(n for n in count(first) if self._store.head(keys.started(n + 1)) is None)

    def _owner_in(self, cluster: Cluster) -> Json | None:
        """Return the owning RayService; None if it is in another namespace, as owners cannot cross namespaces."""
        if self._owner is None:
            return None
        try:
            return cluster.api.get(RAY_SERVICE, self._owner, cluster.namespace)
        except NotFound:
            return None

    def _connected(self) -> Cluster:
        if self._cluster is None:
            self._cluster = self._connect()
        return self._cluster


def kuberay_runner(connect: Callable[[], Cluster], template: Path, store: ObjectStore) -> KubeRayRunner:
    """Return the runner of this deployment. The template is read at each submission, as the chart may change it."""
    settings = StorageSettings()
    place = f"{settings.bucket}/{settings.prefix.strip('/')}"
    return KubeRayRunner(connect, lambda: read_template(template), store, place, UpgradeSettings().rayservice)


def read_template(path: Path) -> Json:
    """Return the manifest of a RayJob. Raises InvalidInput for a file that is not one."""
    try:
        template = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInput(
            f"The template of RayJobs, {path}, cannot be read ({type(error).__name__}: {error})."
        ) from error
    if (
        not isinstance(template, dict)
        or template.get("kind") != RAY_JOB.name
        or not isinstance(template.get("spec"), dict)
    ):
        raise InvalidInput(f"{path} is not a manifest of a RayJob. It must have `kind: RayJob` and a `spec`.")
    if template.get("apiVersion") != RAY_JOB.api_version:
        raise InvalidInput(
            f"{path} has apiVersion {template.get('apiVersion')!r}. Only {RAY_JOB.api_version} is supported."
        )
    try:
        _has_gpus(template["spec"])
    except (LookupError, TypeError, AttributeError) as error:
        raise InvalidInput(
            f"{path}: each of spec.rayClusterSpec.workerGroupSpecs must have a template.spec.containers "
            f"({type(error).__name__}: {error}). `kubectl apply --dry-run=server` gives details."
        ) from error
    return template


def check_store(template: Json, settings: StorageSettings) -> None:
    """Raise InvalidInput if pods of this template would look for a run in another store than this process writes to.

    A template that gets its bucket from elsewhere (``valueFrom``, ``envFrom``) is accepted. Two endpoints may be one
    store under two names, inside and outside of the cluster; an endpoint and no endpoint (AWS) are not.
    """
    head = (template["spec"].get("rayClusterSpec") or {}).get("headGroupSpec") or {}
    containers = ((head.get("template") or {}).get("spec") or {}).get("containers") or [{}]
    theirs: dict[str, str | None] = {each["name"]: each.get("value") for each in containers[0].get("env") or ()}
    if theirs.get("TORNIO_S3_BUCKET") is None:
        return
    ours = {"TORNIO_S3_BUCKET": settings.bucket, "TORNIO_S3_PREFIX": settings.prefix.strip("/")}
    for name, value in ours.items():
        template_value = theirs.get(name, "")
        if template_value is not None and template_value.strip("/") != value:
            raise InvalidInput(
                f"{name} is {value!r} here, but {template_value!r} in the template of the RayJob. Make them equal."
            )
    if bool(settings.endpoint) != (theirs.get("TORNIO_S3_ENDPOINT", "") != ""):
        where = "here but not in the template of the RayJob" if settings.endpoint else "in its template but not here"
        raise InvalidInput(f"TORNIO_S3_ENDPOINT is set {where}. Without it, AWS is used.")


def manifest(template: Json, plan: RunPlan, attempt: int, place: str, token: str, owner: Json | None = None) -> Json:
    """Return the RayJob of this attempt: the template with name, labels and entry point. Pure.

    ``token`` distinguishes a restarted process of this RayJob from one of another RayJob. ``owner``: the RayService
    with which the RayJob is deleted.
    """
    body = deepcopy(template)
    meta, spec = dict(body.get("metadata") or {}), body["spec"]
    meta.pop("namespace", None)
    meta.pop("generateName", None)
    meta["name"] = job_name(plan.run, attempt, place)
    labels = {RUN: plan.run, ATTEMPT: str(attempt), JOB: plan.job, STORE: place}
    meta["labels"] = {**(meta.get("labels") or {}), **labels}
    annotations = {"tornio/workspace": plan.workspace, "tornio/task": plan.task or ""}
    meta["annotations"] = {**(meta.get("annotations") or {}), **annotations}
    if owner is not None:
        of = {"apiVersion": RAY_SERVICE.api_version, "kind": RAY_SERVICE.name}
        meta["ownerReferences"] = [of | {key: owner["metadata"][key] for key in ("name", "uid")}]
    body["metadata"] = meta
    task = [] if plan.task is None else ["--task", plan.task]
    words = ["python", "-m", "jobs", plan.workspace, plan.run, str(attempt), "--token", token, *task]
    spec["entrypoint"] = shlex.join(words)
    if is_spread(plan):  # its own process stays on the head and leaves the workers free
        for name in _COMPUTING:
            spec.pop(name, None)
    else:  # without a request it would compute on the head
        name, amount = ("entrypointNumGpus", 1) if _has_gpus(spec) else ("entrypointNumCpus", COMPUTING_CPUS)
        spec.setdefault(name, amount)
    return body


def _has_gpus(spec: Json) -> bool:
    groups = (spec.get("rayClusterSpec") or {}).get("workerGroupSpecs") or ()
    containers = [group["template"]["spec"]["containers"][0] for group in groups]
    limits = [(container.get("resources") or {}).get("limits") or {} for container in containers]
    return any(name.endswith("/gpu") for each in limits for name in each)


def job_name(run: str, attempt: int, place: str) -> str:
    """Return a deterministic name of at most ``LONGEST_NAME`` characters."""
    name = f"tornio-{run}-{place}-{attempt}"
    if len(name) <= LONGEST_NAME:
        return name
    return f"tornio-{hashlib.sha256(run.encode()).hexdigest()[:20]}-{place}-{attempt}"


def judge(job: Json) -> tuple[RunPhase, str | None]:
    """Return the state of a RayJob: RUNNING, DONE, or FAILED with the reason. Pure.

    ``jobDeploymentStatus`` tells whether it has ended (past its deadline ``jobStatus`` stays RUNNING), and
    ``jobStatus`` whether it succeeded: a job that was stopped is Complete too. A RayJob that is being deleted counts as
    running until it is gone; a suspended one waits for whoever suspended it, such as a queue.
    """
    status = job.get("status") or {}
    if job["metadata"].get("deletionTimestamp") or status.get("jobDeploymentStatus") not in _ENDED:
        return RunPhase.RUNNING, None
    ended, job_status = status["jobDeploymentStatus"], status.get("jobStatus")
    if ended == "Complete" and job_status == "SUCCEEDED":
        return RunPhase.DONE, None
    if ended == "Complete" and job_status == "STOPPED":
        return RunPhase.FAILED, "its Ray job was stopped"
    reason = status.get("reason") or (ended if ended == "ValidationFailed" else None)
    message = ended_because(status.get("message") or _REASONS.get(str(reason), "it gave no reason"))
    return RunPhase.FAILED, f"RayJob {job['metadata']['name']} has failed{f' ({reason})' if reason else ''}: {message}"


_ENDED = ("Complete", "Failed", "ValidationFailed")
_REASONS = {
    "DeadlineExceeded": "it took longer than activeDeadlineSeconds of its template; its finished parts are kept",
    "ValidationFailed": "KubeRay does not accept its template: `kubectl describe rayjob` gives the reason",
}


def _attempt(job: Json) -> int:
    return int(job["metadata"]["labels"][ATTEMPT])
