"""Which encoder a task means by the name in its spec."""

from __future__ import annotations

from hashlib import sha256

from tornio.models.loading import Loader
from tornio.registry import Encoders
from tornio.schemas.registry import EncoderPin, EncoderUse
from tornio.spec import ClassifierSpec
from tornio.storage import documents
from tornio.tasks.task import Task


def encoder_of(task: Task, classifier: ClassifierSpec, loader: Loader) -> EncoderUse:
    """Return how this spec uses its encoder.

    The first call for a name pins what it means for this task, so later runs embed with the same weights. Raises
    NotFound and Unavailable for an encoder that cannot be had.
    """
    key = task.keys.encoder_pin(sha256(classifier.encoder.encode()).hexdigest()[:32])
    pinned = documents.find(task.store, key, EncoderPin)
    if pinned is None:
        use = loader.encoder_use(classifier.encoder, classifier.max_length)
        pin = EncoderPin(source=classifier.encoder, digest=use.digest, layer=use.layer)
        pin = documents.create_or_get(task.store, key, pin)
    else:
        pin = pinned[0]
    return Encoders(task.store).get(pin.digest).use(pin.layer, classifier.max_length)
