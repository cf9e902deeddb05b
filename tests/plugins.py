"""Install the example packages of ``examples/plugins`` as pip would: a module and its ``.dist-info`` on sys.path."""

from __future__ import annotations

import shutil
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tornio.query import COLD_STARTS, STRATEGIES
from tornio.stopping import CRITERIA
from tornio.training.augmenting import AUGMENTATIONS
from tornio.training.methods import METHODS

EXAMPLES = Path(__file__).parents[1] / "examples" / "plugins"


def install(example: str, site: Path) -> Path:
    """Install an example into a folder that is, or will be, on ``sys.path``; returns the folder."""
    source = EXAMPLES / example
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    site.mkdir(parents=True, exist_ok=True)
    for module in source.glob("*.py"):
        shutil.copyfile(module, site / module.name)
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return site


@contextmanager
def installed(example: str, site: Path) -> Iterator[None]:
    """The example is installed for this process while the block runs, and gone afterwards."""
    install(example, site)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        try:
            yield
        finally:
            for module in (EXAMPLES / example).glob("*.py"):
                sys.modules.pop(module.stem, None)
            for table in (STRATEGIES, COLD_STARTS, CRITERIA, METHODS, AUGMENTATIONS):
                table.forget()
    shutil.rmtree(site)
