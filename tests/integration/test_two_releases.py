"""The last release and this tree on one bucket: in turns, at once, and back. Nothing is lost and nothing fails.

RELEASES names the commit of each release. The release runs with the packages of this environment.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from services import proxy
from services.embedded import ports
from services.embedded.stack import EmbeddedStack
from services.embedded.up import CODE, START_S, application, is_ready
from services.gateway.callers import Role
from tests.annotating import Annotator, nothing_is_lost, whole_batch
from tests.integration.test_outages import Traffic
from tests.running import messages, serving, spec
from tornio.api import RecordIn
from tornio.client import Client

pytestmark = pytest.mark.integration

TASK = "shop/shared"
ALL = messages(120)


@pytest.fixture(scope="module")
def last_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source tree of the last release whose code is not this tree's."""
    lines = [line.split() for line in (CODE / "RELEASES").read_text().splitlines() if not line.startswith("#")]
    here = [(version, commit) for version, commit in lines if not git("cat-file", "-e", commit).returncode]
    if not here:
        pytest.skip("this clone has no commit of a release: clone the whole history")
    for version, commit in reversed(here):
        if git("diff", "--quiet", commit, "--", "tornio", "jobs", "services").returncode:
            tree = tmp_path_factory.mktemp(f"release-{version}")
            subprocess.run(["tar", "-x", "-C", str(tree)], input=git("archive", commit).stdout, check=True)
            return tree
    raise AssertionError("RELEASES names no release before this tree")


def git(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *words], cwd=CODE, capture_output=True, check=False)


@dataclass
class Sharing:
    """Applications of different releases over one stack."""

    stack: EmbeddedStack
    folder: Path
    said: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def runs(self, name: str, code: Path) -> Iterator[Client]:
        """Run a release until the block ends."""
        state = self.folder / name
        state.mkdir(exist_ok=True)
        chosen = ports.assign(state / "ports.json", ("api", "dashboard"))
        program = application(self.stack.addresses, state, chosen["api"], chosen["dashboard"], code=code, name=name)
        if code != CODE:  # release 0.2 knows no role beyond this one, which could do everything there
            keys = Path(program.env["TORNIO_API_KEYS_FILE"])
            keys.write_text(keys.read_text().replace(Role.ADMIN, Role.OPERATE))
        if not (code / "services" / "proxy.py").exists():  # release 0.1 has nothing for Serve's proxy to import
            program = replace(program, env={k: v for k, v in program.env.items() if k not in proxy.ENVIRONMENT})
        url = f"http://{ports.HOST}:{chosen['api']}"
        child = self.stack.supervisor.start(program)
        self.stack.supervisor.wait_ready(child, lambda: is_ready(url), START_S)
        with Client(url) as client:
            yield client
        self.stack.supervisor.end(child)

    def turn(self, client: Client, ann: Annotator, revision: int) -> None:
        """Answer a batch, and wait for the version that follows from it. Predictions run meanwhile."""
        with Traffic(client.url, TASK) as traffic:
            for record in whole_batch(client, ann, TASK):
                self.said[record.record_id] = ALL[record.record_id][1]
                ann.answer(record, self.said[record.record_id])
            serving(client, TASK, revision)
        if revision > 1:
            assert traffic.failures == []
            # Replicas whose controller does not have the lease learn of a version from the store, within 15 s.
            assert set(traffic.answered) <= set(range(1, revision + 1))


@pytest.fixture
def sharing(tmp_path: Path) -> Iterator[Sharing]:
    with EmbeddedStack(tmp_path / "stack") as stack, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORNIO_API_KEY", stack.addresses.api_key)
        yield Sharing(stack, tmp_path)


def test_a_task_goes_from_one_release_to_the_other_and_back(sharing: Sharing, last_release: Path) -> None:
    with sharing.runs("old", last_release) as old:
        old.apply(spec("shared"))
        old.add_records(TASK, [RecordIn(record_id=i, text=text) for i, (text, _) in ALL.items()])
        with Annotator(sharing.stack.addresses, "shop") as ann:
            sharing.turn(old, ann, 1)
            with sharing.runs("new", CODE) as new:  # both at once
                sharing.turn(old, ann, 2)
                sharing.turn(new, ann, 3)
                nothing_is_lost(new, ann, TASK, sharing.said)
            sharing.turn(old, ann, 4)  # back
            nothing_is_lost(old, ann, TASK, sharing.said)
    with sharing.runs("new", CODE) as new, Annotator(sharing.stack.addresses, "shop") as ann:  # and forwards
        sharing.turn(new, ann, 5)
        nothing_is_lost(new, ann, TASK, sharing.said)
