"""The forms that a version can be written in, and which of them holds which version.

``FORMS`` is the table of forms. A version gets the first that holds it, of those of its kind.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tornio.exchange import built_in, usage, weights
from tornio.exchange.card import card
from tornio.exchange.families import Family, family_of
from tornio.exchange.modules import write_json, write_modules
from tornio.exchange.packing import ABOUT, CARD, About, FormName
from tornio.exchange.source import Source
from tornio.models.folder import is_tokenizer_file, read_object
from tornio.models.outputs import MULTI, SINGLE

_TOKENIZER_CONFIG = "tokenizer_config.json"


@dataclass(frozen=True, slots=True)
class Form:
    """``name``: of the library that loads it. ``refuses``: why it does not hold a version; None if it does. ``write``:
    writes the files into an empty folder. ``usage``: lines of Python that load them.
    """

    name: FormName
    refuses: Callable[[Source], str | None]
    write: Callable[[Source, Path], None]
    usage: Callable[[Source], str]


# transformers: a classifier that the pipeline loads


def _no_classifier(source: Source) -> str | None:
    if family_of(source.config) is None:
        return f"no class of transformers has a linear head on a {source.config['model_type']}"
    if source.use.normalise:
        return "it scales vectors to length one, which no class of transformers does before its head"
    if len(source.use.pooled) > 1:
        return "it reads several layers, and the classes of transformers read one"
    most = built_in.most_labels(source.head.weight.shape[1])
    if len(source.manifest.labels) > most:
        return f"an encoder of this width can hold {most} labels in the weights of a transformers classifier"
    return None


def _write_classifier(source: Source, folder: Path) -> None:
    family = family_of(source.config)
    assert family is not None
    tensors = weights.stored(source.encoder)
    depth = _depth(family, tensors) + 1 + source.use.pooled[0]
    kept = {name: one for name, one in _within(family, tensors, depth).items() if not name.startswith("pooler.")}
    if source.use.pooling == "mean":
        inner = next(one.shape[0] for name, one in tensors.items() if name.endswith(f".{family.up}.weight"))
        layer, scale, first = built_in.mean_layer(family, source.head, inner, depth)
        new = {**layer, **built_in.classify(family, source.head, scale, first)}
        depth += 1
    else:
        new = dict(built_in.classify(family, source.head))
    weights.write(folder / weights.FILE, kept, lambda name: f"{family.prefix}.{name}", new)
    _write_config(source, folder, {family.depth: depth, "architectures": [family.classifier]})
    _write_tokenizer(source, folder)


# sentence-transformers: modules whose last gives the logits


def _no_modules(source: Source) -> str | None:
    if len(source.use.pooled) > 1:
        return "it reads several layers, and the modules of sentence-transformers cannot put them side by side"
    if source.use.pooled[0] != -1 and family_of(source.config) is None:
        return f"a {source.config['model_type']} cannot be cut at the layer that the head reads"
    return None


def _write_modules(source: Source, folder: Path) -> None:
    tensors, family, changes = weights.stored(source.encoder), family_of(source.config), dict[str, Any]()
    if family is not None:
        depth = _depth(family, tensors) + 1 + source.use.pooled[0]
        tensors, changes = _within(family, tensors, depth), {family.depth: depth}
    weights.write(folder / weights.FILE, tensors)
    _write_config(source, folder, changes)
    _write_tokenizer(source, folder)
    labels, width = source.head.weight.shape
    use = source.use
    last = write_modules(folder, width, use.pooling, use.normalise, source.max_length, then=["Dense"])[-1]
    dense = {
        "in_features": width,
        "out_features": labels,
        "bias": True,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    write_json(last / "config.json", dense)
    head = {"linear.weight": source.head.weight, "linear.bias": source.head.bias}
    weights.write(last / weights.FILE, {}, new=head)


# Encoder and head side by side, with the lines of code that put them together


def _write_side_by_side(source: Source, folder: Path) -> None:
    weights.write(folder / weights.FILE, weights.stored(source.encoder))
    _write_config(source, folder, {})
    _write_tokenizer(source, folder)
    source.head.save(folder)


FORMS: tuple[Form, ...] = (
    Form("transformers", _no_classifier, _write_classifier, usage.pipeline),
    Form("sentence-transformers", _no_modules, _write_modules, usage.modules),
    Form("encoder-and-head", lambda _: None, _write_side_by_side, usage.side_by_side),
)


def form_of(source: Source) -> tuple[Form, Mapping[str, str]]:
    """Return the first form that holds the version, and why those before it do not."""
    reasons: dict[str, str] = {}
    for form in FORMS:
        reason = form.refuses(source)
        if reason is None:
            return form, reasons
        reasons[form.name] = reason
    raise AssertionError("the last form holds every version")


def write_version(source: Source, folder: Path) -> Form:
    """Write the version into an empty folder: the files of its form, ``tornio.json`` and a card. Returns the form.

    Raises InvalidInput for weights that are not complete.
    """
    form, reasons = form_of(source)
    form.write(source, folder)
    manifest, use = source.manifest, source.use
    about = About(
        task=f"{manifest.workspace}/{manifest.task}",
        version=manifest.version,
        form=form.name,
        labels=manifest.labels,
        multi_label=manifest.multi_label,
        thresholds=manifest.thresholds,
        max_length=source.max_length,
        pooling=use.pooling,
        normalise=use.normalise,
        layers=use.pooled,
    )
    write_json(folder / ABOUT, about.model_dump(mode="json"))
    (folder / CARD).write_text(card(source, form.name, form.usage(source), reasons), encoding="utf-8")
    return form


def _depth(family: Family, tensors: Mapping[str, weights.Stored]) -> int:
    """The number of layers that the weights have."""
    numbers = (family.layer(family.bare(name) or "") for name in tensors)
    return 1 + max((number for number in numbers if number is not None), default=-1)


def _within(family: Family, tensors: Mapping[str, weights.Stored], depth: int) -> dict[str, weights.Stored]:
    """The encoder's weights up to this number of layers, by their names without prefix."""
    kept = {name: one for old, one in tensors.items() if (name := family.bare(old)) is not None}
    return {name: one for name, one in kept.items() if (number := family.layer(name)) is None or number < depth}


def _write_config(source: Source, folder: Path, changes: Mapping[str, Any]) -> None:
    """The encoder's config.json with the labels in their order; it loads in float32, as the head was trained."""
    labels = source.manifest.labels
    dropped = ("torch_dtype", "num_labels", "_name_or_path", "transformers_version", "auto_map")
    config = {name: value for name, value in source.config.items() if name not in dropped}
    told = {
        "id2label": {str(number): name for number, name in enumerate(labels)},
        "label2id": {name: number for number, name in enumerate(labels)},
        "problem_type": MULTI if source.manifest.multi_label else SINGLE,
        "dtype": "float32",
    }
    if source.manifest.multi_label:
        told["thresholds"] = source.manifest.thresholds
    write_json(folder / "config.json", {**config, **told, **changes})


def _write_tokenizer(source: Source, folder: Path) -> None:
    """The tokenizer's files. It cuts where the version does, on the right, once truncation is asked for."""
    for path in source.encoder.iterdir():
        if path.is_file() and is_tokenizer_file(path.name):
            shutil.copyfile(path, folder / path.name)
    said = {"model_max_length": source.max_length, "truncation_side": "right", "padding_side": "right"}
    write_json(folder / _TOKENIZER_CONFIG, {**read_object(folder / _TOKENIZER_CONFIG), **said})
