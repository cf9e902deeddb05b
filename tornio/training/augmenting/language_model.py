"""Hide words, and let the base's own masked-language head fill the gaps.

Kobayashi (2018), "Contextual Augmentation", with a masked language model as in Wu et al. (2019), "Conditional BERT
Contextual Augmentation", but without the label, which unlabelled texts do not have. Deviation: only tokens that occur
in the texts fill a gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tornio.errors import InvalidInput
from tornio.spec import Spec, setting
from tornio.training.augmenting.port import Augment, Augmentation, Corpus, Ids

if TYPE_CHECKING:
    from tornio.training.adapting.masked import MaskedNetwork


class LanguageModelSettings(Spec):
    """Settings of the augmentation language-model."""

    share: float = setting(
        0.15, unit="share of the tokens", change="next iteration", gt=0, lt=1,
        doc="Probability with which a token is replaced. Default .15, the share that the head was trained on.",
    )  # fmt: skip


class LanguageModel(Augmentation[LanguageModelSettings]):
    """Tokens are drawn from what the base's masked-language head expects in their place. It costs one more pass of the
    base for each view, and the memory of a second copy of it."""

    name = "language-model"
    settings = LanguageModelSettings

    def prepare(self, corpus: Corpus, settings: LanguageModelSettings) -> Augment:
        from tornio.models.pretrained import load_config
        from tornio.training.adapting.masked import HEADS, MaskedNetwork
        from tornio.training.adapting.masking import Masker

        kind = load_config(corpus.base).model_type
        if kind not in HEADS:
            raise InvalidInput(
                f"the augmentation language-model does not know the architecture {kind!r} of this encoder: it knows "
                f"{', '.join(HEADS)}. Choose another augmentation"
            )
        network = MaskedNetwork(corpus.base, "mean", corpus.precision)
        if network.new_head:
            raise InvalidInput(
                "this encoder comes without a masked-language head, so the augmentation language-model cannot use it. "
                "Choose another augmentation, or give the encoder a head: tornio encoders adapt --objective "
                "masked-language"
            )
        network.eval()
        masker = Masker.of(corpus.base, network.body.get_input_embeddings().num_embeddings, whole_words=False)
        open_tokens = np.unique(np.concatenate(corpus.texts))
        open_tokens = open_tokens[~masker.closed.numpy()[open_tokens]]

        def views(texts: Sequence[Ids], random: np.random.Generator) -> list[Ids]:
            return _filled(texts, network, masker.mask_id, corpus, open_tokens, settings.share, random)

        return views


def _filled(
    texts: Sequence[Ids],
    network: MaskedNetwork,
    mask_id: int,
    corpus: Corpus,
    candidates: Ids,
    share: float,
    random: np.random.Generator,
) -> list[Ids]:
    """Return the texts with tokens drawn from the head's probabilities of the candidates."""
    import torch

    from tornio.training.adapting.masking import Masked

    ids = np.concatenate(texts)
    chosen = np.flatnonzero((random.random(len(ids)) < share) & ~corpus.words.closed[ids])
    if not len(chosen):
        return list(texts)
    hidden = ids.copy()
    hidden[chosen] = mask_id
    ends = np.cumsum([len(text) for text in texts])[:-1]
    masked = Masked(np.split(hidden, ends), torch.from_numpy(chosen), torch.from_numpy(ids[chosen]))
    with torch.no_grad():
        logits = network.logits(masked)[:, torch.from_numpy(candidates)].cpu().numpy()
    # The largest of logits with Gumbel noise is a draw from their softmax.
    filled = ids.copy()
    filled[chosen] = candidates[(logits + random.gumbel(size=logits.shape)).argmax(axis=1)]
    return np.split(filled, ends)
