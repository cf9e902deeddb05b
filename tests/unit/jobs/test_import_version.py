"""A model that was exported comes in as a version of a task, and is judged as one that was trained there is."""

from __future__ import annotations

import hashlib
import json
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.swapping.workshop import tiny_encoder
from jobs.context import JobContext
from jobs.running.execute import execute, plan_job
from tests.learning import NAMES, examples, labelled_task
from tornio.api import TaskName
from tornio.arrays import FloatMatrix
from tornio.errors import InvalidInput, NotFound
from tornio.exchange.bundle import bundle
from tornio.exchange.packing import ABOUT, files_of, pack
from tornio.exchange.source import read_source
from tornio.exchange.writers import write_version
from tornio.registry import Registry
from tornio.schemas.jobs import EvaluateOutput, TrainOutput
from tornio.schemas.registry import Manifest
from tornio.schemas.runs import RunPlan
from tornio.settings import UploadSettings
from tornio.storage.memory import MemoryStore
from tornio.tasks import Task, Tasks
from tornio.uploads import UploadRoom

pytestmark = pytest.mark.model
TUNING = {"epochs": 2, "learning_rate": 2e-3, "head_learning_rate": 1e-2}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("tiny"))


def context_in(folder: Path) -> JobContext:
    return JobContext.over(MemoryStore(), folder, "float32")


def numbers(task: Task) -> dict[str, int]:
    return {"label_seq": task.labels.read().seq, "pool_seq": task.pool.read().seq, "spec_rev": task.document.spec_rev}


@pytest.fixture(scope="module")
def exported(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FloatMatrix]:
    """A fine-tuned version as a folder, and what it says of some texts."""
    scratch = tmp_path_factory.mktemp("exported")
    context = context_in(scratch / "node")
    task = labelled_task(context.store, base, 30, fine_tuning=TUNING, kind="fine-tuned")
    args = {"generation": 1, "iteration": 1, "parent": None, **numbers(task)}
    plan = plan_job("train", TaskName("w", "t"), json.dumps(args))
    trained = TrainOutput.model_validate(execute(plan, 1, context).output)
    (scratch / "tar").write_bytes(b"".join(bundle(task, trained.version).tar))
    (scratch / "got").mkdir()
    with tarfile.open(scratch / "tar") as tar:
        tar.extractall(scratch / "got", filter="data")
    out = scratch / "out"
    out.mkdir()
    write_version(read_source(scratch / "got"), out)
    model = context.loader.model(Registry(context.store, task.keys).manifest(trained.version))
    return out, model.predict_proba(examples(20, seed=9)[0])


@pytest.fixture
def context(tmp_path: Path) -> JobContext:
    return context_in(tmp_path / "node")


def sent(context: JobContext, folder: Path, scratch: Path) -> tuple[str, int]:
    """Send a folder to the workspace. Returns name and size of the upload."""
    tar = scratch / "model.tar"
    pack(files_of(folder), tar)
    body = tar.read_bytes()
    room = UploadRoom(context.store, "w", UploadSettings(), lambda: datetime.now(UTC))
    name = f"{hashlib.sha256(body).hexdigest()}.tar"
    begun = room.begin(name, len(body), "model.tar", "me")
    for part in range(-(-len(body) // begun.part_bytes)):
        room.put_part(name, part, body[part * begun.part_bytes : (part + 1) * begun.part_bytes])
    room.complete(name)
    return name, len(body)


def plan_of(task: Task, upload: str, size: int, of: str = "t") -> RunPlan:
    args = {"generation": 1, "iteration": 1, "parent": None, **numbers(task), "who": "ops", "why": "from staging"}
    return plan_job("import-version", TaskName("w", of), json.dumps({**args, "upload": upload, "size": size}))


def imported(context: JobContext, plan: RunPlan, task: Task) -> Manifest:
    output = TrainOutput.model_validate(execute(plan, 1, context).output)
    return Registry(context.store, task.keys).manifest(output.version)


def other_task(context: JobContext, base: Path, names: tuple[str, ...]) -> Task:
    """A task whose labels are these, in this order."""
    task = labelled_task(context.store, base, 30)
    labels = tuple(task.spec.labels[NAMES.index(name)] for name in names)
    spec = task.spec.model_copy(update={"name": "other", "labels": labels})
    Tasks(context.store).apply(spec, "test")
    return Tasks(context.store).open("w", "other")


def test_it_gives_the_same_probabilities_and_is_judged(
    context: JobContext, base: Path, exported: tuple[Path, FloatMatrix], tmp_path: Path
) -> None:
    folder, expected = exported
    task = labelled_task(context.store, base, 30)
    name, size = sent(context, folder, tmp_path)
    manifest = imported(context, plan_of(task, name, size), task)
    found = context.loader.model(manifest).predict_proba(examples(20, seed=9)[0])
    assert np.abs(found - expected).max() < 1e-4
    assert (manifest.kind, manifest.labels) == ("fine-tuned", NAMES)
    assert manifest.imported is not None
    assert (manifest.imported.who, manifest.imported.why, manifest.imported.task) == ("ops", "from staging", "w/t")
    assert manifest.imported.digest == name.partition(".")[0]
    assert imported(context, plan_of(task, name, size), task) == manifest  # another attempt
    judge: dict[str, Any] = {
        "version": manifest.version,
        "current": None,
        "rivals": [],
        "agree_with": None,
        **numbers(task),
    }
    plan = plan_job("evaluate", TaskName("w", "t"), json.dumps(judge))
    assert EvaluateOutput.model_validate(execute(plan, 1, context).output).verdict.promoted


def test_its_outputs_get_the_order_of_the_task(
    context: JobContext, base: Path, exported: tuple[Path, FloatMatrix], tmp_path: Path
) -> None:
    folder, expected = exported
    order = ("animal", "money", "place")
    task = other_task(context, base, order)
    name, size = sent(context, folder, tmp_path)
    manifest = imported(context, plan_of(task, name, size, "other"), task)
    assert manifest.labels == order
    found = context.loader.model(manifest).predict_proba(examples(20, seed=9)[0])
    assert np.abs(found - expected[:, [NAMES.index(name) for name in order]]).max() < 1e-4


def test_what_does_not_fit_is_refused(
    context: JobContext, base: Path, exported: tuple[Path, FloatMatrix], tmp_path: Path
) -> None:
    task = labelled_task(context.store, base, 30)
    with pytest.raises(NotFound, match="no upload"):
        execute(plan_of(task, "0f" * 32 + ".tar", 5), 1, context)
    name, size = sent(context, exported[0], tmp_path)
    with pytest.raises(InvalidInput, match="not those of its digest"):
        execute(plan_of(task, name, size + 1), 1, context)
    changed = tmp_path / "changed"
    changed.mkdir()
    for path in exported[0].iterdir():
        (changed / path.name).write_bytes(path.read_bytes())
    for file in (ABOUT, "config.json"):
        path = changed / file
        path.write_text(path.read_text().replace('"money"', '"cash"'))
    name, size = sent(context, changed, tmp_path)
    with pytest.raises(InvalidInput, match="lacks 'money' and has 'cash'"):
        execute(plan_of(task, name, size), 1, context)
