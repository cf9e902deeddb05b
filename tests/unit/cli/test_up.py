"""What `tornio up` prints; that it starts everything is for the integration tests."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest

from tornio.cli import main

pytestmark = pytest.mark.unit


class Started:
    """In place of everything."""

    url = "http://127.0.0.1:8000"
    addresses = SimpleNamespace(
        argilla_url="http://127.0.0.1:6900",
        argilla_username="owner",
        argilla_password="secret",
        s3_endpoint="http://127.0.0.1:8333",
        s3_bucket="tornio",
    )

    def __init__(self, state: Path, report: Any, **_: object) -> None:
        self.stack = SimpleNamespace(credentials_file=state / "credentials.json", keep=self._interrupted)
        report("Argilla is ready")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _interrupted(self) -> None:
        raise KeyboardInterrupt


@pytest.mark.parametrize("as_json", [False, True])
def test_up_says_where_everything_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, as_json: bool
) -> None:
    monkeypatch.setattr("services.embedded.up.Everything", Started)
    monkeypatch.setattr("tornio.cli.up.WATCH_S", 0.0)
    monkeypatch.delenv("TORNIO_STATE", raising=False)
    assert main(["up", "--state", str(tmp_path), *(["--json"] if as_json else [])]) == 0
    out, err = capsys.readouterr()
    assert "secret" not in out + err
    if as_json:
        assert json.loads(out)["url"] == Started.url
        assert "Argilla is ready" in err
        assert f"export TORNIO_STATE={tmp_path}" in err
    else:
        lines = [line for line in out.splitlines() if Started.url in line]
        assert lines[0].split()[:2] == ["Page", f"{Started.url}/"]


def test_the_state_folder_is_that_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("services.embedded.up.Everything", Started)
    monkeypatch.setattr("tornio.cli.up.WATCH_S", 0.0)
    monkeypatch.setenv("TORNIO_STATE", str(tmp_path / "mine"))
    assert main(["up"]) == 0
    out = "".join(capsys.readouterr().out.splitlines())
    assert "mine/credentials.json" in out
    assert "export" not in out
