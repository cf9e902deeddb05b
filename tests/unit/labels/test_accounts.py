"""Which accounts are gone, and which are there again."""

from __future__ import annotations

import pytest

from tornio.annotation.fake import FakeAnnotationTool
from tornio.labels.accounts import Accounts

pytestmark = pytest.mark.unit


class Tool(FakeAnnotationTool):
    """A tool whose accounts a test names."""

    there: frozenset[str] = frozenset()

    def accounts(self, workspace: str) -> dict[str, str]:
        return {one: one.capitalize() for one in self.there}


@pytest.mark.parametrize("responding", [(), ("ann",)])
def test_an_account_that_is_added_again_is_no_longer_gone(responding: tuple[str, ...]) -> None:
    tool = Tool()
    accounts = Accounts(tool, "w")
    assert accounts.gone({"ann", "bob"}) == {"ann", "bob"}
    tool.there = frozenset() if responding else frozenset({"ann"})
    assert accounts.gone({"ann", "bob"}, responding) == {"bob"}
    assert accounts.gone_names == ("bob",)
