"""A release: every file names the same version, and the changelog's news gets its number."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from tornio import __version__

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
RELEASE: dict[str, Any] = runpy.run_path(str(ROOT / "scripts" / "release"))
CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- News.\n\n## [0.1.0] - 2026-01-01\n\n- Old.\n"


def test_every_file_names_the_present_version() -> None:
    assert RELEASE["present_version"]() == __version__
    missing = [name for name in RELEASE["NAMED_IN"] if __version__ not in (ROOT / name).read_text()]
    assert not missing


def test_each_release_has_a_commit() -> None:
    lines = [line.split() for line in (ROOT / "RELEASES").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version, _ in lines)
    assert all(re.fullmatch(r"[0-9a-f]{40}", commit) for _, commit in lines)


def test_the_news_gets_the_version_and_the_day() -> None:
    text = RELEASE["released"](CHANGELOG, "0.2.0", "2026-02-03")
    assert "## [Unreleased]\n\n## [0.2.0] - 2026-02-03\n\n### Added\n\n- News.\n\n## [0.1.0]" in text


@pytest.mark.parametrize(
    "changelog", ["# Changelog\n\n## [0.1.0]\n\n- Old.\n", "# Changelog\n\n## [Unreleased]\n\n## [0.1.0]\n\n- Old.\n"]
)
def test_without_news_there_is_no_release(changelog: str) -> None:
    with pytest.raises(RELEASE["CannotRelease"], match="nothing under"):
        RELEASE["released"](changelog, "0.2.0", "2026-02-03")


@pytest.mark.parametrize("version", ["0.1.0", "0.0.9", "0.2", "v0.2.0", "0.2.0rc1"])
def test_a_release_is_a_later_version(version: str) -> None:
    with pytest.raises(RELEASE["CannotRelease"]):
        RELEASE["check"](version, "0.1.0")
