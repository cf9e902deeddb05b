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
        ("here.csv", "b", "write s3://bucket/key"),
        ("hub:ag_news", "b", "write s3://bucket/key"),
        ("s3://data/x.csv", None, "set TORNIO_S3_BUCKET"),
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
