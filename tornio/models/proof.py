"""Prove that a base model can be used before it is published: it reads a short and a longest text."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from tornio.arrays import FloatMatrix
from tornio.errors import InvalidInput
from tornio.models.device import Precision
from tornio.models.device import precision as precision_for
from tornio.models.encoder import load_engine
from tornio.models.engine import classifier_for
from tornio.models.folder import check_folder, read_object
from tornio.models.pretrained import load_classifier
from tornio.models.sources import EncoderSource
from tornio.models.tokens import Tokenizer, Tokens
from tornio.models.translating import prove_translator

LONGEST = 8192
"""Most tokens of the longest text. Models that read more have no table of positions that could end."""
_BEYOND = re.compile(r"out of (bounds|range)|device-side assert")
"""How torch says, on processors and on GPUs, that an index is beyond the end of a table."""
_ALL_LETTERS = "the quick brown fox jumps over the lazy dog"


def prove(source: EncoderSource, precision: str, translates: bool = False) -> None:
    """Load the model with all its weights in the precision of this node, and run one forward pass.

    A folder whose config.json names a class for sequence classification is loaded as that, any other as an encoder; one
    that ``translates``, as a translator. Raises InvalidInput with what went wrong.
    """
    check_folder(source.folder)
    if translates:
        prove_translator(source.folder, precision_for(precision))
    else:
        _prove_encoder(source, precision_for(precision))


def _prove_encoder(source: EncoderSource, computed_in: Precision) -> None:
    tokenizer = Tokenizer(source.folder, min(source.max_length, LONGEST))
    _check_case(source.folder, tokenizer)
    tokens = tokenizer.encode(["a", "a " * tokenizer.max_length])
    try:
        outputs = _outputs(source, tokens, computed_in)
    except InvalidInput:
        raise
    except Exception as error:  # torch raises whatever it meets
        raise InvalidInput(
            f"The model in {source.folder} cannot read a text of {max(tokens.lengths)} tokens "
            f"({type(error).__name__}: {error}). {_advice(error, computed_in)}"
        ) from error
    if not np.isfinite(outputs).all():
        raise InvalidInput(f"The outputs of {source.folder} are not all finite: the model is broken. Give another one.")


def _check_case(folder: Path, tokenizer: Tokenizer) -> None:
    """Raise InvalidInput if sentence-transformers would write texts in lower case before the tokenizer reads them."""
    name = "sentence_bert_config.json"
    if not read_object(folder / name).get("do_lower_case"):
        return
    upper, lower = tokenizer.encode([_ALL_LETTERS.upper(), _ALL_LETTERS]).ids
    if not np.array_equal(upper, lower):
        raise InvalidInput(
            f"{folder / name} says do_lower_case, but the tokenizer reads capital letters as others, so the vectors "
            "would be others than its makers intended. Add a Lowercase normalizer to tokenizer.json."
        )


def _advice(error: Exception, precision: Precision) -> str:
    """What to do about an error of torch."""
    if isinstance(error, IndexError) or _BEYOND.search(str(error)):
        return (
            "If its positions end earlier, set model_max_length in tokenizer_config.json to the number of tokens that "
            "it reads."
        )
    if precision == "bfloat16":
        return "If it cannot compute in bfloat16, set TORNIO_PRECISION=float32 on all nodes."
    return "Give another model."


def _outputs(source: EncoderSource, tokens: Tokens, precision: Precision) -> FloatMatrix:
    if source.architecture.endswith("ForSequenceClassification"):
        return classifier_for(load_classifier(source.folder, precision)).logits(tokens)
    engine = load_engine(source.folder, precision)
    if engine.hidden_size != source.dimension:
        raise InvalidInput(
            f"The model in {source.folder} gives vectors of {engine.hidden_size} numbers, but its config.json says "
            f"{source.dimension}. Copy the folder again."
        )
    return engine.pooled(tokens, source.pooling, (source.layer,))
