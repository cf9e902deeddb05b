"""The runner for large work on Kubernetes: a RayJob of KubeRay, with a cluster of its own, for each attempt."""

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
"""Characters that KubeRay allows in a RayJob's name: it makes other names of it."""
RUN, ATTEMPT, STORE, JOB = "tornio/run", "tornio/attempt", "tornio/store", "tornio/job"
"""Labels."""
COMPUTING_CPUS = 0.5
"""Logical processors that a job asks for which computes in its own process, as in the cluster that serves."""
_COMPUTING = ("entrypointNumCpus", "entrypointNumGpus", "entrypointResources")


_CANNOT_ASK = (Unavailable, Forbidden, Unauthorized, NotFound)


class KubeRayRunner:
    """The ``JobRunner`` over RayJobs. Their names follow from run and attempt: a second submission changes nothing,
    and whoever comes anew finds what another began.

    The entry point reads the plan from the store, and may be started again: KubeRay submits it again
    where a cluster has lost its head (see ``jobs.running.execute.resumed_attempt``). So one RayJob can make several
    attempts; ``status`` speaks of the last that has begun.

    What a RayJob says of its end is a hint: a run with a result is done, one without is not.
    """

    def __init__(
        self,
        connect: Callable[[], Cluster],
        template: Callable[[], Json],
        store: ObjectStore,
        place: str,
        owner: str | None = None,
    ) -> None:
        """``place``: names the store among all that RayJobs of this namespace may work for. ``owner``: the RayService
        whose controller this is: its RayJobs end with it, since account and secrets of their pods do, too."""
        self._connect = connect
        self._template = template
        self._store = store
        self._place = hashlib.sha256(place.encode()).hexdigest()[:4]
        self._owner = owner
        self._cluster: Cluster | None = None

    def submit(self, plan: RunPlan, attempt: int) -> None:
        """Raises Unavailable where the API does not answer: submit it again; InvalidInput for a template that cannot
        be used, Forbidden, NotFound for a cluster without KubeRay."""
        if any(self._last_begun(plan, _attempt(job)) >= attempt for job in self._jobs(plan)):
            return
        cluster = self._there()
        body = manifest(self._template(), plan, attempt, self._place, uuid4().hex, self._owner_in(cluster))
        try:
            cluster.api.create(RAY_JOB, body, cluster.namespace)
        except AlreadyExists:  # somebody else was first: the same attempt, done once
            log.info("RayJob %s is there already: it is followed", body["metadata"]["name"])
        else:
            log.info("run %s, attempt %d, is RayJob %s", plan.run, attempt, body["metadata"]["name"])

    def status(self, plan: RunPlan) -> RunStatus:
        try:
            return self._status(plan)
        except _CANNOT_ASK as error:  # the run may be elsewhere; whoever submits it here is told
            log.info("how run %s stands is not known: %s", plan.run, error)
            return RunStatus(RunPhase.UNKNOWN)

    def cancel(self, plan: RunPlan) -> None:
        """Deletes its RayJobs that have not ended, which ends their clusters."""
        cluster = self._there()
        for job in self._jobs(plan):
            if judge(job)[0] is RunPhase.RUNNING:
                cluster.api.delete(RAY_JOB, job["metadata"]["name"], cluster.namespace)

    def names(self, plan: RunPlan) -> list[str]:
        """Of the RayJobs at this run, the last attempt's last."""
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
        return RunStatus(RunPhase.FAILED, attempt, error or f"RayJob {name} ended well, and there is no result")

    def _jobs(self, plan: RunPlan) -> list[Json]:
        """The RayJobs at this run that the cluster has, by attempt. Raises what the API does."""
        cluster = self._there()
        try:
            found = cluster.api.list(RAY_JOB, cluster.namespace, f"{RUN}={plan.run},{STORE}={self._place}")
        except NotFound as error:
            raise NotFound(
                "this Kubernetes has no RayJobs: install the KubeRay operator (`tornio deploy check` says more), or "
                "unset TORNIO_KUBE_JOB_TEMPLATE, and large runs are Ray jobs of the cluster that serves"
            ) from error
        return sorted(found, key=_attempt)

    def _last_begun(self, plan: RunPlan, first: int) -> int:
        """The last attempt that a RayJob has begun whose first was ``first``."""
        keys = plan.run_keys
        return next(n for n in count(first) if self._store.head(keys.started(n + 1)) is None)

    def _owner_in(self, cluster: Cluster) -> Json | None:
        """None where RayJobs are made in another namespace than the RayService's: nothing is owned across them."""
        if self._owner is None:
            return None
        try:
            return cluster.api.get(RAY_SERVICE, self._owner, cluster.namespace)
        except NotFound:
            return None

    def _there(self) -> Cluster:
        if self._cluster is None:
            self._cluster = self._connect()
        return self._cluster


