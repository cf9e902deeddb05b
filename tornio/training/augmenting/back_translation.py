"""Translate each text to another language and back, before the training.

Xie et al. (2020), "Unsupervised Data Augmentation for Consistency Training", section 2.2: random sampling with a
temperature, instead of beam search, makes views that differ. The default temperature is that of the paper's published
script. Deviations: a text is translated as a whole and cut at the model's limit, where the script translates sentence
by sentence; and each translation is drawn from random numbers that follow from the text alone, so that it is the same
whatever is translated beside it.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tornio.seeds import derive_seed
from tornio.spec import Spec, setting
from tornio.training.augmenting.port import Augment, Augmentation, Corpus, Desk, Ids, Variants

if TYPE_CHECKING:
    from tornio.models.device import Precision
    from tornio.models.translating import Translator

log = logging.getLogger(__name__)
PART = 256
"""Texts that are stored together. A training that is interrupted loses no more than that."""
PASSES = 25
"""About what a view costs, in passes of its text through MiniLM: see ``docs/consistency.md``."""
_VERSION = 1
"""Of how views are drawn. Those of another version are not read."""


class BackTranslationSettings(Spec):
    """Settings of the augmentation back-translation."""

    there: str = setting(
        change="next iteration",
        min_length=1,
        max_length=1000,
        doc="Model that translates to another language: named like an encoder. Required.",
    )
    back: str = setting(
        change="next iteration",
        min_length=1,
        max_length=1000,
        doc="Model that translates back: named like an encoder. It may be the first one with another prefix. Required.",
    )
    there_prefix: str = setting(
        "",
        change="next iteration",
        max_length=200,
        doc="What the first model is told before each text, such as 'translate English to German: ' for T5. Default "
        "nothing.",
    )
    back_prefix: str = setting(
        "",
        change="next iteration",
        max_length=200,
        doc="What the second model is told before each text. Default nothing.",
    )
    temperature: float = setting(
        0.8,
        change="next iteration",
        ge=0,
        le=2,
        doc="Each token is drawn from probabilities whose logits are divided by it: below 1 closer to the text, above "
        "1 further from it. At 0 the most probable token is taken, so all views of a text are alike. Default .8.",
    )
    new_tokens: int = setting(
        128,
        unit="tokens",
        change="next iteration",
        ge=1,
        le=4096,
        doc="Most tokens of a translation; it ends there. Default 128, about 100 words.",
    )
    variants: int = setting(
        1,
        unit="views of each text",
        change="next iteration",
        ge=1,
        le=20,
        doc="How many views each text has; one of them is drawn whenever it is read. Default 1, as in the paper.",
    )


class BackTranslation(Augmentation[BackTranslationSettings]):
    """A view is what two models make of the text: one translates it, the other translates the result back.

    A text of which they make nothing is its own view.
    """

    name = "back-translation"
    settings = BackTranslationSettings

    def write(self, texts: Sequence[str], settings: BackTranslationSettings, desk: Desk) -> Variants:
        """The texts are shared by the workers in parts, and each part is stored when it is done."""
        models = [desk.translator(name) for name in (settings.there, settings.back)]
        purpose = _purpose(settings, [digest for _, digest in models], desk.precision)
        known = desk.read(purpose)
        _wait(desk)  # all workers have read the same, and so share the same texts
        missing = [text for text in texts if text not in known]
        translators: list[Translator] = []
        for start in range(0, len(missing), PART * desk.group.size):
            own = start + PART * desk.group.rank
            mine = missing[own : own + PART]
            if mine:
                translators = translators or _loaded([folder for folder, _ in models], desk.precision)
                desk.keep(purpose, translated(mine, translators, settings))
            _wait(desk)
            desk.progress(min(start + PART * desk.group.size, len(missing)), len(missing))
        known = desk.read(purpose) if missing else known
        empty = sum(not known[text] for text in texts)
        if empty:
            log.warning("%d of %d texts have no back-translation, because a model wrote nothing.", empty, len(texts))
        return {text: known[text] for text in texts}

    def cost(self, settings: BackTranslationSettings) -> float:
        return PASSES * settings.variants

    def prepare(self, corpus: Corpus, settings: BackTranslationSettings) -> Augment:
        written = corpus.written[self.name]

        def view(ids: Ids, random: np.random.Generator) -> Ids:
            views = written[ids.tobytes()]
            return views[int(random.integers(len(views)))] if views else ids

        return lambda texts, random: [view(ids, random) for ids in texts]


def translated(
    texts: Sequence[str], translators: Sequence[Translator], settings: BackTranslationSettings
) -> dict[str, list[str]]:
    """Return the views of each text, without empty ones. ``translators``: there and back."""
    views: dict[str, list[str]] = {text: [] for text in texts}
    prefixes = (settings.there_prefix, settings.back_prefix)
    for variant in range(settings.variants if settings.temperature else 1):
        made = dict(zip(texts, texts, strict=True))
        for way, (translator, prefix) in enumerate(zip(translators, prefixes, strict=True)):
            left = [text for text, now in made.items() if now]
            said = translator.translate(
                [made[text] for text in left],
                prefix=prefix,
                temperature=settings.temperature,
                new_tokens=settings.new_tokens,
                seeds=[derive_seed("back-translation", way, variant, text) for text in left],
            )
            made = dict(zip(left, said, strict=True))
        for text, now in made.items():
            if now:
                views[text].append(now)
    return views


def _loaded(folders: Sequence[Path], precision: Precision) -> list[Translator]:
    """Return the two models; the same one is loaded once."""
    from tornio.models.translating import Translator

    loaded = {folder: Translator(folder, precision) for folder in dict.fromkeys(folders)}
    return [loaded[folder] for folder in folders]


def _purpose(settings: BackTranslationSettings, digests: Sequence[str], precision: str) -> str:
    chosen = settings.model_dump(mode="json", exclude={"there", "back"})
    parts = [BackTranslation.name, _VERSION, chosen, list(digests), precision]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _wait(desk: Desk) -> None:
    """Wait until all workers are here."""
    import torch

    desk.group.sum([torch.zeros(1)])
