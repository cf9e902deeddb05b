"""An exported version as a model on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from tornio.files.pushing import check_name, hub_errors, writer


def push(folder: Path, name: str, *, private: bool) -> str:
    """Upload the folder as a model, in place of what it had before. Returns its address.

    The token is that of ``pushing.writer``. ``private``: applies to a new model; an existing one is unchanged. Raises
    InvalidInput, Unauthorized, Forbidden, Unavailable.
    """
    check_name(name, "model")
    api, _ = writer()
    with hub_errors(name):
        where = api.create_repo(name, private=private, exist_ok=True)
        api.upload_folder(
            folder_path=folder, repo_id=where.repo_id, commit_message="Upload a version", delete_patterns="*"
        )
    return str(where)
