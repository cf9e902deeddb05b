"""The key of everything in the bucket. Sequence numbers are zero-padded, so that listings are in order.

Parts of a log or a pool are never deleted; a purge only rewrites them in place. If a number became free, a writer
that was suspended for a while could take it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

ENCODERS = "encoders/"
ENCODER_NAMES = "encoders/names/"
LLM = "_llm/"
LLM_ANSWERS = "_llm/answers/"
"""No workspace can have this name."""
SESSIONS = "_sessions/"
"""Nor this one."""


def blob(sha256: str) -> str:
    return f"blobs/{sha256}"


def encoder(digest: str) -> str:
    return f"{ENCODERS}{digest}.json"


def encoder_name(name_digest: str) -> str:
    return f"{ENCODER_NAMES}{name_digest}.json"


def llm_spending(endpoint: str) -> str:
    return f"{LLM}spending/{endpoint}.json"


def llm_answers(question: str) -> str:
    """Folder of a chat model's answers. ``question``: digest of everything in the question but the text."""
    return f"{LLM_ANSWERS}{question}/"


def session(token_digest: str) -> str:
    return f"{SESSIONS}{token_digest}.json"


def seq_name(seq: int) -> str:
    return f"{seq:012d}.parquet"


def seq_of(key: str) -> int:
    """Return the sequence number in a key that ends in ``{seq}.parquet``."""
    return int(key.rsplit("/", 1)[-1].removesuffix(".parquet"))


@dataclass(frozen=True, slots=True)
class LabelLogKeys:
    """The keys of a label log below its owner: a task, or a run without a task."""

    root: str

    @property
    def parts(self) -> str:
        return self.root + "labels/"

    def part(self, seq: int) -> str:
        return self.parts + seq_name(seq)

    @property
    def snapshots(self) -> str:
        return self.root + "label-snapshots/"

    def compacted(self, seq: int) -> str:
        return self.snapshots + seq_name(seq)


@dataclass(frozen=True, slots=True)
class TaskKeys:
    """The keys of one task."""

    workspace: str
    task: str

    @property
    def root(self) -> str:
        return f"{self.workspace}/tasks/{self.task}/"

    @property
    def document(self) -> str:
        return self.root + "task.json"

    def spec(self, rev: int) -> str:
        return f"{self.root}specs/{rev}.json"

    def label_set(self, rev: int) -> str:
        return f"{self.root}label-sets/{rev}.json"

    @property
    def pool(self) -> str:
        return self.root + "pool/"

    def pool_part(self, seq: int) -> str:
        return self.pool + seq_name(seq)

    @property
    def embedded(self) -> str:
        return self.root + "embeddings/"

    def embeddings(self, name: str) -> str:
        """Return the key of the embeddings of one pool part.

        ``name`` joins by commas everything that changes an embedding, and the digest of the pool part.
        """
        return f"{self.embedded}{name}.parquet"

    def soft_labels(self, digest: str = "") -> str:
        """Folder of a teacher's probabilities: one file for each part of the pool, named by the part's digest.

        ``digest``: of everything that the probabilities depend on, beside the texts. Without it: of all of them.
        """
        return f"{self.root}soft-labels/" + (f"{digest}/" if digest else "")

    def written_views(self, purpose: str = "") -> str:
        """Folder of what an augmentation has written. ``purpose``: digest of everything that it depends on, beside the
        texts. Without it: of all of them."""
        return f"{self.root}written-views/" + (f"{purpose}/" if purpose else "")

    def encoder_pin(self, source_digest: str) -> str:
        return f"{self.root}pins/{source_digest}.json"

    @property
    def batches(self) -> str:
        return self.root + "batches/"

    def batch(self, batch: str) -> str:
        return f"{self.batches}{batch}.json"

    @property
    def trials(self) -> str:
        return self.root + "trials/"

    def trial(self, version: str) -> str:
        return f"{self.trials}{version}.json"

    @property
    def stop_set(self) -> str:
        return self.root + "stopset.json"

    @property
    def label_log(self) -> LabelLogKeys:
        return LabelLogKeys(self.root)

    @property
    def versions(self) -> str:
        return self.root + "versions/"

    def version(self, version: str) -> str:
        return f"{self.versions}{version}.json"

    def alias(self, alias: str) -> str:
        return f"{self.root}aliases/{alias}.json"

    def alias_history(self, alias: str, revision: int | None = None) -> str:
        """Return the folder of an alias's past, or the key of one revision. The present is in the alias itself."""
        folder = f"{self.root}aliases/history/{alias}/"
        return folder if revision is None else f"{folder}{revision:08d}.json"

    @property
    def loop(self) -> str:
        return self.root + "loop.json"

    def automatic(self, run: str) -> str:
        """Return the key of the record of a version's automatic labels. ``run``: the run that decided on them."""
        return f"{self.root}automatic/{run}.json"

    @property
    def live(self) -> str:
        return self.root + "live/"

    def live_window(self, window: str, replica: str) -> str:
        return f"{self.live}{window}/{replica}.json"

    @property
    def lease(self) -> str:
        return self.root + "lease.json"

    @property
    def iterations(self) -> str:
        return self.root + "iterations/"

    def iteration(self, number: int) -> str:
        """Iteration 0, of the version that the teacher taught, stands apart: release 0.2 counts from 1."""
        return f"{self.iterations}{number:06d}.json" if number else self.root + "bootstrap.json"

    @property
    def runs(self) -> str:
        return self.root + "runs/"

    def run(self, run: str) -> RunKeys:
        return RunKeys(f"{self.runs}{run}/")

    @property
    def run_asks(self) -> str:
        return self.root + "asks/"

    def run_ask(self, run: str) -> str:
        """Return the key of a user's request for a run. It is beside ``runs/``, so that one short listing finds all."""
        return f"{self.run_asks}{run}.json"


