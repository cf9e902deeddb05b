"""What a RayJob says, and what becomes of a run whose cluster, operator or submitter is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.context import JobContext
from jobs.running.kuberay import LONGEST_NAME, KubeRayRunner, check_store, job_name, judge, manifest, read_template
from jobs.running.port import RunPhase, RunStatus
from jobs.table import JOBS, Job
from tests.kube import NAMESPACE, TEMPLATE, FakeKube, Killed, PlayedKubeRay, enter
from tornio.errors import Forbidden, InvalidInput, NotFound, RunFailed, TornioError, Unavailable
from tornio.kube.port import RAY_SERVICE, Cluster
from tornio.schemas.base import Part
from tornio.schemas.keys import run_of
from tornio.schemas.runs import RunFailure, RunPlan, RunResult
from tornio.settings import StorageSettings
from tornio.storage import documents
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit

PLAN = RunPlan.of("work", "w", "t", Part())
KEYS = run_of("w", "t", PLAN.run)


class IdleKubeRay(PlayedKubeRay):
    """RayJobs wait until a test says what becomes of them."""

    def begin(self, name: str) -> None:
        self.say(name, "Initializing", "PENDING")


class Works:
    """A job that ends as the test says: in order, a result or an error."""

    def __init__(self, *ends: BaseException | None) -> None:
        self.ends = list(ends)
        self.done = 0

    def __call__(self, *_: object) -> Part:
        self.done += 1
        end = self.ends.pop(0)
        if end is not None:
            raise end
        return Part()


@pytest.fixture
def kube(tmp_path: Path) -> IdleKubeRay:
    store = MemoryStore()
    documents.create_or_get(store, KEYS.plan, PLAN)
    return IdleKubeRay(store, lambda: JobContext.over(store, tmp_path))


def works(monkeypatch: pytest.MonkeyPatch, *ends: BaseException | None) -> Works:
    made = Works(*ends)
    monkeypatch.setitem(JOBS, "work", Job(Part, made))
    return made


def entry(kube: IdleKubeRay, name: str) -> str:
    return str(kube.job(name)["spec"]["entrypoint"])


# What is made


def test_a_rayjob_is_the_template_with_name_labels_and_entry_point() -> None:
    made = manifest(TEMPLATE, PLAN, 2, "a1b2", "token")
    assert made["metadata"]["name"] == f"tornio-{PLAN.run}-a1b2-2"
    assert made["metadata"]["labels"]["app.kubernetes.io/name"] == "tornio"
    assert made["metadata"]["labels"]["tornio/run"] == PLAN.run
    assert made["spec"]["entrypoint"] == f"python -m jobs w {PLAN.run} 2 --token token --task t"
    assert made["spec"]["entrypointNumCpus"] == 1
    assert TEMPLATE["metadata"]["name"] == "template"


def test_a_rayjob_goes_with_the_release_whose_controller_made_it(kube: IdleKubeRay) -> None:
    kube.put(RAY_SERVICE, {"metadata": {"name": "tornio", "uid": "u-1"}}, NAMESPACE)
    runner = KubeRayRunner(lambda: Cluster(kube, NAMESPACE), lambda: TEMPLATE, kube.store, "bucket/", "tornio")
    runner.submit(PLAN, 1)
    (name,) = runner.names(PLAN)
    owner = {"apiVersion": "ray.io/v1", "kind": "RayService", "name": "tornio", "uid": "u-1"}
    assert kube.job(name)["metadata"]["ownerReferences"] == [owner]


def test_without_a_release_there_a_rayjob_has_no_owner(kube: IdleKubeRay) -> None:
    runner = KubeRayRunner(lambda: Cluster(kube, NAMESPACE), lambda: TEMPLATE, kube.store, "bucket/", "elsewhere")
    runner.submit(PLAN, 1)
    (name,) = runner.names(PLAN)
    assert "ownerReferences" not in kube.job(name)["metadata"]


def test_what_gives_its_work_to_workers_asks_for_no_processor() -> None:
    made = manifest(TEMPLATE, RunPlan.of("score", "w", None, Part()), 1, "a1b2", "token")
    assert "entrypointNumCpus" not in made["spec"]
    assert "--task" not in made["spec"]["entrypoint"]


@pytest.mark.parametrize(("job", "gpus"), [("train", 1), ("score", None)])
def test_what_computes_in_its_own_process_does_it_where_the_gpus_are(job: str, gpus: int | None) -> None:
    container = {"resources": {"limits": {"nvidia.com/gpu": "4"}}}
    group = {"groupName": "gpu", "template": {"spec": {"containers": [container]}}}
    template = {**TEMPLATE, "spec": {**TEMPLATE["spec"], "rayClusterSpec": {"workerGroupSpecs": [group]}}}
    made = manifest(template, RunPlan.of(job, "w", "t", Part()), 1, "a1b2", "token")
    assert made["spec"].get("entrypointNumGpus") == gpus


def test_nothing_computes_on_the_head_of_a_rayjob() -> None:
    bare = {**TEMPLATE, "spec": {"submissionMode": "HTTPMode"}}
    assert manifest(bare, PLAN, 1, "a1b2", "token")["spec"]["entrypointNumCpus"] > 0


@pytest.mark.parametrize("job", [*JOBS, "a-job-with-a-very-long-name"])
def test_a_name_is_no_longer_than_kuberay_allows(job: str) -> None:
    names = {job_name(RunPlan.of(job, "w", "t", Part()).run, attempt, "a1b2") for attempt in (1, 2, 999)}
    assert len(names) == 3
    assert all(len(name) <= LONGEST_NAME for name in names)


def test_two_installations_in_one_namespace_do_not_take_each_other_s_rayjobs(kube: IdleKubeRay) -> None:
    kube.runner("bucket/a").submit(PLAN, 1)
    assert kube.runner("bucket/b").status(PLAN).phase is RunPhase.UNKNOWN
    kube.runner("bucket/b").submit(PLAN, 1)
    assert len(kube.objects) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "kind: RayJob"),
        ("kind: Job\nspec: {}\n", "kind: RayJob"),
        ("apiVersion: ray.io/v1alpha1\nkind: RayJob\nspec: {}\n", "v1alpha1"),
        ("{", "cannot be read"),
        (
            "apiVersion: ray.io/v1\nkind: RayJob\nspec: {rayClusterSpec: {workerGroupSpecs: [{groupName: w}]}}\n",
            "must have a template.spec.containers",
        ),
    ],
)
def test_a_template_that_is_none_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=says):
        read_template(path)
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_template(tmp_path / "none.yaml")


def template_with(*env: dict[str, Any]) -> dict[str, Any]:
    cluster = {"headGroupSpec": {"template": {"spec": {"containers": [{"env": list(env)}]}}}}
    return TEMPLATE | {"spec": TEMPLATE["spec"] | {"rayClusterSpec": cluster}}


BUCKET = {"name": "TORNIO_S3_BUCKET", "value": "b"}
ENDPOINT = {"name": "TORNIO_S3_ENDPOINT", "value": "http://tornio-dev:8333"}
FORWARDED = "http://127.0.0.1:8333"


@pytest.mark.parametrize(
    ("env", "ours", "says"),
    [
        ([{"name": "TORNIO_S3_BUCKET", "value": "c"}], {}, "TORNIO_S3_BUCKET is 'b' here, but 'c' in the template"),
        ([BUCKET], {"prefix": "p"}, "TORNIO_S3_PREFIX is 'p' here, but '' in the template"),
        ([BUCKET], {"endpoint": FORWARDED}, "is set here but not in the template"),
        ([BUCKET, ENDPOINT], {}, "is set in its template but not here"),
    ],
)
def test_a_template_of_another_store_is_refused(env: list[dict[str, Any]], ours: dict[str, str], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        check_store(template_with(*env), StorageSettings(**{"bucket": "b"} | ours))  # type: ignore[arg-type]


def test_a_template_of_the_same_store_is_let_through() -> None:
    check_store(template_with(BUCKET, ENDPOINT), StorageSettings(bucket="b", endpoint=FORWARDED))
    prefix = {"name": "TORNIO_S3_PREFIX", "value": "p/"}
    check_store(template_with(BUCKET, prefix), StorageSettings(bucket="b", prefix="p"))
    elsewhere = {"name": "TORNIO_S3_BUCKET", "valueFrom": {"configMapKeyRef": {"name": "s3", "key": "bucket"}}}
    check_store(template_with(elsewhere), StorageSettings(bucket="b"))
    check_store(TEMPLATE, StorageSettings(bucket="b"))


def test_a_template_is_a_manifest(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(TEMPLATE))
    assert read_template(path) == TEMPLATE


# What it says of itself


@pytest.mark.parametrize(
    ("status", "phase", "says"),
    [
        ({}, RunPhase.RUNNING, None),
        ({"jobDeploymentStatus": "Initializing"}, RunPhase.RUNNING, None),
        ({"jobDeploymentStatus": "Retrying", "jobStatus": "FAILED"}, RunPhase.RUNNING, None),
        ({"jobDeploymentStatus": "Suspended"}, RunPhase.RUNNING, None),
        ({"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}, RunPhase.DONE, None),
        ({"jobDeploymentStatus": "Complete", "jobStatus": "STOPPED"}, RunPhase.FAILED, "stopped"),
        (
            {"jobDeploymentStatus": "Failed", "jobStatus": "RUNNING", "reason": "DeadlineExceeded"},
            RunPhase.FAILED,
            "activeDeadlineSeconds",
        ),
        (
            {"jobDeploymentStatus": "Failed", "jobStatus": "FAILED", "reason": "AppFailed", "message": "it said no"},
            RunPhase.FAILED,
            r"\(AppFailed\): it said no",
        ),
        ({"jobDeploymentStatus": "ValidationFailed"}, RunPhase.FAILED, "does not accept"),
    ],
)
def test_a_rayjob_has_ended_when_its_deployment_has(status: dict[str, str], phase: RunPhase, says: str | None) -> None:
    found, error = judge({"metadata": {"name": "tornio-x"}, "status": status})
    assert found is phase
    if says is None:
        assert error is None
    else:
        with pytest.raises(RuntimeError, match=says):
            raise RuntimeError(error)


def test_one_that_is_being_deleted_runs_until_it_is_gone() -> None:
    meta = {"name": "x", "deletionTimestamp": "2026-01-01T00:00:00Z"}
    ended = {"jobDeploymentStatus": "Complete", "jobStatus": "STOPPED"}
    assert judge({"metadata": meta, "status": ended})[0] is RunPhase.RUNNING


def test_the_result_is_the_truth(kube: IdleKubeRay, monkeypatch: pytest.MonkeyPatch) -> None:
    works(monkeypatch, None)
    runner = kube.runner()
    runner.submit(PLAN, 1)
    (name,) = runner.names(PLAN)
    kube.say(name, "Complete", "SUCCEEDED")
    status = runner.status(PLAN)
    assert (status.phase, status.attempt) == (RunPhase.FAILED, 1)
    assert "there is no result" in (status.error or "")
    enter(entry(kube, name), kube.store, kube.context())
    kube.say(name, "Failed", "RUNNING", reason="DeadlineExceeded")
    assert runner.status(PLAN) == RunStatus(RunPhase.DONE, 1)


# What is lost


def test_a_head_that_is_lost_has_the_run_go_on_with_the_next_attempt(
    kube: IdleKubeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = works(monkeypatch, Killed(), None)
    runner = kube.runner()
    runner.submit(PLAN, 1)
    (name,) = runner.names(PLAN)
    kube.say(name, "Running", "RUNNING")
    with pytest.raises(Killed):
        enter(entry(kube, name), kube.store, kube.context())
    assert runner.status(PLAN) == RunStatus(RunPhase.RUNNING, 1)
    result = enter(entry(kube, name), kube.store, kube.context())  # KubeRay submits it again, and says nothing
    kube.say(name, "Complete", "SUCCEEDED")
    assert (work.done, result.attempt) == (2, 2)
    assert runner.status(PLAN) == RunStatus(RunPhase.DONE, 2)
    assert "in the middle of attempt 1" in documents.load(kube.store, KEYS.failure(1), RunFailure)[0].error
    assert enter(entry(kube, name), kube.store, kube.context()) == result  # and again, when all is done
    assert documents.find(kube.store, KEYS.failure(2), RunFailure) is None


def test_work_that_kills_its_head_is_not_done_for_ever(kube: IdleKubeRay, monkeypatch: pytest.MonkeyPatch) -> None:
    work = works(monkeypatch, Killed(), Killed(), Killed(), None)
    runner = kube.runner()
    runner.submit(PLAN, 1)
    (name,) = runner.names(PLAN)
    for _ in range(3):
        with pytest.raises(Killed):
            enter(entry(kube, name), kube.store, kube.context())
    with pytest.raises(RunFailed, match="3 times"):
        enter(entry(kube, name), kube.store, kube.context())
    assert work.done == 3
    kube.say(name, "Failed", "FAILED", reason="AppFailed", message="exit code 1")
    assert runner.status(PLAN).attempt == 3
    runner.submit(PLAN, 3)  # which it has made already
    assert len(kube.objects) == 1
    runner.submit(PLAN, 4)
    assert len(kube.objects) == 2


def test_what_cannot_be_done_is_not_tried_in_another_cluster(
    kube: IdleKubeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = works(monkeypatch, InvalidInput("there is no such column"))
    runner = kube.runner()
    runner.submit(PLAN, 1)
    (name,) = runner.names(PLAN)
    with pytest.raises(InvalidInput):
        enter(entry(kube, name), kube.store, kube.context())
    with pytest.raises(RunFailed, match="no such column"):  # backoffLimit of the template
        enter(entry(kube, name), kube.store, kube.context())
    assert work.done == 1


def test_a_rayjob_that_was_deleted_is_made_anew_and_finds_that_its_attempt_is_over(
    kube: IdleKubeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = works(monkeypatch, Killed())
    runner = kube.runner()
    runner.submit(PLAN, 1)
    (name,) = runner.names(PLAN)
    with pytest.raises(Killed):
        enter(entry(kube, name), kube.store, kube.context())
    runner.cancel(PLAN)
    assert runner.status(PLAN).phase is RunPhase.UNKNOWN
    kube.runner().submit(PLAN, 1)
    with pytest.raises(RunFailed, match="in the middle of attempt 1"):
        enter(entry(kube, name), kube.store, kube.context())
    assert work.done == 1


def test_one_that_has_ended_is_not_deleted_by_cancelling(kube: IdleKubeRay) -> None:
    runner = kube.runner()
    runner.submit(PLAN, 1)
    (name,) = runner.names(PLAN)
    kube.say(name, "Failed", "FAILED", reason="AppFailed")
    runner.cancel(PLAN)
    assert runner.status(PLAN).phase is RunPhase.FAILED


def test_who_submits_second_has_submitted(kube: IdleKubeRay, monkeypatch: pytest.MonkeyPatch) -> None:
    kube.runner().submit(PLAN, 1)
    before = dict(kube.objects)
    monkeypatch.setattr(kube, "list", lambda *_: [])  # both looked before either submitted
    kube.runner().submit(PLAN, 1)
    assert kube.objects == before


def test_of_several_attempts_the_last_counts(kube: IdleKubeRay) -> None:
    runner = kube.runner()
    for attempt in range(1, 12):
        runner.submit(PLAN, attempt)
        kube.say(runner.names(PLAN)[-1], "Failed", "FAILED", reason="AppFailed", message=f"reason {attempt}")
    status = runner.status(PLAN)
    assert status.attempt == 11
    assert "reason 11" in (status.error or "")


# What is not to be had


def test_an_api_that_is_away_is_asked_again(kube: IdleKubeRay) -> None:
    runner = kube.runner()
    runner.submit(PLAN, 1)
    kube.away = Unavailable("it does not answer")
    assert runner.status(PLAN).phase is RunPhase.UNKNOWN
    with pytest.raises(Unavailable):
        runner.submit(PLAN, 2)
    with pytest.raises(Unavailable):
        runner.cancel(PLAN)
    kube.away = None
    assert runner.status(PLAN).phase is RunPhase.RUNNING


@pytest.mark.parametrize(
    ("kube", "error", "says"),
    [
        (FakeKube(kinds={"Secret"}), NotFound, "Install the KubeRay operator"),
        (FakeKube(away=Forbidden("rayjobs is forbidden")), Forbidden, "rayjobs is forbidden"),
    ],
)
def test_a_cluster_that_cannot_says_so(kube: FakeKube, error: type[TornioError], says: str) -> None:
    runner = KubeRayRunner(lambda: Cluster(kube, NAMESPACE), lambda: TEMPLATE, MemoryStore(), "bucket/")
    call: Any
    for call in (lambda: runner.submit(PLAN, 1), lambda: runner.cancel(PLAN)):
        with pytest.raises(error, match=says):
            call()
    assert runner.status(PLAN).phase is RunPhase.UNKNOWN  # a small run is looked for here, too


def test_results_are_written_once(kube: IdleKubeRay, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two controllers, each with a RayJob of its own of the same run: both are done, and one result counts."""
    works(monkeypatch, None, None)
    runner = kube.runner()
    runner.submit(PLAN, 1)
    runner.submit(PLAN, 2)
    first, second = runner.names(PLAN)
    won = enter(entry(kube, second), kube.store, kube.context())
    assert enter(entry(kube, first), kube.store, kube.context()) == won
    assert documents.load(kube.store, KEYS.result, RunResult)[0] == won