def kuberay_runner(connect: Callable[[], Cluster], template: Path, store: ObjectStore) -> KubeRayRunner:
    """The runner of this deployment; the template is read at each submission, for the chart may change it."""
    settings = StorageSettings()
    place = f"{settings.bucket}/{settings.prefix.strip('/')}"
    return KubeRayRunner(connect, lambda: read_template(template), store, place, UpgradeSettings().rayservice)


def read_template(path: Path) -> Json:
    """A RayJob's manifest. Raises InvalidInput for a file that is none."""
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInput(
            f"the template of RayJobs, {path}, cannot be read ({type(error).__name__}: {error})"
        ) from error
    if not isinstance(found, dict) or found.get("kind") != RAY_JOB.name or not isinstance(found.get("spec"), dict):
        raise InvalidInput(f"{path} is no manifest of a RayJob: it must have `kind: RayJob` and a `spec`")
    if found.get("apiVersion") != RAY_JOB.api_version:
        raise InvalidInput(f"{path} has apiVersion {found.get('apiVersion')!r}: only {RAY_JOB.api_version} is known")
    try:
        _has_gpus(found["spec"])
    except (LookupError, TypeError, AttributeError) as error:
        raise InvalidInput(
            f"{path}: each of spec.rayClusterSpec.workerGroupSpecs must have a template.spec.containers "
            f"({type(error).__name__}: {error}); `kubectl apply --dry-run=server` says more"
        ) from error
    return found


def check_store(template: Json, settings: StorageSettings) -> None:
    """Raises InvalidInput where pods of this template would look for a run elsewhere than this process puts it.

    A template that has its bucket from elsewhere (``valueFrom``, ``envFrom``) is let through. Two endpoints may be one
    store, by the name that a cluster has for it and by another; an endpoint and none (AWS) are not.
    """
    head = (template["spec"].get("rayClusterSpec") or {}).get("headGroupSpec") or {}
    containers = ((head.get("template") or {}).get("spec") or {}).get("containers") or [{}]
    theirs: dict[str, str | None] = {each["name"]: each.get("value") for each in containers[0].get("env") or ()}
    if theirs.get("TORNIO_S3_BUCKET") is None:
        return
    ours = {"TORNIO_S3_BUCKET": settings.bucket, "TORNIO_S3_PREFIX": settings.prefix.strip("/")}
    for name, value in ours.items():
        found = theirs.get(name, "")
        if found is not None and found.strip("/") != value:
            raise InvalidInput(f"{name} is {value!r} here and {found!r} in the template of the RayJob: let them be one")
    if bool(settings.endpoint) != (theirs.get("TORNIO_S3_ENDPOINT", "") != ""):
        where = "here and not in the template of the RayJob" if settings.endpoint else "in its template and not here"
        raise InvalidInput(f"TORNIO_S3_ENDPOINT is set {where}: without it AWS is asked")


