"""Prove that a base model can be used before it is published: it reads a short and a longest text."""

from __future__ import annotations

import numpy as np

from tornio.arrays import FloatMatrix
from tornio.errors import InvalidInput
from tornio.models.device import precision
from tornio.models.encoder import load_engine
from tornio.models.engine import classifier_for
from tornio.models.folder import check_folder
from tornio.models.pretrained import load_classifier
from tornio.models.sources import EncoderSource
from tornio.models.tokens import Tokenizer, Tokens

LONGEST = 8192
"""Most tokens of the longest text. Models that read more have no table of positions that could end."""


def prove(source: EncoderSource) -> None:
    """Load the model with all its weights, and run one forward pass.

    A folder whose config.json names a class for sequence classification is loaded as that, any other as an encoder.
    Raises InvalidInput with what went wrong.
    """
    check_folder(source.folder)
    tokenizer = Tokenizer(source.folder, min(source.max_length, LONGEST))
    short = tokenizer.encode(["a"]).ids[0]
    tokens = Tokens([short, np.resize(short, tokenizer.max_length)], None, np.zeros(2, dtype=bool))
    try:
        outputs = _outputs(source, tokens)
    except InvalidInput:
        raise
    except Exception as error:  # torch raises whatever it meets
        raise InvalidInput(
            f"The model in {source.folder} cannot read a text of {max(tokens.lengths)} tokens "
            f"({type(error).__name__}: {error}). If its positions end earlier, set model_max_length in "
            "tokenizer_config.json to the number of tokens that it reads."
        ) from error
    if not np.isfinite(outputs).all():
        raise InvalidInput(f"The outputs of {source.folder} are not all finite: the model is broken. Give another one.")


def _outputs(source: EncoderSource, tokens: Tokens) -> FloatMatrix:
    if source.architecture.endswith("ForSequenceClassification"):
        return classifier_for(load_classifier(source.folder, precision())).logits(tokens)
    engine = load_engine(source.folder, precision())
    if engine.hidden_size != source.dimension:
        raise InvalidInput(
            f"The model in {source.folder} gives vectors of {engine.hidden_size} numbers, but its config.json says "
            f"{source.dimension}. Copy the folder again."
        )
    return engine.pooled(tokens, source.pooling, (source.layer,))
