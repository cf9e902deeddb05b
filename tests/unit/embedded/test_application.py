"""What `tornio up` gives to its application: a key without which nobody is answered."""

from pathlib import Path

import pytest

from services.embedded.credentials import Credentials
from services.embedded.stack import Addresses
from services.embedded.up import application
from services.gateway.auth import KeyRing
from tornio.errors import Unauthorized

pytestmark = pytest.mark.unit


def test_the_application_asks_for_the_key_of_the_credentials(tmp_path: Path) -> None:
    made = Credentials()
    addresses = Addresses(
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
    program = application(addresses, tmp_path, 3, 4)
    keys = KeyRing.from_environment(program.env)
    assert keys.admit(f"Bearer {made.api_key}", "127.0.0.1").sees("any")
    for said in (None, "Bearer another"):
        with pytest.raises(Unauthorized):
            keys.admit(said, "127.0.0.1")
    assert not any(made.api_key in word for word in program.argv)
