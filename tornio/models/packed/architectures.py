"""The weights of BERT, DistilBERT, RoBERTa and ELECTRA, read from a transformers model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Head = Callable[[Tensor], Tensor]
"""Maps hidden states [n, hidden] to logits [n, classes], in the model's own precision."""


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear layer: ``weight`` [out, in], ``bias`` [out]."""

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True, slots=True)
class Norm:
    """A layer norm of the last axis: ``weight`` and ``bias`` [hidden], ``epsilon`` inside the root."""

    weight: Tensor
    bias: Tensor
    epsilon: float


@dataclass(frozen=True, slots=True)
class Layer:
    """A post-norm layer: attention, residual, norm; feed-forward, residual, norm. ``qkv``: the three, stacked."""

    qkv: Linear
    attention_output: Linear
    attention_norm: Norm
    up: Linear
    down: Linear
    norm: Norm


@dataclass(frozen=True, slots=True)
class Embeddings:
    """``words`` [vocabulary, embedding], ``positions`` [length, embedding], ``types`` [2, embedding] or None.

    ``projection``: present if embeddings and layers differ in width. ``padding``: positions are counted from this token
    id, and tokens of this id are skipped; None: they are counted from 0, and no token is skipped.
    """

    words: Tensor
    positions: Tensor
    types: Tensor | None
    norm: Norm
    projection: Linear | None
    padding: int | None


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights that the forward pass needs. ``heads``: attention heads per layer."""

    embeddings: Embeddings
    layers: tuple[Layer, ...]
    heads: int
    activation: Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class _Architecture:
    """The names of a transformers class's parameters. ``layer`` and the names after it are relative to a layer."""

    body: str
    classifier: str
    head: Callable[[Any], Head]
    layer: str
    qkv: tuple[str, str, str]
    attention_output: str
    attention_norm: str
    up: str
    down: str
    norm: str
    has_types: bool = True
    counts_from_padding: bool = False

    @property
    def in_layer(self) -> tuple[str, ...]:
        return *self.qkv, self.attention_output, self.attention_norm, self.up, self.down, self.norm


def _bert_head(model: Any) -> Head:
    pooler, classifier = model.bert.pooler, model.classifier
    return lambda first: classifier(pooler(first[:, None]))


def _distilbert_head(model: Any) -> Head:
    pre_classifier, classifier = model.pre_classifier, model.classifier
    return lambda first: classifier(torch.relu(pre_classifier(first)))


def _first_token_head(model: Any) -> Head:
    classifier = model.classifier
    return lambda first: classifier(first[:, None])


def _like_bert(body: str, classifier: str, head: Callable[[Any], Head], **more: bool) -> _Architecture:
    return _Architecture(
        body=body,
        classifier=classifier,
        head=head,
        layer="encoder.layer",
        qkv=("attention.self.query", "attention.self.key", "attention.self.value"),
        attention_output="attention.output.dense",
        attention_norm="attention.output.LayerNorm",
        up="intermediate.dense",
        down="output.dense",
        norm="output.LayerNorm",
        **more,
    )


_ARCHITECTURES = {
    "bert": _like_bert("BertModel", "BertForSequenceClassification", _bert_head),
    "roberta": _like_bert(
        "RobertaModel", "RobertaForSequenceClassification", _first_token_head, counts_from_padding=True
    ),
    "electra": _like_bert("ElectraModel", "ElectraForSequenceClassification", _first_token_head),
    "distilbert": _Architecture(
        body="DistilBertModel",
        classifier="DistilBertForSequenceClassification",
        head=_distilbert_head,
        layer="transformer.layer",
        qkv=("attention.q_lin", "attention.k_lin", "attention.v_lin"),
        attention_output="attention.out_lin",
        attention_norm="sa_layer_norm",
        up="ffn.lin1",
        down="ffn.lin2",
        norm="output_layer_norm",
        has_types=False,
    ),
}
_DISTILBERT_EPSILON = 1e-12
"""A constant in the class of transformers, not in the configuration."""
_NOT_READ = ("pooler.",)
"""Parameters of the body that hidden states do not depend on."""


