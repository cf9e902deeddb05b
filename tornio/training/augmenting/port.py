"""What an augmentation is. Light: a spec is checked with it where there is no torch.

An augmentation makes a view of a text: another text that a person would give the same label. A package adds one with
an entry point of the group ``tornio.augmentations``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from tornio.spec import Spec

if TYPE_CHECKING:
    from tornio.models.device import Precision
    from tornio.training.augmenting.words import Words
    from tornio.training.group import Group

Ids = NDArray[np.int64]
Augment = Callable[[Sequence[Ids], np.random.Generator], list[Ids]]
"""Token ids of texts to those of one view of each. All that is drawn comes from the generator."""
Variants = Mapping[str, Sequence[str]]
"""Texts that were written before a training, by the text of which they are views. A text may have none."""
S = TypeVar("S", bound=Spec)


class Desk(Protocol):
    """What an augmentation needs that writes texts before the training."""

    @property
    def precision(self) -> Precision:
        """What models compute in on this machine."""

    @property
    def group(self) -> Group:
        """The workers of the training, all of which write."""

    def translator(self, name: str) -> tuple[Path, str]:
        """Return folder and digest of a sequence-to-sequence model, by a name in the task's spec.

        Raises NotFound and Unavailable for a model that cannot be had, InvalidInput for one that does not translate.
        """

    def read(self, purpose: str) -> dict[str, tuple[str, ...]]:
        """Return all that this task has stored for a purpose: a digest of what it depends on beside the texts."""

    def keep(self, purpose: str, variants: Variants) -> None:
        """Store what was written for a purpose, so that an interrupted training and later ones find it."""

    def progress(self, done: int, total: int) -> None:
        """Report how many texts are done."""


@dataclass(frozen=True, eq=False)
class Corpus:
    """What an augmentation may know.

    ``texts``: token ids of all texts of the training, never empty. A view consists of their tokens and of those of
    ``written`` only, because the network keeps no others (``EncoderNetwork.narrow``). ``words``: where a word begins.
    ``base``: folder of the base encoder, which computes in ``precision``. ``written``: what an augmentation has written
    before the training: by its name and the bytes of a text's ids, the ids of that text's views.
    """

    texts: Sequence[Ids]
    words: Words
    base: Path
    precision: Precision
    written: Mapping[str, Mapping[bytes, Sequence[Ids]]] = field(default_factory=dict)


class Augmentation(ABC, Generic[S]):
    """A way to make views. An entry of ``AUGMENTATIONS`` is an instance.

    ``name``: what ``training.settings.augmentations`` says. ``settings``: model of what may be set under that name. A
    module with an augmentation imports torch inside ``prepare`` only.
    """

    name: ClassVar[str]
    settings: type[S]

    @abstractmethod
    def prepare(self, corpus: Corpus, settings: S) -> Augment:
        """Return the function that makes views. It keeps special tokens where they are, and at least one word.

        Raises InvalidInput for a base encoder that it cannot work with.
        """

    def write(self, texts: Sequence[str], settings: S, desk: Desk) -> Variants:
        """Return texts that are views of these, written once before the training. By default none.

        ``texts``: each once. ``prepare`` finds the result in ``Corpus.written``, and may use its tokens. Every worker
        of the training calls this with the same arguments, and gets the same result.
        """
        return {}

    def cost(self, settings: S) -> float:
        """Return about how many passes through the base ``write`` costs for each text."""
        return 0
