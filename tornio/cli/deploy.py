"""``tornio deploy check``: check whether a Kubernetes cluster has everything that a deployment needs."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import yaml

from tornio.cli import findings_view, screen
from tornio.cli.connect import Json as AsJson
from tornio.cli.machine import environment_of
from tornio.errors import Forbidden, InvalidInput, NotFound

if TYPE_CHECKING:
    from services.checking import Finding, Wants
    from tornio.kube.port import Cluster, Json

_OUTSIDE = ("TORNIO_S3_", "TORNIO_ARGILLA_", "TORNIO_API_KEYS", "AWS_")
"""Prefixes of the variables by which a deployment reaches services outside of it."""


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Check a deployment on Kubernetes.")
    group.command("check")(check)
    app.add_typer(group, name="deploy")


def check(
    manifest: Annotated[
        Path | None,
        typer.Option(
            help="File with the manifests to be installed (from `helm template ...`), or - for standard input.",
            show_default="the installed RayService",
        ),
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", help="Namespace of the deployment.", show_default="that of the kubeconfig"),
    ] = None,
    context: Annotated[
        str | None, typer.Option(help="Context of the kubeconfig.", show_default="the current one")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List what is missing, and what to do about it: KubeRay and its CRDs, service accounts, secrets, S3 with reliable
    conditional writes, base models, Argilla, API keys, Redis, GPUs. Leaves nothing behind, and creates no bucket.

    The exit code is 0 if everything was checked and right, 1 if something is missing, and 3 if something could not be
    checked. In a pod of the deployment, only what its own account can check is checked: S3, Argilla, API keys, Redis.

    S3 and Argilla are contacted from this machine, with the variables TORNIO_S3_..., AWS_... and TORNIO_ARGILLA_... of
    this shell, or else with the values of the deployment.
    """
    try:
        import services.checking  # noqa: F401
        from tornio.kube.client import connect
    except ImportError as error:
        raise typer.BadParameter(
            f"This command needs an extra that is not installed ({error}). Run: pip install 'tornio[cluster]'"
        ) from error
    from tornio.settings import KubeSettings

    logging.getLogger("tornio.storage").setLevel(logging.ERROR)  # an unreachable store is reported once, as a finding
    given = {"namespace": namespace, "context": context}
    cluster = connect(KubeSettings().model_copy(update={name: value for name, value in given.items() if value}))
    results = list(findings(cluster, None if manifest is None else _read(manifest)))
    if as_json:
        screen.dump({"namespace": cluster.namespace, "findings": findings_view.as_json(results)})
    else:
        for finding in results:
            findings_view.say(finding)
    if code := findings_view.exit_code(results):
        raise typer.Exit(code)


def findings(
    cluster: Cluster, manifests: list[Json] | None, environ: Mapping[str, str] = os.environ
) -> Iterator[Finding]:
    """Yield all findings. ``manifests``: None means those of the installed RayService. Raises Unavailable."""
    from services.checking import check_cluster, check_outside, merged, resolved
    from tornio.findings import note, unknown

    inside = manifests is None and bool(environ.get("RAYSERVICE"))
    problem = ""
    if manifests is None:
        try:
            manifests = _installed(cluster, environ.get("RAYSERVICE"))
            problem = "" if manifests else f"there is no RayService in namespace {cluster.namespace}"
        except Forbidden as error:
            manifests, problem = [], f"this account may not read it ({error})"
    elif not any(one.get("kind") == "RayService" for one in manifests):
        problem = "there is no RayService in these manifests"
    if problem:
        todo = "to check before the installation, run: helm template ... | tornio deploy check --manifest -"
        yield unknown("RayService", problem, todo)
    wants = _wants(manifests)
    if not inside:
        yield from check_cluster(cluster, wants)
    here, wrong = environment_of(environ, _OUTSIDE, optional=True)  # in some pods, the files are not mounted
    yield from wrong
    deployed = {name: value for name, value in resolved(cluster, wants).items() if name.startswith(_OUTSIDE)}
    yield from check_outside(merged(deployed, here), wants, inside)
    if inside:
        found = "not checked, because the account of a serving pod may not read them"
        yield note("KubeRay, Secrets, GPUs", found, "run the check outside of the cluster, as an administrator")


def _installed(cluster: Cluster, name: str | None) -> list[Json]:
    """Return the RayServices of the namespace. In a pod of a RayService, which may read no other, return that one."""
    from tornio.kube.port import RAY_SERVICE

    try:
        if name:
            return [cluster.api.get(RAY_SERVICE, name, cluster.namespace)]
        return cluster.api.list(RAY_SERVICE, cluster.namespace)
    except NotFound:  # the kind itself, whose CRD is checked separately
        return []


def _read(path: Path) -> list[Json]:
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text("utf-8")
        manifests = [one for one in yaml.safe_load_all(text) if isinstance(one, dict)]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInput(f"{path} cannot be read as manifests: {error}") from error
    if not manifests:
        raise InvalidInput(f"{path} contains no manifest. Check the output of `helm template`.")
    return manifests


def _wants(manifests: list[Json]) -> Wants:
    from services.checking import wants_of

    try:
        return wants_of(manifests)
    except (LookupError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise InvalidInput(
            f"The manifests do not contain a valid RayService ({type(error).__name__}: {error}). "
            "Check them with `kubectl apply --dry-run=server`."
        ) from error
