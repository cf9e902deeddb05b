"""What a teacher, or several together, say of a pool: asked once, then read from the store."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np

from tornio.arrays import FloatMatrix
from tornio.models.combined import combine
from tornio.models.loading import Loader
from tornio.models.port import Asking
from tornio.pool.soft_labels import Score, SoftLabelCache
from tornio.pool.view import PoolPart, PoolView
from tornio.schemas.keys import TaskKeys
from tornio.spec import MemberSpec, TaskSpec
from tornio.storage.port import ObjectStore

log = logging.getLogger(__name__)

STAGE = "soft labels"
"""Name of the stage, until a teacher with a budget says in its place what its questions will cost."""
Report = Callable[[str, int, int | None, str], None]
"""Is told stage, records so far, all records, and the unit."""


@dataclass(frozen=True, slots=True)
class SoftLabels:
    """A teacher's probabilities for a pool. ``probabilities``: float32 [pool, labels], NaN for a text without.
    ``agent``: the teacher's name. ``folder``: where they are stored. ``tally``: see ``Scores``."""

    probabilities: FloatMatrix
    agent: str
    folder: str
    tally: Mapping[str, float]


def label_pool(
    loader: Loader, store: ObjectStore, keys: TaskKeys, spec: TaskSpec, view: PoolView, report: Report
) -> SoftLabels:
    """Return the probabilities that the spec's teacher gives to a pool. Parts of it that are stored are read.

    Where several teachers are combined, what each of them says is stored apart, as if it were the only one, and then
    what they say together. So a teacher that has labelled a part is never asked again about it. Raises as
    ``Loader.teacher`` and the teachers do.
    """
    pool = _Pool(loader, store, keys, spec, view, report)
    whole = pool.cache(spec.teacher)
    members = [pool.scorer(one) for one in spec.teacher.singles]
    caches = [pool.cache(one) for one in spec.teacher.combines]

    def together(part: PoolPart) -> FloatMatrix:
        each = [cache.of_part(part, score) for cache, score in zip(caches, members, strict=True)]
        return combine(each, spec.multi_label)

    found = whole.probabilities(view, together if caches else members[0], pool.part_done)
    return SoftLabels(found, whole.agent, whole.folder, pool.tally)


@dataclass
class _Pool:
    """The pool that is labelled, and how far that is. ``tally``: what teachers behind endpoints were asked."""

    loader: Loader
    store: ObjectStore
    keys: TaskKeys
    spec: TaskSpec
    view: PoolView
    report: Report
    tally: Counter[str] = field(default_factory=Counter)
    stage: str = STAGE
    ready: int = 0

    def cache(self, teacher: MemberSpec) -> SoftLabelCache:
        """Return the stored soft labels of a teacher."""
        spec, loader = self.spec, self.loader
        agent = loader.teacher(teacher, spec.classifier).name
        labels = [[label.name, label.description] for label in spec.labels]
        parts = [loader.teacher_digest(teacher, spec.classifier), labels, teacher.templates, spec.multi_label]
        digest = sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()[:32]
        return SoftLabelCache(self.store, self.keys, digest, spec.label_names, agent)

    def scorer(self, teacher: MemberSpec) -> Score:
        """Return what asks a teacher about a part."""
        spec, model = self.spec, self.loader.teacher(teacher, self.spec.classifier)
        cost = ""

        def score(part: PoolPart) -> FloatMatrix:
            nonlocal cost
            probabilities = np.full((len(part.table), len(spec.labels)), np.nan, dtype=np.float32)
            rows = [row for row, text in enumerate(part.texts) if text]  # a deleted record has none
            if not rows:
                return probabilities
            texts = [text for text in part.texts if text]
            if isinstance(model, Asking):
                if not cost:  # before its first question: what all of them will cost
                    cost = str(model.estimate(self.view.texts, spec.labels, spec.multi_label))
                    log.info("%s: %s", spec.full_name, cost)
                self.stage = cost
                self.done(0)
                scores = model.ask(texts, spec.labels, spec.multi_label, self.done)
            else:
                scores = model.score(texts, spec.labels, teacher.templates, spec.multi_label)
            self.tally.update(scores.tally)
            probabilities[rows] = scores.probabilities
            return probabilities

        return score

    def done(self, rows: int) -> None:
        """Report so many rows of the part that is being labelled."""
        self.report(self.stage, self.ready + rows, len(self.view), "records")

    def part_done(self, rows: int) -> None:
        """Report so many rows of the pool."""
        self.ready = rows
        self.done(0)
