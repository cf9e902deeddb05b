"""The full name of a task, as people write it."""

from __future__ import annotations

import pytest

from tornio.api import TaskName
from tornio.errors import InvalidInput

pytestmark = pytest.mark.unit


def test_a_name_is_workspace_and_task() -> None:
    assert TaskName.parse("acme/reviews-2") == ("acme", "reviews-2")


@pytest.mark.parametrize("name", ["", "acme", "acme/", "/reviews", "acme/reviews\n", "acme\n/reviews", "a/b/c", "A/b"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(InvalidInput, match="workspace/task"):
        TaskName.parse(name)
