"""What keeps others of the machine out: keys of the object store, Argilla's origins."""

import stat
import tomllib
from pathlib import Path

import pytest

from services.embedded import store_keys
from services.embedded.argilla_server import ArgillaServer
from services.embedded.credentials import Credentials

pytestmark = pytest.mark.unit


def test_each_part_of_the_object_store_asks_for_a_certificate_or_a_signature(tmp_path: Path) -> None:
    folder = tmp_path / 'a "quoted" folder'
    folder.mkdir()
    store_keys.write_keys(folder)
    written = tomllib.loads((folder / "security.toml").read_text())
    assert all(written["grpc"][part]["key"] for part in ("master", "volume", "filer", "s3", "client"))
    assert Path(written["grpc"]["ca"]).read_text().startswith("-----BEGIN CERTIFICATE")
    keys = [written[kind][one] for kind in ("jwt",) for one in ("signing", "filer_signing")]
    assert len({key["key"] for key in keys} | {key["read"]["key"] for key in keys}) == 4
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir())
    before = (folder / "security.toml").read_text()
    store_keys.write_keys(folder)
    assert (folder / "security.toml").read_text() != before


def test_argilla_lets_no_other_page_use_a_login(tmp_path: Path) -> None:
    server = ArgillaServer(tmp_path, 4711, "redis://", Credentials(), Path("python"))
    assert server.program().env["ARGILLA_CORS_ORIGINS"] == '["http://127.0.0.1:4711"]'
