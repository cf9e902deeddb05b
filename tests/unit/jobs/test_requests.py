"""What users may ask of the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from unittest.mock import create_autospec

import pytest

from jobs.access import check_model, check_readable
from jobs.context import JobContext
from jobs.requests import plan_request
from jobs.table import JOBS
from tornio.errors import Forbidden, InvalidInput
from tornio.models.loading import Loader
from tornio.records import Record
from tornio.schemas.jobs import LabelArgs
from tornio.schemas.keys import TaskKeys
from tornio.schemas.runs import RunPlan
from tornio.spec import TaskSpec
from tornio.storage.memory import MemoryStore
from tornio.tasks import Task, Tasks

pytestmark = pytest.mark.unit
SPEC = TaskSpec.model_validate({"workspace": "acme", "name": "support", "labels": ["bug", "other"]})


@pytest.mark.parametrize(
    ("data", "prefix"),
    [
        ("s3://elsewhere/other/secret.csv", ""),
        ("s3://tornio/acme/data.csv", ""),
        ("s3://tornio/acme/", ""),
        ("s3://tornio/prod/acme/data/x.parquet", "prod/"),
        ("s3://tornio-data/anything", ""),
    ],
)
def test_data_of_one_s_own_workspace_and_of_other_buckets_may_be_read(data: str, prefix: str) -> None:
    check_readable(data, "acme", "tornio", prefix)


@pytest.mark.parametrize(
    ("data", "prefix"),
    [
        ("s3://tornio/other/tasks/secret/pool/", ""),
        ("s3://tornio/acme-2/data.csv", ""),
        ("s3://tornio/acme", ""),
        ("s3://tornio/", ""),
        ("s3://tornio", ""),
        ("s3://tornio/acme/data.csv", "prod/"),
        ("s3://tornio//acme/data.csv", ""),
        ("s3://tornio/blobs/abc", ""),
    ],
)
def test_data_of_others_in_the_bucket_of_all_may_not(data: str, prefix: str) -> None:
    with pytest.raises(Forbidden, match="put the data there"):
        check_readable(data, "acme", "tornio", prefix)


@pytest.mark.parametrize("data", ["s3://tornio/acme/../other/data.csv", "s3://theirs/../tornio/other/", "s3://x/a/.."])
def test_no_address_leads_upwards(data: str) -> None:
    with pytest.raises(Forbidden, match="Write the address without it"):
        check_readable(data, "acme", "tornio", "")


@pytest.mark.parametrize("model", ["/etc", "../models/x", "~/model", "s3://tornio/other/model"])
def test_a_model_of_the_server_s_disk_or_of_others_may_not_score(model: str) -> None:
    with pytest.raises(Forbidden):
        check_model(model, "acme", "tornio", "")


@pytest.mark.parametrize("model", ["", "current", "org/model", "s3://tornio/acme/model", "s3://models/x"])
def test_versions_and_published_models_may(model: str) -> None:
    check_model(model, "acme", "tornio", "")


def plan(request: Mapping[str, object], job: str = "score") -> RunPlan:
    store = MemoryStore()
    Tasks(store).apply(SPEC, "test")
    Task(store, TaskKeys("acme", "support")).add_records([Record(record_id="r1", text="my parcel is late")])
    context = JobContext.__new__(JobContext)
    context.store = store
    context.tasks = Tasks(store)
    loader = create_autospec(Loader, instance=True)
    loader.teacher_digest.return_value = "digest"
    context.loader = loader
    return plan_request(job, "acme", "support", request, context)


def test_only_jobs_that_have_a_request_can_be_asked_for() -> None:
    for job in ("train", "unheard-of"):
        with pytest.raises(InvalidInput, match="of these jobs: adapt, compare, label, predict, purge, review-export"):
            plan({}, job)


def test_a_request_that_is_not_valid_is_refused() -> None:
    with pytest.raises(InvalidInput, match="fold"):
        plan({"data": "s3://bucket/a.csv", "fold": 3})


@pytest.mark.parametrize("data", ["/etc/passwd", "hub:ag_news", "s3://", "s3://bucket", "s3:///key"])
def test_a_run_on_the_cluster_reads_s3_alone(data: str) -> None:
    with pytest.raises(InvalidInput, match="tornio score --task acme/support --data"):
        plan({"data": data})


def test_the_teacher_labels_the_pool_that_the_task_has_now() -> None:
    found = plan({}, "label")
    assert (found.job, found.workspace, found.task) == ("label", "acme", "support")
    assert LabelArgs.model_validate(found.args) == LabelArgs(pool_seq=1, spec_rev=1, teacher="digest")


def test_every_job_that_can_be_asked_for_has_a_plan() -> None:
    for name, job in JOBS.items():
        assert (job.request is None) == (job.plan is None)
        if job.request is not None:
            assert job.request.model_fields["job"].default == name
            assert all(
                field.description for field_name, field in job.request.model_fields.items() if field_name != "job"
            )
