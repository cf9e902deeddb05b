"""How long a text and how large a token id a model can read, and how many layers it has, by its configuration."""

from __future__ import annotations

from typing import Any

_COUNT_FROM_PADDING = frozenset(
    (
        "camembert",
        "data2vec-text",
        "esm",
        "ibert",
        "layoutlmv3",
        "lilt",
        "longformer",
        "luke",
        "markuplm",
        "mpnet",
        "roberta",
        "roberta-prelayernorm",
        "xlm-roberta",
        "xlm-roberta-xl",
        "xmod",
    )
)
"""Architectures whose first token has the position after the padding token's id, so that the rows up to it in the table
of positions are never used (``create_position_ids_from_input_ids`` in transformers)."""
_SHORTENS = frozenset(("funnel",))
"""Architectures whose layers shorten the text, so that their hidden states do not stand side by side."""
_MPNET_PADDING = 1
"""MPNet's padding, whatever its configuration says: a constant in its class."""


def most_tokens(config: Any) -> int | None:
    """Return the number of tokens that the model's positions suffice for; None if the configuration states no limit."""
    stated = getattr(config, "max_position_embeddings", None)
    if not isinstance(stated, int) or stated <= 0:
        return None
    if config.model_type not in _COUNT_FROM_PADDING:
        return stated
    padding = _MPNET_PADDING if config.model_type == "mpnet" else getattr(config, "pad_token_id", None)
    return max(1, stated - (padding if isinstance(padding, int) else _MPNET_PADDING) - 1)


def vocabulary(config: Any) -> int | None:
    """Return the number of token ids that the model has an embedding for; None if the configuration does not say."""
    size = getattr(config, "vocab_size", None)
    return size if isinstance(size, int) and size > 0 else None


def layers(config: Any) -> int | None:
    """Return the number of layers, whose hidden states have one shape; None if the configuration does not say."""
    number = getattr(config, "num_hidden_layers", None)
    return number if isinstance(number, int) and number > 0 and config.model_type not in _SHORTENS else None
