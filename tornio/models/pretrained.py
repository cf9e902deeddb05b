"""Load a transformers checkpoint. Every model of this project is loaded here, and only if its files fill it.

transformers itself gives weights that a checkpoint lacks random values, and ignores those that a model has no place
for. Both would answer, wrongly and without a word.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from transformers.utils.logging import disable_progress_bar

from tornio.errors import InvalidInput
from tornio.models.device import Precision, device
from tornio.models.folder import check_folder, read_config

# Its table of weights is for those who train a new head, and so is its doubt about the ties of a head that is missing.
# What matters here is an error.
_NOT_SAID = ("LOAD REPORT", "checkpoint seem corrupted")
logging.getLogger("transformers.modeling_utils").addFilter(
    lambda record: not any(words in record.getMessage() for words in _NOT_SAID)
)

_SHOWN = 5
_LOADING = Lock()
"""One model of a process is loaded after the other: transformers changes torch's defaults while it loads one."""
_POOLER = r"(^|\.)pooler\."
_BUFFERS = r"(^|\.)(position_ids|token_type_ids|rotary_emb\.inv_freq|attn\.(masked_)?bias|version)$"
"""Constants that older releases of transformers saved with the weights."""
_HEADS = (
    r"^(cls|lm_head|lm_loss|lm_predictions|mask_predictions|predictions|generator_predictions|generator_lm_head"
    r"|entity_predictions"
    r"|discriminator_predictions|final_logits_bias|vocab_transform|vocab_layer_norm|vocab_projector|pred_layer|sop_classifier"
    r"|classifier|pre_classifier|qa_outputs|score|head|decoder|logits_proj|sequence_summary|classification_head)(\.|$)"
)
"""Heads that are trained together with a body: to predict words, classes, or parts of texts."""
_NOT_READ_BY_ENCODERS = re.compile("|".join((_POOLER, _BUFFERS, _HEADS)))
_HEADS_OF_WORDS = r"^(cls|lm_\w+|entity_predictions|mask_predictions|predictions|vocab_\w+|final_logits_bias)(\.|$)"
_MASKED_HEADS = r"^(cls|lm_head|vocab_\w+|generator_\w+|head|decoder)(\.|$)"
"""Heads of masked language models that are built here."""
_NOT_READ_BY_CLASSIFIERS = re.compile("|".join((_POOLER, _BUFFERS, _HEADS_OF_WORDS)))


def load_body(folder: Path, precision: Precision) -> Any:
    """Return the encoder of a folder, without a head: frozen, on its device.

    What neither kind of pooling reads may lack or be there besides: the pooler, and heads. Raises InvalidInput for a
    folder that is not such a model, and for a checkpoint that does not fill it; the message names the weights.
    """
    from transformers import AutoModel

    return _load(AutoModel, folder, precision, may_lack=re.compile(_POOLER), may_have=_NOT_READ_BY_ENCODERS)[0]


def load_masked(folder: Path) -> tuple[Any, bool]:
    """Return the masked language model of a folder in float32: frozen, on its device; and whether its head is new.

    A folder without such a head gets one with random weights, whose output matrix is the table of word embeddings.
    Raises InvalidInput as ``load_body`` does.
    """
    from transformers import AutoModelForMaskedLM

    lacks = re.compile(f"{_MASKED_HEADS}|{_POOLER}")
    model, missing = _load(AutoModelForMaskedLM, folder, "float32", may_lack=lacks, may_have=_NOT_READ_BY_ENCODERS)
    new_head = any(re.search(_MASKED_HEADS, name) for name in missing)
    if new_head:
        model.config.tie_word_embeddings = True
        model.tie_weights()
    return model, new_head


def load_classifier(folder: Path, precision: Precision) -> Any:
    """Return the sequence classifier of a folder: frozen, on its device. No weight may lack.

    Raises InvalidInput as ``load_body`` does.
    """
    from transformers import AutoModelForSequenceClassification

    return _load(
        AutoModelForSequenceClassification, folder, precision, may_lack=None, may_have=_NOT_READ_BY_CLASSIFIERS
    )[0]


def load_translator(folder: Path, precision: Precision) -> Any:
    """Return the sequence-to-sequence model of a folder: frozen, on its device. No weight may lack.

    Raises InvalidInput as ``load_body`` does, and for a model of another kind.
    """
    from transformers import AutoModelForSeq2SeqLM
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES as KNOWN

    kind = load_config(folder).model_type
    if kind not in KNOWN:
        raise InvalidInput(
            f"{folder} is a model of the kind {kind!r}, which does not translate. Give a sequence-to-sequence model, "
            "such as MarianMT, T5 or mBART."
        )
    if not any(folder.glob("*.safetensors")):
        raise InvalidInput(
            f"{folder} has no .safetensors file, and other weights are never loaded. Save the model with transformers' "
            "save_pretrained first."
        )
    return _load(AutoModelForSeq2SeqLM, folder, precision, may_lack=None, may_have=re.compile(_BUFFERS))[0]


def load_config(folder: Path) -> Any:
    """Return the transformers configuration of a folder. Raises InvalidInput for one that transformers cannot read."""
    from transformers import AutoConfig

    read_config(folder)
    try:
        return AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # transformers raises whatever its checks meet
        raise _unusable(folder, error) from error


def _load(
    auto_class: Any, folder: Path, precision: Precision, *, may_lack: re.Pattern[str] | None, may_have: re.Pattern[str]
) -> tuple[Any, list[str]]:
    """Load safetensors only, without remote code, and refuse weights that are missing, unexpected or of another shape.

    Returns the model, and the names of the weights that the checkpoint may lack and does.
    The attention is transformers' default, whatever config.json says: that may name code on the hub.
    """
    disable_progress_bar()  # type: ignore[no-untyped-call]  # it would show the reading of one local file
    check_folder(folder)
    config = load_config(folder)
    try:
        with _LOADING:
            model, said = auto_class.from_pretrained(
                str(folder),
                config=config,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=getattr(torch, precision),
                attn_implementation=None,
                output_loading_info=True,
            )
    except Exception as error:  # transformers and safetensors raise whatever they meet in broken files
        raise _unusable(folder, error) from error
    missing = [name for name in said["missing_keys"] if may_lack is None or not may_lack.search(name)]
    unexpected = [name for name in said["unexpected_keys"] if not may_have.search(name)]
    mismatched = [str(name[0] if isinstance(name, tuple) else name) for name in said["mismatched_keys"]]
    found = [
        f"{what} {_some(names)}"
        for what, names in (
            ("it lacks", missing),
            ("it has no place for", unexpected),
            ("it has another shape for", mismatched),
        )
        if names
    ]
    if found:
        raise InvalidInput(
            f"The weights of {folder} do not fill a {type(model).__name__}, which its config.json describes: "
            f"{'; '.join(found)}. A model with random or unused weights would answer wrongly. Save the whole model "
            "with transformers' save_pretrained, or give another one."
        )
    return model.eval().requires_grad_(False).to(device()), list(said["missing_keys"])


def _some(names: Iterable[str]) -> str:
    """The first names, and how many there are."""
    ordered = sorted(names)
    more = f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    return ", ".join(ordered[:_SHOWN]) + more


def _unusable(folder: Path, error: Exception) -> InvalidInput:
    return InvalidInput(
        f"{folder} cannot be loaded as a model ({type(error).__name__}: {error}). It needs config.json and safetensors "
        "of an architecture that transformers itself supports."
    )
