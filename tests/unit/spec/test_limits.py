"""A task.yaml that would cost the reader minutes is refused at once."""

from __future__ import annotations

import pytest

from tornio.errors import InvalidSpec
from tornio.specfile import MAX_BRACKETS, MAX_CHARACTERS, read_spec


@pytest.mark.parametrize("text", ["[" * (MAX_BRACKETS + 1), "{" * 20_000, "- " * 5_000, "a" * (MAX_CHARACTERS + 1)])
def test_it_is_refused(text: str) -> None:
    with pytest.raises(InvalidSpec):
        read_spec(text)
