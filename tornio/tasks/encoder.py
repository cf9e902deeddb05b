"""Which model a task means by a name in its spec."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

from tornio.models.loading import Loader
from tornio.registry import Encoders
from tornio.schemas.registry import EncoderDocument, EncoderPin, EncoderUse
from tornio.spec import ClassifierSpec
from tornio.storage import documents
from tornio.tasks.task import Task


def encoder_of(task: Task, classifier: ClassifierSpec, loader: Loader) -> EncoderUse:
    """Return how this spec uses its encoder.

    The first call for a name pins what it means for this task, so later runs embed with the same weights. Raises
    NotFound and Unavailable for an encoder that cannot be had.
    """
    pin = _pin(task, classifier.encoder, lambda: _encoder(classifier, loader))
    return Encoders(task.store).get(pin.digest).use(pin.layer, classifier.max_length)


def translator_of(task: Task, name: str, loader: Loader) -> EncoderDocument:
    """Return the sequence-to-sequence model of this name, which is pinned as an encoder is.

    Raises NotFound and Unavailable for a model that cannot be had, InvalidInput for one that does not translate.
    """
    return Encoders(task.store).get(_pin(task, name, lambda: _translator(name, loader)).digest)


def _encoder(classifier: ClassifierSpec, loader: Loader) -> EncoderPin:
    use = loader.encoder_use(classifier.encoder, classifier.max_length)
    return EncoderPin(source=classifier.encoder, digest=use.digest, layer=use.layer)


def _translator(name: str, loader: Loader) -> EncoderPin:
    document, layer = loader.base(name, translates=True)
    return EncoderPin(source=name, digest=document.digest, layer=layer)


def _pin(task: Task, name: str, resolve: Callable[[], EncoderPin]) -> EncoderPin:
    key = task.keys.encoder_pin(sha256(name.encode()).hexdigest()[:32])
    pinned = documents.find(task.store, key, EncoderPin)
    return documents.create_or_get(task.store, key, resolve()) if pinned is None else pinned[0]
