"""A task whose loop turns on a cluster, with predictions all the while: swaps, lost pods, a lost head, new clusters.

In order: each test goes on with the same release and the same task. Figures are printed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.annotating import Annotator, nothing_is_lost, whole_batch
from tests.k8s.release import HEAD, IMAGE, SERVE, Argilla, Release, Seen, traffic, until
from tests.running import messages, served_task, serving

pytestmark = pytest.mark.timeout(3600)
TASK = "shop/inbox"
KNOWN = messages(400)
VALUES: dict[str, Any] = {
    "serve": {"minPods": 2, "maxPods": 2},
    "classifier": {"minReplicas": 2},
}
"""One pod, and one replica of each kind, may die."""
CLUSTERS = 5


@dataclass
class Loop:
    release: Release
    annotator: Annotator
    said: dict[str, str] = field(default_factory=dict)

    def turn(self) -> None:
        """One iteration: its batch is answered, and what it trains serves."""
        with self.release.client() as client:
            served = client.status(TASK).serving
            for record in whole_batch(client, self.annotator, TASK):
                self.said[record.record_id] = KNOWN[record.record_id][1]
                self.annotator.answer(record, self.said[record.record_id])
            serving(client, TASK, (served.revision if served else 0) + 1, 300)

    def check(self) -> None:
        with self.release.client() as client:
            nothing_is_lost(client, self.annotator, TASK, self.said)


@pytest.fixture(scope="module")
def loop(release: Release) -> Iterator[Loop]:
    with release.client() as client:
        served_task(client, TASK.split("/")[1], KNOWN, 300)
    with (
        release.kubectl.forwarded("svc/tornio-dev", 6900) as url,
        Annotator(Argilla(url), "shop") as annotator,
    ):
        yield Loop(release, annotator)


def say(capsys: pytest.CaptureFixture[str], what: str, seen: Seen) -> None:
    with capsys.disabled():
        print(f"\n{what}: {seen.sent} requests, {len(seen.failed)} failed, the slowest {seen.slowest_s} s")
        for at, why in seen.failed[:5]:
            print(f"  after {at} s: {why}")


def test_the_loop_turns(loop: Loop) -> None:
    for _ in range(3):
        loop.turn()
    loop.check()


def test_ten_swaps(loop: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    with traffic(loop.release.kubectl, TASK, 5) as seen:
        for _ in range(10):
            loop.turn()
    say(capsys, "ten swaps", seen)
    assert seen.failed == ()
    assert len(seen.versions) >= 10


def test_a_serving_pod_is_deleted(loop: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    here = loop.release.kubectl
    with traffic(here, TASK, 5) as seen:
        for pod in here.pods(SERVE):
            here.run("delete", "pod", pod["metadata"]["name"])
            until(lambda: _ready(loop.release, SERVE) == 2, 300, "no other pod came")
        loop.turn()
    say(capsys, "each serving pod deleted once", seen)
    assert seen.failed == ()
    loop.check()


def _ready(release: Release, selector: str) -> int:
    conditions = [pod["status"].get("conditions", []) for pod in release.kubectl.pods(selector)]
    return sum({"Ready": "True"}.items() <= {c["type"]: c["status"] for c in each}.items() for each in conditions)


def test_the_head_is_killed(loop: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    with traffic(loop.release.kubectl, TASK, 5) as seen:
        _kill_head(loop.release)
        loop.turn()
    say(capsys, "the head killed, with Redis", seen)
    assert seen.failed == ()
    loop.check()


def _kill_head(release: Release) -> None:
    (head,) = release.kubectl.pods(HEAD)
    release.kubectl.kill(head)
    until(lambda: _other_head(release, head["metadata"]["uid"]), 300, "no other head came")


def _other_head(release: Release, uid: str) -> bool:
    others = [pod for pod in release.kubectl.pods(HEAD) if pod["metadata"]["uid"] != uid]
    return bool(others) and _ready(release, HEAD) == 1


def test_new_clusters(loop: Loop, images: dict[str, int], capsys: pytest.CaptureFixture[str]) -> None:
    """By another image where a node has one: by another name of the same at least. Two controllers live for a while:
    no act of theirs has two effects."""
    product = IMAGE.partition(":")[0]
    names = sorted(name.rpartition(":")[::2] for name in images if f"/{product}:" in name)
    for number in range(1, CLUSTERS + 1):
        other: dict[str, Any] = {"secretsRevision": number}
        if len(names) > 1:
            repository, tag = names[number % len(names)]
            other = {"image": {"repository": repository, "tag": tag}}
        with traffic(loop.release.kubectl, TASK, 10) as seen:
            took = loop.release.replace(VALUES | other)
            loop.turn()
            loop.release.wait_for_one()
        say(capsys, f"cluster {number}, by {other}, after {took:.0f} s", seen)
        assert seen.failed == ()
        loop.check()


def test_the_head_is_killed_and_nothing_remembers_it(loop: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    """Without Redis requests fail for a while; the bar is that it recovers by itself and that nothing is lost."""
    loop.release.replace(VALUES | {"ray": {"gcsFaultTolerance": {"redisAddress": ""}}})
    loop.release.wait_for_one()
    workers = _uids(loop.release)
    with traffic(loop.release.kubectl, TASK, 5) as seen:
        _kill_head(loop.release)
        until(lambda: not workers & _uids(loop.release), 300, "the workers, which the new head does not know, stay")
        until(lambda: _ready(loop.release, SERVE) == 2, 600, "it does not serve again")
        until(lambda: loop.release.ask(f"/v1/tasks/{TASK}").status_code == 200, 300, "it does not answer again")
        loop.turn()
    say(capsys, f"the head killed, without Redis ({seen.outage_s():.0f} s until it answered again)", seen)
    loop.check()


def _uids(release: Release) -> set[str]:
    return {pod["metadata"]["uid"] for pod in release.kubectl.pods(SERVE)}
