"""``tornio score --on kuberay``: what it refuses before it reads anything. How a RayJob is followed: jobs/following."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.test_commands import Tornio, backend, tornio

pytestmark = pytest.mark.unit
__all__ = ["backend", "tornio"]  # fixtures


@pytest.mark.parametrize(
    ("data", "bucket", "says"),
    [
        ("here.csv", "b", "Write s3://bucket/key"),
        ("hub:ag_news", "b", "Write s3://bucket/key"),
        ("s3://data/x.csv", None, "Set TORNIO_S3_BUCKET"),
    ],
)
def test_what_a_cluster_does_not_see_is_refused(
    tornio: Tornio, monkeypatch: pytest.MonkeyPatch, data: str, bucket: str | None, says: str
) -> None:
    monkeypatch.delenv("TORNIO_S3_BUCKET", raising=False)
    if bucket:
        monkeypatch.setenv("TORNIO_S3_BUCKET", bucket)
    Path("here.csv").write_text("text,label\na,b\n")
    code, _, err = tornio("score", "--on", "kuberay", "--data", data)
    assert code == 1
    assert says in err


def test_a_template_that_is_none_is_refused_before_anything_is_read(
    tornio: Tornio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORNIO_S3_BUCKET", "data")
    asked = ("score", "--on", "kuberay", "--data", "s3://data/x.csv", "--labels", "a,b")
    code, _, err = tornio(*asked)
    assert (code, "give --job-template" in err) == (1, True)
    Path("pod.yaml").write_text("kind: Pod\n")
    code, _, err = tornio(*asked, "--job-template", "pod.yaml")
    assert (code, "pod.yaml" in err) == (1, True)


def test_a_task_is_not_looked_for_in_the_folder_of_a_machine_without_a_server(
    tornio: Tornio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORNIO_STORE_DIR", "")  # restored afterwards, for the command sets it
    monkeypatch.delenv("TORNIO_S3_BUCKET", raising=False)
    Path("here.csv").write_text("text,label\na,b\n")
    code, _, err = tornio("score", "--task", "acme/support", "--data", "here.csv")
    assert code == 1
    assert "The task acme/support is in the store of its server, and that is not known here" in err
