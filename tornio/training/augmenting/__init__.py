"""The augmentations by name, and the views that several of them make together. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tornio.arrays import BoolVector
from tornio.errors import InvalidInput
from tornio.plugins import Table, read_settings
from tornio.spec import Spec
from tornio.training.augmenting.back_translation import BackTranslation
from tornio.training.augmenting.language_model import LanguageModel
from tornio.training.augmenting.moving import WordDropout, WordSwap
from tornio.training.augmenting.port import Augment, Augmentation, Corpus, Desk, Ids, Variants
from tornio.training.augmenting.tfidf import TfIdf

__all__ = ["AUGMENTATIONS", "Views", "check_augmentations", "cost_of_writing", "write_views"]

AUGMENTATIONS: Table[Augmentation[Any]] = Table(
    "augmentation",
    "tornio.augmentations",
    Augmentation,  # type: ignore[type-abstract]  # the table only tests whether an entry is one
    {entry.name: entry for entry in (WordDropout(), WordSwap(), TfIdf(), LanguageModel(), BackTranslation())},
)
"""Built-in augmentations, and those of installed packages."""

WHERE = "training.settings.augmentations"


def check_augmentations(wanted: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise InvalidSpec for a name that does not exist here, and for settings that are not the augmentation's."""
    for name in wanted:
        AUGMENTATIONS.check(name, WHERE)
        _settings(name, wanted[name])


def write_views(
    wanted: Mapping[str, Mapping[str, Any]], texts: Sequence[str], desk: Callable[[], Desk]
) -> dict[str, Variants]:
    """Return what the augmentations write before the training, by their names; none for one that writes nothing.

    ``texts``: each once. ``desk``: called only where something is written. Raises what ``Augmentation.write`` does.
    """
    writing = {name: _settings(name, values) for name, values in wanted.items() if _writes(name)}
    return {name: AUGMENTATIONS.get(name).write(texts, values, desk()) for name, values in writing.items()}


def cost_of_writing(wanted: Mapping[str, Mapping[str, Any]]) -> float:
    """Return about how many passes through the base it costs to write the views of each text."""
    return sum(AUGMENTATIONS.get(name).cost(_settings(name, values)) for name, values in wanted.items())


def _writes(name: str) -> bool:
    return type(AUGMENTATIONS.get(name)).write is not Augmentation.write


@dataclass(frozen=True, eq=False)
class Views:
    """Makes views of texts. Each text's view is made by one of the augmentations, drawn at random."""

    augments: Mapping[str, Augment]
    corpus: Corpus
    known: BoolVector
    longest: int

    @classmethod
    def of(cls, wanted: Mapping[str, Mapping[str, Any]], corpus: Corpus) -> Views:
        """``wanted``: settings by the augmentation's name. Raises MissingPlugin, and InvalidInput as ``prepare``."""
        augments = {
            name: AUGMENTATIONS.get(name).prepare(corpus, _settings(name, values)) for name, values in wanted.items()
        }
        known = np.zeros(len(corpus.words.closed), dtype=bool)
        written = [ids for views in corpus.written.values() for each in views.values() for ids in each]
        known[np.concatenate([*corpus.texts, *written])] = True
        return cls(augments, corpus, known, max(map(len, corpus.texts)))

    def __call__(self, texts: Sequence[Ids], random: np.random.Generator) -> list[Ids]:
        """Return a view of each text, which is not empty and not longer than the longest text of the corpus.

        Raises InvalidInput for an augmentation that makes tokens that no text has.
        """
        which = random.integers(len(self.augments), size=len(texts))
        views = list(texts)
        # A stored spec has lost the order in which they were written.
        for number, (name, augment) in enumerate(sorted(self.augments.items())):
            rows = np.flatnonzero(which == number).tolist()
            for row, view in zip(rows, augment([texts[row] for row in rows], random) if rows else (), strict=True):
                views[row] = self._checked(name, view)
        return views

    def _checked(self, name: str, view: Ids) -> Ids:
        if not len(view) or not self.known[view].all():
            raise InvalidInput(
                f"the augmentation {name!r} made a text that is empty or has tokens that no text of the corpus has: "
                "look at the package that brings it"
            )
        return self.corpus.words.cut(view, self.longest)


def _settings(name: str, values: Mapping[str, Any]) -> Spec:
    settings: Spec = read_settings(AUGMENTATIONS.get(name).settings, values, f"{WHERE}.{name}")
    return settings
