"""The reference pages say what the code says."""

from __future__ import annotations

import re

import pytest

from docs import generate
from tornio import Client
from tornio.spec import TaskSpec

pytestmark = pytest.mark.unit


PAGES = generate.pages()


@pytest.mark.parametrize("name", PAGES)
def test_page_is_up_to_date(name: str) -> None:
    written = (generate.HERE / name).read_text("utf-8")
    assert written == PAGES[name], "run: python -m docs.generate"


def test_every_field_of_a_spec_is_told_with_what_changing_it_does() -> None:
    page = generate.task_yaml()
    told = dict(re.findall(r"^\| `([\w.\[\]]+)` \|.*\| (live|next iteration|new generation|refused) \|", page, re.M))
    assert told["workspace"] == "refused"
    assert told["labels[].description"] == "live"
    assert told["loop.stop.kappa"] == "live"
    assert {name for name in TaskSpec.model_fields if name in told} == {
        "workspace", "name", "labels", "multi_label", "guidelines", "feedback",
    }, "sections are told by their fields, and those that may be missing also as a whole"  # fmt: skip


def test_reference_pages_have_every_command_request_and_method() -> None:
    commands = PAGES["command-line.md"]
    assert "## `tornio apply`" in commands
    assert "### `tornio run score`" in commands
    assert "--cross-validate" in commands
    requests = PAGES["http-api.md"]
    assert "### `POST /v1/tasks/{workspace}/{task}/predict`" in requests
    assert "Where is my parcel?" in requests, "an example"
    methods = re.findall(r"^### `(\w+)`$", PAGES["python-api.md"], re.M)
    public = {name for name, one in vars(Client).items() if callable(one) and not name.startswith("_")}
    assert set(methods) == public


def test_links_between_pages_lead_somewhere() -> None:
    root = generate.HERE.parent
    for page in [*generate.HERE.glob("*.md"), root / "README.md", root / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
