"""What `tornio up` gives to its application: a key without which nobody is answered."""

import json
from pathlib import Path

import pytest

from services.embedded.credentials import Credentials
from services.embedded.stack import Addresses
from services.embedded.up import application
from services.gateway.auth import KeyRing
from tornio.api import TaskName
from tornio.errors import Unauthorized

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