@dataclass(frozen=True, slots=True)
class RunKeys:
    """The keys of one run."""

    root: str

    @property
    def plan(self) -> str:
        return self.root + "plan.json"

    @property
    def result(self) -> str:
        return self.root + "result.json"

    def folder(self, name: str) -> str:
        """Return a folder for what the run keeps beside its result. All attempts share it, so a later one continues."""
        return f"{self.root}{name}/"

    def part(self, name: str, number: int) -> str:
        return f"{self.folder(name)}{number:06d}.parquet"

    @property
    def input(self) -> str:
        return self.root + "input.json"

    @property
    def top(self) -> str:
        return self.root + "top.json"

    def attempt(self, number: int) -> str:
        return f"{self.root}attempts/{number}/"

    def started(self, number: int) -> str:
        return self.attempt(number) + "started.json"

    def failure(self, number: int) -> str:
        return self.attempt(number) + "failure.json"

    def progress(self, number: int) -> str:
        return self.attempt(number) + "progress.json"


def workspace_runs(workspace: str) -> str:
    return f"{workspace}/runs/"


def workspace_run(workspace: str, run: str) -> RunKeys:
    """Return the keys of a run without a task."""
    return RunKeys(f"{workspace_runs(workspace)}{run}/")


def run_of(workspace: str, task: str | None, run: str) -> RunKeys:
    """Return the keys of a run, with or without a task."""
    return workspace_run(workspace, run) if task is None else TaskKeys(workspace, task).run(run)


_LAST_MS = 10**13
"""Milliseconds since 1970 that no clock shows before the year 2286."""


def audit(workspace: str) -> str:
    """Folder of a workspace's audit log."""
    return f"{workspace}/audit/"


def audit_id(at: datetime, token: str, task: str) -> str:
    """Return the id of an act. Ids of later acts come first, because stores list in one direction only."""
    return f"{_LAST_MS - int(at.timestamp() * 1000):013d}-{token}-{task}"


def audit_task(name: str) -> str:
    """Return the task in the id of an act."""
    return name.split("-", 2)[2]


def audit_begun(workspace: str, name: str) -> str:
    return f"{audit(workspace)}{name}.begun.json"


def audit_ended(workspace: str, name: str) -> str:
    """It follows ``audit_begun`` of the same act in a listing."""
    return f"{audit(workspace)}{name}.ended.json"


def workspace_uploads(workspace: str) -> str:
    return f"{workspace}/uploads/"


@dataclass(frozen=True, slots=True)
class UploadKeys:
    """The keys of one upload. ``name``: the SHA-256 of the file and its ending, such as ``0a1b....csv``."""

    workspace: str
    name: str

    @property
    def root(self) -> str:
        return f"{workspace_uploads(self.workspace)}{self.name}/"

    @property
    def document(self) -> str:
        return self.root + "upload.json"

    @property
    def parts(self) -> str:
        return self.root + "parts/"

    def part(self, number: int) -> str:
        return f"{self.parts}{number:06d}"

    @property
    def data(self) -> str:
        """Return the key of the whole file. It keeps the ending, which tells readers the format."""
        return f"{self.root}data.{self.name.partition('.')[2]}"
