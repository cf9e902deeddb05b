"""What users may ask of the cluster."""

from __future__ import annotations

from dataclasses import fields

import pytest

from jobs.context import JobContext
from jobs.requests import check_model, check_readable, plan_request
from tornio.api import ScoreIn
from tornio.errors import Forbidden, InvalidInput
from tornio.scoring.planning import ScoreRequest
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit


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


@pytest.mark.parametrize("model", ["/etc", "../models/x", "~/model", "s3://tornio/other/model"])
def test_a_model_of_the_server_s_disk_or_of_others_may_not_score(model: str) -> None:
    with pytest.raises(Forbidden):
        check_model(model, "acme", "tornio", "")


@pytest.mark.parametrize("model", ["", "current", "org/model", "s3://tornio/acme/model", "s3://models/x"])
def test_versions_and_published_models_may(model: str) -> None:
    check_model(model, "acme", "tornio", "")


def test_every_field_of_the_request_is_known_to_what_plans() -> None:
    assert set(ScoreIn.model_fields) <= {field.name for field in fields(ScoreRequest)}


def test_only_known_jobs_can_be_asked_for() -> None:
    context = JobContext.__new__(JobContext)
    context.store = MemoryStore()
    with pytest.raises(InvalidInput, match="there are: score"):
        plan_request("train", "acme", "support", {}, context)
