"""The report of a task: over HTTP, by the client, and by the command."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from tests.unit.gateway.fake import OPERATOR, PREDICTOR, AppTransport, FakeBackend, app_of
from tests.unit.page.seeded import backend_of, fifty
from tornio.cli import main
from tornio.client import Client
from tornio.errors import NotFound

pytestmark = pytest.mark.unit


def client_of(backend: FakeBackend) -> Client:
    return Client("http://tornio", OPERATOR, transport=AppTransport(app_of(backend)))


def get(backend: FakeBackend, key: str = OPERATOR) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(transport=AppTransport(app_of(backend)), base_url="http://tornio", headers=headers) as http:
        return http.get("/v1/tasks/acme/support/report")


def test_a_report_stands_alone() -> None:
    backend = backend_of(fifty())
    answer = get(backend)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    html = answer.text
    assert html.startswith("<!doctype html>")
    for word in ("<script", "<link", "<form", "<img", "href=", "src=", "@import", "url("):
        assert word not in html, word
    assert not re.search(r"https?://", html)
    assert "--paper:" in html
    assert "charged me twice" in html
    assert backend.audit.acts == ["export-report of acme/support by operator"]


def test_a_report_needs_a_key_that_may_read_texts() -> None:
    backend = backend_of(fifty())
    assert get(backend, PREDICTOR).status_code == 403
    assert backend.audit.acts == []


def test_the_client_gets_it() -> None:
    with client_of(backend_of(fifty())) as client:
        assert client.report("acme/support").startswith("<!doctype html>")
        with pytest.raises(NotFound):
            client.report("acme/none")


def test_the_command_writes_one_file_or_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def open_client(_: str | None) -> Client:
        return client_of(backend_of(fifty()))

    output = tmp_path / "report.html"
    assert main(["report", "acme/support", "-o", str(output)], open_client) == 0
    assert output.read_text("utf-8").startswith("<!doctype html>")
    assert "open it in a browser" in capsys.readouterr().out
    assert main(["report", "acme/none", "-o", str(tmp_path / "none.html")], open_client) != 0
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]
