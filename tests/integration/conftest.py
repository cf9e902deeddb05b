"""Real servers on free ports. Each ends with the last test that needs it, because idle servers slow the others."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from services.embedded.stack import EmbeddedStack
from tests.running import Running, running
from tornio.cli import main


@dataclass(frozen=True)
class S3Access:
    """A real object store; the tests of a module share its bucket, so each writes under a prefix of its own."""

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str = field(repr=False)


@dataclass(frozen=True)
class ArgillaAccess:
    """A real Argilla and the key of its owner; the tests of a module share it, so each makes workspaces of its own."""

    url: str
    api_key: str = field(repr=False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the whole Tornio come last, so that its processes do not run beside the others."""
    items.sort(key=lambda item: "tornio_up" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="module")
def embedded_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    """Object store, Valkey and Argilla; about 6 s."""
    with EmbeddedStack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture(scope="module")
def s3(embedded_stack: EmbeddedStack) -> S3Access:
    at = embedded_stack.addresses
    return S3Access(at.s3_endpoint, at.s3_bucket, at.s3_access_key, at.s3_secret_key)


@pytest.fixture(scope="module")
def argilla(embedded_stack: EmbeddedStack) -> ArgillaAccess:
    return ArgillaAccess(embedded_stack.addresses.argilla_url, embedded_stack.addresses.argilla_api_key)


@pytest.fixture(scope="session")
def tornio_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """All of Tornio, as `tornio up` starts it; tests share it, so each makes tasks of its own."""
    with running(tmp_path_factory.mktemp("tornio")) as up:
        yield up


@dataclass(frozen=True)
class Command:
    """``command("status", "shop/inbox")``: the command, as typed; returns what it prints."""

    capture: pytest.CaptureFixture[str]

    def __call__(self, *words: str) -> str:
        code, out, err = self._run(words)
        assert code == 0, f"tornio {' '.join(words)} ended with {code}: {out}{err}"
        return out

    def fails(self, *words: str) -> str:
        """What a command says that cannot be done, on one line."""
        code, out, err = self._run(words)
        assert code == 1, f"tornio {' '.join(words)} ended with {code}: {out}{err}"
        return " ".join(err.split())

    def _run(self, words: tuple[str, ...]) -> tuple[int, str, str]:
        self.capture.readouterr()
        return main(words), *self.capture.readouterr()


@pytest.fixture
def command(tornio_up: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line of a user of ``tornio_up``."""
    monkeypatch.setenv("TORNIO_URL", tornio_up.url)
    return Command(capsys)
