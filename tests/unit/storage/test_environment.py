"""Which store the environment names, and what is said of settings that name none."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tornio.errors import InvalidInput
from tornio.settings import StorageSettings
from tornio.storage.environment import store_from_environment

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("prefix", ["a b/../c", "a b", "a/../b", "..", "./a", "a//b", "a\tb", "a\n", "a\x00"])
def test_a_prefix_that_is_read_in_two_ways_is_refused(prefix: str) -> None:
    with pytest.raises(ValidationError, match="Use a prefix such as team/tornio"):
        StorageSettings(bucket="b", prefix=prefix)


@pytest.mark.parametrize(
    ("prefix", "root"), [("", ""), ("/", ""), ("a", "a/"), ("/a/b/", "a/b/"), ("ä=1/.x/..y", "ä=1/.x/..y/")]
)
def test_a_prefix_that_is_one_place_is_taken(prefix: str, root: str) -> None:
    assert StorageSettings(bucket="b", prefix=prefix).root == root


def test_what_is_wrong_is_said_and_not_that_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORNIO_STORE_DIR", raising=False)
    monkeypatch.setenv("TORNIO_S3_BUCKET", "b")
    monkeypatch.setenv("TORNIO_S3_PREFIX", "a/../b")
    with pytest.raises(InvalidInput, match=r"TORNIO_S3_PREFIX: .*the prefix 'a/\.\./b' has"):
        store_from_environment()
    monkeypatch.delenv("TORNIO_S3_BUCKET")
    monkeypatch.setenv("TORNIO_S3_PREFIX", "")
    with pytest.raises(InvalidInput, match="No object store is configured"):
        store_from_environment()