def why_not(model: Any) -> str | None:
    """Return why this transformers model (a body, or one with a classification head) cannot be packed; None if it can.

    Everything that affects its hidden states must be known: an unknown class or parameter is a reason to refuse.
    """
    config = model.config
    architecture = _ARCHITECTURES.get(config.model_type)
    name = type(model).__name__
    if architecture is None or name not in (architecture.body, architecture.classifier):
        return f"{name} is not one of BERT, DistilBERT, RoBERTa and ELECTRA"
    if getattr(config, "is_decoder", False) or getattr(config, "add_cross_attention", False):
        return "it is a decoder"
    if getattr(config, "position_embedding_type", None) not in (None, "absolute"):
        return f"its position embeddings are {config.position_embedding_type}"
    if getattr(config, "quantization_config", None) is not None:
        return "it is quantized"
    if not isinstance(_activation_name(config), str):
        return "its activation has no name"
    present = {name for name, _ in body_of(model).named_parameters() if not name.startswith(_NOT_READ)}
    unexpected = sorted(present ^ set(_names(architecture, config)))
    return f"its parameters are not the usual ones: {', '.join(unexpected[:3])}" if unexpected else None


def read_weights(model: Any) -> Weights:
    """Return the weights of a model that ``why_not`` accepts. All but ``qkv`` share memory with the model."""
    config = model.config
    architecture = _ARCHITECTURES[config.model_type]
    parameters = {name: parameter.detach() for name, parameter in body_of(model).named_parameters()}
    epsilon = getattr(config, "layer_norm_eps", _DISTILBERT_EPSILON)

    def linear(name: str) -> Linear:
        return Linear(parameters[f"{name}.weight"], parameters[f"{name}.bias"])

    def norm(name: str) -> Norm:
        return Norm(parameters[f"{name}.weight"], parameters[f"{name}.bias"], epsilon)

    def layer(prefix: str) -> Layer:
        three = [linear(f"{prefix}.{part}") for part in architecture.qkv]
        return Layer(
            qkv=Linear(torch.cat([one.weight for one in three]), torch.cat([one.bias for one in three])),
            attention_output=linear(f"{prefix}.{architecture.attention_output}"),
            attention_norm=norm(f"{prefix}.{architecture.attention_norm}"),
            up=linear(f"{prefix}.{architecture.up}"),
            down=linear(f"{prefix}.{architecture.down}"),
            norm=norm(f"{prefix}.{architecture.norm}"),
        )

    embeddings = Embeddings(
        words=parameters["embeddings.word_embeddings.weight"],
        positions=parameters["embeddings.position_embeddings.weight"],
        types=parameters.get("embeddings.token_type_embeddings.weight"),
        norm=norm("embeddings.LayerNorm"),
        projection=linear("embeddings_project") if "embeddings_project.weight" in parameters else None,
        padding=config.pad_token_id if architecture.counts_from_padding else None,
    )
    return Weights(
        embeddings=embeddings,
        layers=tuple(layer(f"{architecture.layer}.{number}") for number in range(config.num_hidden_layers)),
        heads=config.num_attention_heads,
        activation=_activation(_activation_name(config)),
    )


def body_of(model: Any) -> Any:
    """Return the model without a head."""
    return model.base_model


def head_of(model: Any) -> Head:
    """Return the classification head of a model that ``why_not`` accepts, without a reference to the body."""
    return _ARCHITECTURES[model.config.model_type].head(model)


def _names(architecture: _Architecture, config: Any) -> Iterator[str]:
    """Yield the names of all parameters of the body that hidden states depend on."""
    yield from ("embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight")
    if architecture.has_types:
        yield "embeddings.token_type_embeddings.weight"
    modules = ["embeddings.LayerNorm"]
    if getattr(config, "embedding_size", config.hidden_size) != config.hidden_size:
        modules.append("embeddings_project")
    for number in range(config.num_hidden_layers):
        modules += (f"{architecture.layer}.{number}.{part}" for part in architecture.in_layer)
    for module in modules:
        yield from (f"{module}.weight", f"{module}.bias")


def _activation_name(config: Any) -> Any:
    return config.activation if config.model_type == "distilbert" else config.hidden_act


def _activation(name: str) -> Callable[[Tensor], Tensor]:
    from transformers.activations import ACT2FN

    function: Callable[[Tensor], Tensor] = ACT2FN[name]
    return function
