"""``tornio deploy check``: does this Kubernetes have what a deployment needs?"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import yaml
from rich.text import Text

from tornio.cli import screen
from tornio.cli.connect import Json as AsJson
from tornio.errors import Forbidden, InvalidInput, NotFound

if TYPE_CHECKING:
    from services.checking import Finding, Wants
    from tornio.kube.port import Cluster, Json

_OUTSIDE = ("TORNIO_S3_", "TORNIO_ARGILLA_", "AWS_")
"""Beginnings of the variables by which a deployment reaches what is outside it."""
_SHOWN = {"ok": ("ok", "green"), "unknown": ("?", "yellow"), "missing": ("missing", "red")}


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="A deployment on Kubernetes.")
    group.command("check")(check)
    app.add_typer(group, name="deploy")


def check(
    manifest: Annotated[
        Path | None,
        typer.Option(
            help="Manifests that are to be installed (`helm template ...`), or - for standard input.",
            show_default="the RayService that is there",
        ),
    ] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Where it is, or will be.", show_default="the kubeconfig's")
    ] = None,
    context: Annotated[str | None, typer.Option(help="Of the kubeconfig.", show_default="the current one")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what is missing, each with what to do: KubeRay and its CRDs, accounts, secrets, an S3 whose conditional
    writes hold, Argilla, GPUs. Leaves nothing behind; ends with 1 where something is missing.

    S3 and Argilla are asked from here, with TORNIO_S3_..., AWS_... and TORNIO_ARGILLA_... of this shell, else with
    what the deployment has.
    """
    try:
        from services.checking import Level
        from tornio.kube.client import connect
    except ImportError as error:
        raise typer.BadParameter(f"this needs the extra: pip install 'tornio[cluster]' ({error})") from error
    from tornio.settings import KubeSettings

    logging.getLogger("tornio.storage").setLevel(logging.ERROR)  # a store that is away is told once, as a finding
    given = {"namespace": namespace, "context": context}
    cluster = connect(KubeSettings().model_copy(update={name: value for name, value in given.items() if value}))
    found = list(findings(cluster, None if manifest is None else _read(manifest)))
    if as_json:
        shown = [{"level": f.level, "what": f.what, "found": f.found, "todo": f.todo} for f in found]
        screen.dump({"namespace": cluster.namespace, "findings": shown})
    else:
        for finding in found:
            _tell(finding)
    if any(finding.level is Level.MISSING for finding in found):
        raise typer.Exit(1)


def findings(
    cluster: Cluster, manifests: list[Json] | None, environ: Mapping[str, str] = os.environ
) -> Iterator[Finding]:
    """All that is looked at. ``manifests``: None: of the RayService that is there. Raises Unavailable."""
    from services.checking import check_cluster, check_outside, resolved
    from services.checking.finding import unknown

    said = ""
    if manifests is None:
        try:
            manifests = _installed(cluster, environ.get("RAYSERVICE"))
            said = "" if manifests else f"there is none in namespace {cluster.namespace}"
        except Forbidden as error:
            manifests, said = [], f"this account may not look ({error})"
    elif not any(one.get("kind") == "RayService" for one in manifests):
        said = "there is none among these manifests"
    if said:
        todo = "to check before installing: helm template ... | tornio deploy check --manifest -"
        yield unknown("RayService", said, todo)
    wants = _wants(manifests)
    yield from check_cluster(cluster, wants)
    here = _read_files({name: value for name, value in environ.items() if name.startswith(_OUTSIDE)})
    deployed = {name: value for name, value in resolved(cluster, wants).items() if name.startswith(_OUTSIDE)}
    yield from check_outside({**deployed, **here})


def _read_files(environ: Mapping[str, str]) -> dict[str, str]:
    """With what stands in the files that variables name, as in a pod: NAME_FILE gives NAME."""
    files = {name.removesuffix("_FILE"): Path(value) for name, value in environ.items() if name.endswith("_FILE")}
    return {**environ, **{name: path.read_text("utf-8").strip() for name, path in files.items() if path.is_file()}}


def _installed(cluster: Cluster, name: str | None) -> list[Json]:
    """The RayServices of the namespace; in a pod of one, whose account may look at no other, that."""
    from tornio.kube.port import RAY_SERVICE

    try:
        if name:
            return [cluster.api.get(RAY_SERVICE, name, cluster.namespace)]
        return cluster.api.list(RAY_SERVICE, cluster.namespace)
    except NotFound:  # the kind itself: its CRD is looked at anyway
        return []


def _read(path: Path) -> list[Json]:
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text("utf-8")
        found = [one for one in yaml.safe_load_all(text) if isinstance(one, dict)]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInput(f"{path} cannot be read as manifests: {error}") from error
    if not found:
        raise InvalidInput(f"{path} has no manifest in it: see what `helm template` says")
    return found


def _wants(manifests: list[Json]) -> Wants:
    from services.checking import wants_of

    try:
        return wants_of(manifests)
    except (LookupError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise InvalidInput(
            f"the manifests are no RayService as Kubernetes would take it ({type(error).__name__}: {error}): "
            "see what `kubectl apply --dry-run=server` says of them"
        ) from error


def _tell(finding: Finding) -> None:
    word, colour = _SHOWN[finding.level]
    screen.say(Text.assemble((f"{word:<8}", colour), (finding.what, "bold"), f": {finding.found}"))
    if finding.todo:
        screen.say(f"         -> {finding.todo}")
