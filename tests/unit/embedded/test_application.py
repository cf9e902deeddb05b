"""What `tornio up` gives to its application: a key without which nobody is answered."""

import json
import stat
from pathlib import Path

import pytest

from services.embedded.credentials import Credentials
from services.embedded.stack import Addresses
from services.embedded.up import application
from services.gateway.auth import KeyRing
from services.gateway.callers import Role
from tornio.api import TaskName
from tornio.cli import main
from tornio.errors import InvalidInput, Unauthorized

pytestmark = pytest.mark.unit


def addresses(made: Credentials) -> Addresses:
    return Addresses(
        s3_endpoint="http://127.0.0.1:1",
        s3_bucket="tornio",
        s3_access_key=made.s3_access_key,
        s3_secret_key=made.s3_secret_key,
        argilla_url="http://127.0.0.1:2",
        argilla_username=made.argilla_username,
        argilla_password=made.argilla_password,
        argilla_api_key=made.argilla_api_key,
        api_key=made.api_key,
    )


def test_the_application_may_ask_chat_models_and_sees_no_other_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = {"url": "https://x/v1", "model": "m", "max_requests": 1, "max_tokens": 1, "api_key_variable": "MY_KEY"}
    for name, value in {"TORNIO_LLM_ENDPOINTS": json.dumps({"gpt": endpoint}), "MY_KEY": "sk", "MY_OTHER": "x"}.items():
        monkeypatch.setenv(name, value)
    program = application(addresses(Credentials()), tmp_path, 3, 4)
    assert json.loads(program.env["TORNIO_LLM_ENDPOINTS"])["gpt"] == endpoint
    assert program.env["MY_KEY"] == "sk"
    assert "MY_OTHER" not in program.env


def test_the_application_asks_for_the_key_of_the_credentials(tmp_path: Path) -> None:
    made = Credentials()
    program = application(addresses(made), tmp_path, 3, 4)
    keys = KeyRing.from_environment(program.env)
    assert keys.admit(f"Bearer {made.api_key}", "127.0.0.1").sees(TaskName("any", "task"))
    for said in (None, "Bearer another"):
        with pytest.raises(Unauthorized):
            keys.admit(said, "127.0.0.1")
    assert not any(made.api_key in word for word in program.argv)


def test_the_application_accepts_the_keys_of_the_file_in_its_state_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TORNIO_API_KEYS_FILE", raising=False)
    monkeypatch.setenv("TORNIO_STATE", str(tmp_path))
    assert main(["keys", "new", "before", "--workspace", "shop"]) == 0
    before = capsys.readouterr().out.strip()
    made = Credentials()
    keys = KeyRing.from_environment(application(addresses(made), tmp_path, 3, 4).env)
    assert main(["keys", "new", "while-it-runs", "--workspace", "acme", "--role", "operate"]) == 0
    later = capsys.readouterr().out.strip()
    assert main(["keys", "list"]) == 0
    listed = ["tornio-up: admin in *", "before: predict in shop", "while-it-runs: operate in acme"]
    assert capsys.readouterr().out.splitlines() == listed
    for key, name in ((before, "before"), (later, "while-it-runs"), (made.api_key, "tornio-up")):
        assert keys.caller(f"Bearer {key}").name == name
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600

    other = Credentials()
    again = KeyRing.from_environment(application(addresses(other), tmp_path, 3, 4).env)
    assert again.caller(f"Bearer {other.api_key}").role is Role.ADMIN
    assert again.caller(f"Bearer {before}").workspaces == {"shop"}
    with pytest.raises(Unauthorized):
        again.caller(f"Bearer {made.api_key}")


def test_a_file_that_is_no_list_of_keys_is_named(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text("{}")
    with pytest.raises(InvalidInput, match=r"keys\.json"):
        application(addresses(Credentials()), tmp_path, 3, 4)
