"""The kinds of teachers: how each is loaded, and what its answers depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tornio.errors import InvalidInput, MissingPlugin
from tornio.models.combined import VERSION, CombinedZeroShot
from tornio.models.endpoints import endpoint_of
from tornio.models.nli import NliZeroShot
from tornio.models.port import ZeroShotModel
from tornio.models.zeroshot import EmbeddingZeroShot
from tornio.spec import NO_TEACHER, ClassifierSpec, MemberSpec

if TYPE_CHECKING:
    from tornio.models.loading import Loader


@dataclass(frozen=True, slots=True)
class TeacherKind:
    """One kind. ``load``: makes the model. ``parts``: everything that its answers depend on, beside labels, its own
    templates and text. Both raise InvalidInput for what cannot be such a teacher, and NotFound or Unavailable."""

    load: Callable[[MemberSpec, ClassifierSpec, Loader], ZeroShotModel]
    parts: Callable[[MemberSpec, ClassifierSpec, Loader], tuple[str, ...]]

    def digest(self, spec: MemberSpec, classifier: ClassifierSpec, loader: Loader) -> str:
        parts = (spec.kind, *self.parts(spec, classifier, loader))
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def teacher_kind(kind: str) -> TeacherKind:
    """Return the kind of this name. Raises InvalidInput for 'none', and MissingPlugin for an unknown one."""
    if kind == NO_TEACHER:
        raise InvalidInput(f"this task has no teacher: set teacher.kind in task.yaml to one of: {', '.join(TEACHERS)}")
    if kind not in TEACHERS:
        raise MissingPlugin(
            f"this release has no teacher of kind {kind!r}: upgrade Tornio, or set teacher.kind to one of: "
            f"{', '.join((*TEACHERS, NO_TEACHER))}"
        )
    return TEACHERS[kind]


def _base_parts(spec: MemberSpec, classifier: ClassifierSpec, loader: Loader) -> tuple[str, ...]:
    document, _ = loader.base(spec.base_name(classifier))
    return document.digest, str(classifier.max_length), loader.precision


def _embedding(spec: MemberSpec, classifier: ClassifierSpec, loader: Loader) -> ZeroShotModel:
    document, _ = loader.base(spec.base_name(classifier))
    # The last layer is the one that was trained for similarity.
    use = document.use(layer=-1, max_length=classifier.max_length)
    return EmbeddingZeroShot(loader.encoder(use), document.source)


def _nli(spec: MemberSpec, classifier: ClassifierSpec, loader: Loader) -> ZeroShotModel:
    document, _ = loader.base(spec.base_name(classifier))
    return NliZeroShot(loader.cache.folder(document.files), document.source, document.max_length, loader.precision)


def _llm(spec: MemberSpec, _classifier: ClassifierSpec, loader: Loader) -> ZeroShotModel:
    from tornio.models.llm.server import HttpChatServer
    from tornio.models.llm.teacher import LlmZeroShot

    endpoint = endpoint_of(spec.endpoint, loader.endpoints)
    return LlmZeroShot(loader.store, str(spec.endpoint), endpoint, HttpChatServer, spec.instruction)


def _llm_parts(spec: MemberSpec, _classifier: ClassifierSpec, loader: Loader) -> tuple[str, ...]:
    from tornio.models.llm.prompt import VERSION

    endpoint = endpoint_of(spec.endpoint, loader.endpoints)
    return str(VERSION), str(spec.endpoint), endpoint.model, str(endpoint.max_characters), spec.instruction


def _combined(spec: MemberSpec, classifier: ClassifierSpec, loader: Loader) -> ZeroShotModel:
    return CombinedZeroShot([(loader.teacher(one, classifier), one.templates) for one in spec.combines])


def _combined_parts(spec: MemberSpec, classifier: ClassifierSpec, loader: Loader) -> tuple[str, ...]:
    each = ((loader.teacher_digest(one, classifier), *one.templates) for one in spec.combines)
    return str(VERSION), *(json.dumps(parts, ensure_ascii=False) for parts in each)


TEACHERS: Mapping[str, TeacherKind] = {
    "embedding": TeacherKind(_embedding, _base_parts),
    "nli": TeacherKind(_nli, _base_parts),
    "llm": TeacherKind(_llm, _llm_parts),
    "combined": TeacherKind(_combined, _combined_parts),
}