def manifest(template: Json, plan: RunPlan, attempt: int, place: str, token: str, owner: Json | None = None) -> Json:
    """The RayJob that makes this attempt: the template with name, labels and entry point. Pure.

    ``token`` tells a process of this RayJob that is started again from one of another. ``owner``: the RayService that
    it goes with.
    """
    body = deepcopy(template)
    meta, spec = dict(body.get("metadata") or {}), body["spec"]
    meta.pop("namespace", None)
    meta.pop("generateName", None)
    meta["name"] = job_name(plan.run, attempt, place)
    labels = {RUN: plan.run, ATTEMPT: str(attempt), JOB: plan.job, STORE: place}
    meta["labels"] = {**(meta.get("labels") or {}), **labels}
    whose = {"tornio/workspace": plan.workspace, "tornio/task": plan.task or ""}
    meta["annotations"] = {**(meta.get("annotations") or {}), **whose}
    if owner is not None:
        of = {"apiVersion": RAY_SERVICE.api_version, "kind": RAY_SERVICE.name}
        meta["ownerReferences"] = [of | {key: owner["metadata"][key] for key in ("name", "uid")}]
    body["metadata"] = meta
    task = [] if plan.task is None else ["--task", plan.task]
    words = ["python", "-m", "jobs", plan.workspace, plan.run, str(attempt), "--token", token, *task]
    spec["entrypoint"] = shlex.join(words)
    if is_spread(plan):  # its own process stays on the head, and leaves workers to its work
        for name in _COMPUTING:
            spec.pop(name, None)
    else:  # one that asks for nothing would compute on the head
        name, amount = ("entrypointNumGpus", 1) if _has_gpus(spec) else ("entrypointNumCpus", COMPUTING_CPUS)
        spec.setdefault(name, amount)
    return body


def _has_gpus(spec: Json) -> bool:
    groups = (spec.get("rayClusterSpec") or {}).get("workerGroupSpecs") or ()
    containers = [group["template"]["spec"]["containers"][0] for group in groups]
    limits = [(container.get("resources") or {}).get("limits") or {} for container in containers]
    return any(name.endswith("/gpu") for each in limits for name in each)


def job_name(run: str, attempt: int, place: str) -> str:
    """Deterministic, of at most ``LONGEST_NAME`` characters."""
    name = f"tornio-{run}-{place}-{attempt}"
    if len(name) <= LONGEST_NAME:
        return name
    return f"tornio-{hashlib.sha256(run.encode()).hexdigest()[:20]}-{place}-{attempt}"


def judge(job: Json) -> tuple[RunPhase, str | None]:
    """What a RayJob says of itself: RUNNING, DONE, or FAILED and why. Pure.

    ``jobDeploymentStatus`` says whether it has ended (past its deadline ``jobStatus`` stays RUNNING), ``jobStatus``
    whether well: a job that was stopped is Complete too. One that is being deleted runs until it is gone; one that is
    suspended waits for whoever suspended it, such as a queue.
    """
    status = job.get("status") or {}
    if job["metadata"].get("deletionTimestamp") or status.get("jobDeploymentStatus") not in _ENDED:
        return RunPhase.RUNNING, None
    ended, came_to = status["jobDeploymentStatus"], status.get("jobStatus")
    if ended == "Complete" and came_to == "SUCCEEDED":
        return RunPhase.DONE, None
    if ended == "Complete" and came_to == "STOPPED":
        return RunPhase.FAILED, "its Ray job was stopped"
    reason = status.get("reason") or (ended if ended == "ValidationFailed" else None)
    said = ended_because(status.get("message") or _REASONS.get(str(reason), "without a word"))
    return RunPhase.FAILED, f"RayJob {job['metadata']['name']} has failed{f' ({reason})' if reason else ''}: {said}"


_ENDED = ("Complete", "Failed", "ValidationFailed")
_REASONS = {
    "DeadlineExceeded": "it took longer than activeDeadlineSeconds of its template; what it has done stays",
    "ValidationFailed": "KubeRay does not accept its template: `kubectl describe rayjob` says why",
}


def _attempt(job: Json) -> int:
    return int(job["metadata"]["labels"][ATTEMPT])
