"""The teacher as a Serve deployment. It loads its model with the first question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ray import serve

from services.batching import Batcher
from services.teacher.questions import Answer, Question, ask, response
from services.teacher.settings import TeacherSettings
from tornio.api import ZeroShotOut
from tornio.registry import NodeCache
from tornio.settings import NodeSettings, StorageSettings
from tornio.spec import ClassifierSpec, LabelSpec
from tornio.storage.s3 import open_store

if TYPE_CHECKING:
    from tornio.models.loading import Loader

_settings = TeacherSettings()


@serve.deployment(
    name="teacher",
    num_replicas=_settings.replicas,
    max_ongoing_requests=_settings.max_ongoing_requests,
    max_queued_requests=_settings.max_queued_requests,
    ray_actor_options={"num_cpus": _settings.num_cpus, "num_gpus": _settings.num_gpus},
)
class Teacher:
    """Zero-shot answers: labels and templates come with the request."""

    def __init__(self) -> None:
        self._settings = TeacherSettings()
        self._loader: Loader | None = None
        self._batcher = Batcher[Question, Answer](
            self._bind, batch_tokens=self._settings.batch_tokens, queue_tokens=self._settings.queue_tokens
        )

    async def score(
        self, texts: list[str], labels: Sequence[LabelSpec], templates: Sequence[str] = (), multi_label: bool = False
    ) -> ZeroShotOut:
        """Classify texts into these labels. Without templates, those of task.yaml's default are used.

        Raises InvalidInput; NotFound or Unavailable if the teacher's model cannot be had; Unavailable if overloaded.
        """
        question = Question.of(labels, templates, multi_label)
        return response(await self._batcher.submit(question, texts))

    def _ready(self) -> Loader:
        """Return the loader, made with the first question: many never ask one, and torch alone takes 150 MB."""
        if self._loader is not None:
            return self._loader
        import torch

        from tornio.models.loading import Loader

        node = NodeSettings()
        torch.set_num_threads(node.torch_threads)
        store = open_store(StorageSettings())
        self._loader = Loader(store, NodeCache(node.cache_dir, store), node.precision)
        return self._loader

    def _bind(self, question: Question) -> Callable[[Sequence[str]], Sequence[Answer]]:
        model = self._ready().teacher(self._settings.spec(), ClassifierSpec())
        return partial(ask, model, question)
