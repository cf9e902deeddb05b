"""Write the bill of materials of the image, as CycloneDX 1.6: ``python -m docs.sbom FILE``, or ``make sbom``.

Its packages are those of ``docs/licences.md``: what the extras of the Dockerfile need, as installed here. The image is
built with the same constraints, so it has the same versions. Equal packages give an equal file.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from docs.licences import licence, packages
from tornio import __version__


def bill() -> dict[str, Any]:
    """Return the document: the image, its packages with versions and licences, and what needs what."""
    found = packages()
    refs = {name: _purl(name, package.version) for name, package in found.items()}
    ours = _purl("tornio", __version__)
    image = {"type": "application", "bom-ref": ours, "name": "tornio", "version": __version__, "purl": ours}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": image | {"licenses": [{"license": {"id": "Apache-2.0"}}]}},
        "components": [_component(name, package, refs[name]) for name, package in found.items()],
        "dependencies": [
            {"ref": ours, "dependsOn": sorted(refs.values())},
            *({"ref": refs[name], "dependsOn": _needs(package, refs)} for name, package in found.items()),
        ],
    }


def _component(name: str, package: Distribution, ref: str) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": ref,
        "name": name,
        "version": package.version,
        "purl": ref,
        "licenses": [{"license": {"name": licence(name, package)}}],
    }


def _needs(package: Distribution, refs: dict[str, str]) -> list[str]:
    """Return the packages of the image that a package names as its own needs, those of its extras included."""
    named = {canonicalize_name(Requirement(line).name) for line in package.requires or ()}
    return sorted(refs[name] for name in named & refs.keys())


def _purl(name: str, version: str) -> str:
    return f"pkg:pypi/{name}@{version.replace('+', '%2B')}"


def main(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(bill(), indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
