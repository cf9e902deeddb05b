"""Label texts by a teacher, or by a student of it, without a task that serves: what ``tornio label`` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from jobs.context import JobContext, RunContext
from jobs.soft_labels import SoftLabels
from jobs.training_inputs import RunInputs
from tornio.arrays import FloatMatrix
from tornio.errors import InvalidInput, InvalidSpec
from tornio.models.decide import decide
from tornio.models.kinds import KINDS
from tornio.records import Record, default_record_id
from tornio.schemas.jobs import LabelArgs, TrainArgs
from tornio.schemas.registry import EncoderUse
from tornio.schemas.runs import RunPlan
from tornio.spec import NO_TEACHER, TaskSpec, TrainingSpec
from tornio.tasks import Tasks
from tornio.training.hooks import Hooks
from tornio.training.methods import METHODS
from tornio.training.methods.port import Unlabelled

WORKSPACE = "label"
"""Workspace of the tasks that hold the texts of files. They are in a store of their own."""
STUDENT = "distillation"
"""The method that teaches the student."""
_SHOWN = 10
_ALONE = "To label with the teacher alone, give --teacher-only"


@dataclass(frozen=True, slots=True, eq=False)
class LabelledTexts:
    """What was said of the texts, in their order.

    ``probabilities``: float32 [n, labels], of the labels that the texts get. ``teacher``: the same by the teacher;
    the two are one array where the teacher labels alone. The row of a text of which it said nothing usable is NaN.
    ``source``: name of the model that labelled. ``taught_by``: name of the teacher; None where it labels alone.
    ``metrics``: the student's; empty without one.
    """

    probabilities: FloatMatrix
    teacher: FloatMatrix
    source: str
    taught_by: str | None
    metrics: dict[str, float]


def label_texts(texts: Sequence[str], spec: TaskSpec, context: JobContext, teacher_only: bool) -> LabelledTexts:
    """Return the labels of these texts, each of which must be there once.

    The texts, their embeddings and the teacher's soft labels are kept in the context's store, so a repeat computes only
    what is missing. ``spec``: its labels, classifier, teacher and settings of ``distillation`` count, and nothing else.
    Raises InvalidSpec for a spec without a teacher, and InvalidInput where the teacher cannot teach these texts.
    """
    if spec.teacher.kind == NO_TEACHER:
        raise InvalidSpec("teacher.kind is 'none', and a teacher labels: set it, for example to 'embedding'")
    if not teacher_only:
        _check_student(texts, spec)
    run = _run_of(texts, spec, context)
    taught = run.soft_labels(run.task.spec, run.task.pool.last_seq())
    if teacher_only:
        return LabelledTexts(taught.probabilities, taught.probabilities, taught.agent, None, {})
    return _by_student(run, taught)


def _by_student(run: RunContext, taught: SoftLabels) -> LabelledTexts:
    spec, seq = run.task.spec, run.task.pool.last_seq()
    method = METHODS.get(STUDENT)
    settings = method.settings_of(spec)
    args = TrainArgs(
        generation=0, iteration=0, label_seq=run.task.labels.last_seq(), pool_seq=seq,
        spec_rev=run.task.document.spec_rev, parent=None,
    )  # fmt: skip
    inputs = FileInputs(args, run, spec, settings)
    kind, _ = method.choose_kind(inputs)
    run.progress("student", 0, None, "trainings")
    with TemporaryDirectory(prefix="tornio-") as folder:
        try:
            model = method.fit(inputs, Path(folder), Hooks())
        except InvalidInput as error:
            raise InvalidInput(f"no student can learn from these texts: {error}. {_ALONE}") from error
        if model is None:
            raise InvalidInput(f"the training method {method.name!r} returned no model. {_ALONE}")
        rows = np.arange(len(taught.probabilities))
        probabilities = run.pool_probabilities(model, seq, rows)
    source = f"student:{KINDS[kind].asked_as}:{spec.classifier.encoder}"
    return LabelledTexts(probabilities, taught.probabilities, source, taught.agent, dict(model.head.metrics))


class FileInputs(RunInputs[Any]):
    """The ``Inputs`` of a student of a file: no label, and no text is held out, because nothing is judged."""

    @cached_property
    def unlabelled(self) -> Unlabelled:
        return Unlabelled(tuple(self._view.record_ids), tuple(self._view.texts))

    @cached_property
    def use(self) -> EncoderUse:
        return self._context.job.loader.encoder_use(self.classifier.encoder, self.classifier.max_length)


def _check_student(texts: Sequence[str], spec: TaskSpec) -> None:
    """Raise InvalidInput or InvalidSpec for what no student can learn from, before any model computes."""
    from tornio.training.pseudo_labels import least_texts

    if spec.multi_label:
        raise InvalidSpec(f"a student gives each text one label, and several are allowed. {_ALONE}")
    METHODS.get(STUDENT).settings_of(_student_spec(spec))
    least = least_texts(len(spec.labels))
    if len(texts) < least:
        raise InvalidInput(
            f"a student needs at least {least} different texts for {len(spec.labels)} labels, and there are "
            f"{len(texts)}: add texts. {_ALONE}"
        )


def _run_of(texts: Sequence[str], spec: TaskSpec, context: JobContext) -> RunContext:
    """Return the run of a task that has these texts as its pool. The same texts and labels are the same task."""
    digest = sha256()
    for part in (*spec.label_names, str(spec.multi_label), *texts):
        digest.update(sha256(part.encode()).digest())
    name = f"file-{digest.hexdigest()[:16]}"
    used = {"labels": spec.labels, "multi_label": spec.multi_label, "classifier": spec.classifier,
            "teacher": spec.teacher, "training": _student_spec(spec).training}  # fmt: skip
    given = TaskSpec.model_validate({"workspace": WORKSPACE, "name": name, **used})
    Tasks(context.store, endpoints=context.loader.endpoints).apply(given, "label")
    task = context.tasks.open(WORKSPACE, name)
    task.add_records([Record(default_record_id(text), text) for text in texts])
    args = LabelArgs(
        pool_seq=task.pool.last_seq(),
        spec_rev=task.document.spec_rev,
        teacher=context.loader.teacher_digest(spec.teacher, spec.classifier),
    )
    return RunContext(context, RunPlan.of("label", WORKSPACE, name, args), 1)


def _student_spec(spec: TaskSpec) -> TaskSpec:
    """The spec with the method of the student, whose settings are kept where the spec has them."""
    if spec.training.method == STUDENT:
        return spec
    return spec.model_copy(update={"training": TrainingSpec(method=STUDENT)})


@dataclass(frozen=True, slots=True)
class LabelSummary:
    """What can be said of the labels without any label of people. Counts are those of the different texts.

    ``texts``: those that have a label. ``untaught``: those of which the teacher said nothing usable.
    ``counts`` and ``taught``: texts of each label, by the labels that are written and by the teacher's. ``unsure``:
    texts whose label is less probable than ``below``; with several labels allowed, texts that get none. ``agreement``:
    share of the texts to which teacher and student give the same; None without a student.
    """

    texts: int
    untaught: int
    source: str
    taught_by: str | None
    counts: dict[str, int]
    taught: dict[str, int]
    unsure: int
    below: float
    mean_probability: float
    agreement: float | None
    multi_label: bool
    metrics: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """The fields by name, for programs."""
        return asdict(self)

    def lines(self) -> list[str]:
        """The summary for people."""
        by = f"a student of {self.taught_by}" if self.taught_by else f"{self.source} alone"
        shown = ", ".join(f"{name} {count:,}" for name, count in self.counts.items())
        lines = [f"labelled by {by}: {self.texts:,} different texts", f"texts of each label: {shown}"]
        if self.multi_label:
            lines.append(f"{self.unsure:,} texts get none of the labels")
        else:
            lines.append(
                f"{self.unsure:,} texts are unsure: their label has a probability below {self.below:g} "
                f"(the mean is {self.mean_probability:.2f})"
            )
        if self.agreement is not None:
            lines.append(f"teacher and student give {100 * self.agreement:.1f} % of the texts the same label")
        lines.append(
            "how many labels are right, and whether the probabilities are, cannot be known without labels of people: "
            "read some of each label, the least probable first"
        )
        return lines

    def warnings(self) -> list[str]:
        """What a user should know before using the labels."""
        given = [name for name, count in self.counts.items() if count]
        lines = [f"the teacher gave no usable answer for {self.untaught:,} texts"] if self.untaught else []
        if len(given) == 1 and not self.multi_label:
            return [*lines, f"all texts get the label {given[0]!r}: describe the labels, or choose another teacher"]
        absent = [repr(name) for name, count in self.counts.items() if not count]
        more = f" and {len(absent) - _SHOWN} more" if len(absent) > _SHOWN else ""
        return [*lines, f"no text gets the label {', '.join(absent[:_SHOWN])}{more}"] if absent else lines


def summary_of(labelled: LabelledTexts, spec: TaskSpec, below: float) -> LabelSummary:
    """Return what can be said of the labels. ``below``: see ``LabelSummary.unsure``.

    Raises InvalidInput where no text has a label.
    """
    answered = ~np.isnan(labelled.teacher).any(axis=1)
    has_label = ~np.isnan(labelled.probabilities).any(axis=1)
    if not has_label.any():
        raise InvalidInput("the teacher gave no usable answer for any text: look at its model and its answers")
    probabilities = labelled.probabilities[has_label]
    said, surest = decide(probabilities, spec.multi_label), probabilities.max(axis=1)
    unsure = ~said.any(axis=1) if spec.multi_label else surest < below
    taught = decide(labelled.teacher[answered], spec.multi_label)
    agreement = None
    if labelled.taught_by:
        agreement = float((decide(labelled.probabilities[answered], spec.multi_label) == taught).all(axis=1).mean())
    return LabelSummary(
        texts=len(said),
        untaught=int((~answered).sum()),
        source=labelled.source,
        taught_by=labelled.taught_by,
        counts=dict(zip(spec.label_names, said.sum(axis=0).tolist(), strict=True)),
        taught=dict(zip(spec.label_names, taught.sum(axis=0).tolist(), strict=True)),
        unsure=int(unsure.sum()),
        below=below,
        mean_probability=float(surest.mean()),
        agreement=agreement,
        multi_label=spec.multi_label,
        metrics=labelled.metrics,
    )
