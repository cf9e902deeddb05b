"""Architectures whose weights are rewritten here: how transformers names the parts of their layers and heads.

In all of them, a layer normalises after each of its two halves (post-LN), as in the first BERT. Then the states after
each layer are the output of a model that ends there, and a layer can be added that pools (``built_in``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

HALF, ONE = 0.5, 1.0
_CONSTANTS = re.compile(r"\.(position_ids|token_type_ids)$")
"""Numbers that older releases of transformers saved with the weights."""


@dataclass(frozen=True, slots=True)
class Family:
    """``classifier``: the class for sequence classification; ``prefix``: what it calls the encoder in it. ``depth``:
    the field of config.json with the number of layers. ``layers``: what the names of a layer's weights begin with,
    before its number.

    ``query`` to ``norm``: the parts of a layer, which are linear maps and two norms. ``pooler``, ``head``: two linear
    maps after the first token's state, with a function f between them. ``gain``: f(z) - f(-z) is z / ``gain`` for small
    z: 1/2 for tanh, and 1 for ReLU and GELU, for which it holds for every z.
    """

    classifier: str
    prefix: str
    depth: str = "num_hidden_layers"
    layers: str = "encoder.layer."
    query: str = "attention.self.query"
    key: str = "attention.self.key"
    value: str = "attention.self.value"
    out: str = "attention.output.dense"
    attention_norm: str = "attention.output.LayerNorm"
    up: str = "intermediate.dense"
    down: str = "output.dense"
    norm: str = "output.LayerNorm"
    pooler: str = "classifier.dense"
    head: str = "classifier.out_proj"
    gain: float = HALF

    def bare(self, name: str) -> str | None:
        """Return the name of an encoder's weight without the prefix. None for what is no weight of the encoder: heads
        and constants. The pooler, which no encoder here reads, belongs to it where transformers builds one."""
        name = name.removeprefix(f"{self.prefix}.")
        parts = (self.layers.partition(".")[0], "embeddings", "embeddings_project", "pooler")
        return name if name.partition(".")[0] in parts and not _CONSTANTS.search(name) else None

    def layer(self, name: str) -> int | None:
        """Return the number of the layer that a weight without prefix belongs to."""
        found = re.match(re.escape(self.layers) + r"(\d+)\.", name)
        return int(found[1]) if found else None


FAMILIES: Mapping[str, Family] = {
    "bert": Family("BertForSequenceClassification", "bert", pooler="bert.pooler.dense", head="classifier"),
    "roberta": Family("RobertaForSequenceClassification", "roberta"),
    "xlm-roberta": Family("XLMRobertaForSequenceClassification", "roberta"),
    "camembert": Family("CamembertForSequenceClassification", "roberta"),
    "electra": Family("ElectraForSequenceClassification", "electra", gain=ONE),
    "distilbert": Family(
        "DistilBertForSequenceClassification",
        "distilbert",
        depth="n_layers",
        layers="transformer.layer.",
        query="attention.q_lin",
        key="attention.k_lin",
        value="attention.v_lin",
        out="attention.out_lin",
        attention_norm="sa_layer_norm",
        up="ffn.lin1",
        down="ffn.lin2",
        norm="output_layer_norm",
        pooler="pre_classifier",
        head="classifier",
        gain=ONE,
    ),
}
"""By ``model_type`` of config.json."""


def family_of(config: Mapping[str, Any]) -> Family | None:
    """Return the family of a model with this config.json; None for an architecture that is not rewritten here."""
    return FAMILIES.get(str(config.get("model_type")))
