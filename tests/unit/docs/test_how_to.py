"""The how-to pages show the code of the example packages, which other tests install and run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.plugins import EXAMPLES

pytestmark = pytest.mark.unit

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to"


@pytest.mark.parametrize("example", sorted(folder.name for folder in EXAMPLES.iterdir() if folder.is_dir()))
def test_a_page_shows_the_example_that_is_tested(example: str) -> None:
    page = (HOW_TO / f"{example.replace('_', '-')}.md").read_text()
    blocks = {block.strip() for block in re.findall(r"```(?:python|toml)\n(.*?)```", page, re.DOTALL)}
    files = [*(EXAMPLES / example).glob("*.py"), EXAMPLES / example / "pyproject.toml"]
    missing = [file.name for file in files if file.read_text().strip() not in blocks]
    assert not missing, f"copy {missing} into docs/how-to/{example.replace('_', '-')}.md"
