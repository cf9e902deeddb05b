"""Predict on this machine, with a transformers model that was trained elsewhere: ``tornio predict --model``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from tornio.cli import screen
from tornio.cli.data import split_names
from tornio.cli.here import check_extra
from tornio.cli.predict_file import Predictor
from tornio.cli.stores import use_store
from tornio.errors import InvalidInput
from tornio.exchange.packing import ABOUT
from tornio.models.folder import read_object
from tornio.records import Prediction

_AT_ONCE = 1024
"""Texts between two savings of the partial result. The engine packs as many tokens together as suit the machine."""


def predictor_of_model(model: str, labels: str | None, *, multi_label: bool, max_length: int) -> Predictor:
    """Return what predicts with this model: a folder, ``s3://bucket/prefix``, or a hub id.

    ``labels``: names in the model's order, for a model that does not name them. Raises InvalidInput where they do not
    fit the model, and NotFound or Unavailable where it cannot be had.
    """
    check_extra()
    from jobs.running.process import job_context
    from tornio.models.decide import decide_labels
    from tornio.models.folder import read_config
    from tornio.models.outputs import read_outputs
    from tornio.models.sequence import SequenceClassifier

    _check_form(model)
    use_store()
    loader = job_context().loader
    document, layer = loader.base(model)
    use = document.use(layer, max_length)
    folder = loader.base_folder(use)
    outputs = read_outputs(read_config(folder))
    several = multi_label or outputs.several is True
    names = split_names(labels) or outputs.names
    classifier = SequenceClassifier(
        folder, names, multi_label=several, max_length=use.max_length, precision=loader.precision
    )

    def predict(texts: Iterable[str], advance: screen.Advance) -> Iterator[Prediction]:
        left = iter(texts)
        while some := list(islice(left, _AT_ONCE)):
            scores = classifier.score(some)
            chosen = decide_labels(scores.probabilities, names, several)
            rows = zip(chosen, scores.probabilities.tolist(), scores.truncated.tolist(), strict=True)
            for given, probabilities, truncated in rows:
                by_name = dict(zip(names, probabilities, strict=True))
                yield Prediction(given, by_name, truncated, document.source, 0, multi_label=several)
            advance(len(some))

    name = f"{document.digest}, {use.max_length} tokens, {', '.join(names)}, several labels: {several}"
    return Predictor(name, tuple(names), several, predict)


def _check_form(model: str) -> None:
    """Raises InvalidInput for a folder of `tornio export model` that transformers does not load as a classifier."""
    folder, form = Path(model), None
    if (folder / ABOUT).is_file():
        with suppress(InvalidInput):  # of another program: transformers says whether it can read the folder
            form = read_object(folder / ABOUT).get("form")
    if form in ("sentence-transformers", "encoder-and-head"):
        raise InvalidInput(
            f"{model} is a version that was exported in the form {form}, which transformers does not load as a "
            "classifier. Predict with a task that serves it (`tornio versions import` gives it to another task), or "
            f"with the code in {folder / 'README.md'}."
        )
