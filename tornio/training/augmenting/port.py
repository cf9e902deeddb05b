"""What an augmentation is. Light: a spec is checked with it where there is no torch.

An augmentation makes a view of a text: another text that a person would give the same label. A package adds one with
an entry point of the group ``tornio.augmentations``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from tornio.spec import Spec

if TYPE_CHECKING:
    from tornio.models.device import Precision
    from tornio.training.augmenting.words import Words

Ids = NDArray[np.int64]
Augment = Callable[[Sequence[Ids], np.random.Generator], list[Ids]]
"""Token ids of texts to those of one view of each. All that is drawn comes from the generator."""
S = TypeVar("S", bound=Spec)


@dataclass(frozen=True, eq=False)
class Corpus:
    """What an augmentation may know.

    ``texts``: token ids of all texts of the training, never empty. A view consists of their tokens only, because the
    network keeps no others (``EncoderNetwork.narrow``). ``words``: where a word begins. ``base``: folder of the base
    encoder, which computes in ``precision``.
    """

    texts: Sequence[Ids]
    words: Words
    base: Path
    precision: Precision


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
