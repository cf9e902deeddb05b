"""The files around the code: hooks, workflow, templates and the bill of materials."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.utils import canonicalize_name

from docs.sbom import bill
from tornio import __version__

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted(one for one in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if one.name != "config.yml")


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


def steps(workflow: Path) -> list[dict[str, Any]]:
    return [step for job in read(workflow)["jobs"].values() for step in job["steps"]]


def test_the_workflow_runs_what_a_developer_runs() -> None:
    assert ".ci/run" in [step.get("run") for step in steps(ROOT / ".github" / "workflows" / "ci.yml")]
    assert (ROOT / ".ci" / "run").stat().st_mode & stat.S_IXUSR


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_to_commits_and_may_only_read(workflow: Path) -> None:
    used = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert used
    assert not [one for one in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", one)]
    assert read(workflow)["permissions"] == {"contents": "read"}


def test_hooks_run_the_tools_of_this_project_without_a_network() -> None:
    config = read(ROOT / ".pre-commit-config.yaml")
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert {repo["repo"] for repo in config["repos"]} == {"local"}
    assert {hook["language"] for hook in hooks} == {"system"}
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert lint is not None
    tools = {Path(line.split()[0]).name for line in lint[1].replace("$(BIN)", ".venv/bin").splitlines()}
    assert {Path(hook["entry"].split()[0]).name for hook in hooks} == tools


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.name)
def test_forms_of_issues_have_what_the_form_needs(form: Path) -> None:
    found = read(form)
    assert {"name", "description", "body"} <= found.keys()
    ids = [part["id"] for part in found["body"] if part["type"] != "markdown"]
    assert len(ids) == len(set(ids)) > 0
    assert all(part["attributes"].get("label") or part["attributes"].get("value") for part in found["body"])


def test_the_bill_of_materials_names_every_package_of_the_image_with_its_pinned_version() -> None:
    pins = (
        line.split("==") for line in (ROOT / "constraints" / "cluster.txt").read_text().splitlines() if "==" in line
    )
    pinned = {str(canonicalize_name(name)): version for name, version in pins}
    made = bill()
    assert (made["bomFormat"], made["specVersion"]) == ("CycloneDX", "1.6")
    assert made["metadata"]["component"]["version"] == __version__
    packages = {one["name"]: one for one in made["components"]}
    assert {"torch", "ray", "fastapi", "pydantic"} <= packages.keys()
    assert "pytest" not in packages
    for name, one in packages.items():
        assert one["version"].partition("+")[0] == pinned[name], name
        assert one["licenses"][0]["license"]["name"]
    refs = {one["bom-ref"] for one in made["components"]} | {made["metadata"]["component"]["bom-ref"]}
    assert len(refs) == len(made["components"]) + 1
    assert {one["ref"] for one in made["dependencies"]} == refs
    assert {need for one in made["dependencies"] for need in one["dependsOn"]} <= refs


def test_the_bill_is_the_same_each_time() -> None:
    assert bill() == bill()
