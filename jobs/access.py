"""What a run on the cluster may read for a user: the cluster's keys open more than one workspace."""

from __future__ import annotations

from pathlib import Path

from tornio.errors import Forbidden


def check_readable(data: str, workspace: str, bucket: str, root: str) -> None:
    """Raises Forbidden for an s3:// address in Tornio's own bucket that is outside the folder of the workspace, and
    for one with ``..``, which some readers follow upwards.

    A run on the cluster reads with the keys of the cluster. All workspaces share the bucket, so a user may only read
    the folder of the own workspace.
    """
    if ".." in data.split("/"):
        raise Forbidden(f"{data} has '..' in its path, so it may lead elsewhere. Write the address without it")
    asked, _, key = data.removeprefix("s3://").partition("/")
    allowed = f"{root}{workspace}/"
    if asked == bucket and not key.startswith(allowed):
        raise Forbidden(
            f"{data} is in the bucket of Tornio itself, where {workspace!r} may only read what is below "
            f"s3://{bucket}/{allowed}. Either put the data there, or into another bucket"
        )


def check_model(model: str, workspace: str, bucket: str, root: str) -> None:
    """Raises Forbidden for a folder on the disk of the server, and for what ``check_readable`` refuses."""
    if model.startswith("s3://"):
        check_readable(model, workspace, bucket, root)
    elif model.startswith(("/", ".", "~")) or ("/" in model and Path(model).exists()):
        raise Forbidden(
            f"{model} is a folder on the disk of the server, which a run on the cluster must not read. Name a version "
            "of the task, a model in S3, or a model of the hub"
        )
