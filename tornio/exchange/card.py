"""The model card of an exported version: README.md with YAML front matter. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from tornio.exchange.source import Source
from tornio.metricnames import METRICS, main_metric, shown
from tornio.visible import markdown_code, visible

_MARKS = re.compile(r"([\\`*_{}\[\]<>#|!~$&])")
"""What Markdown or HTML would obey in a line of text."""


def card(source: Source, form: str, usage: str, reasons: Mapping[str, str]) -> str:
    """Return the card. ``form``: the library that loads the folder. ``usage``: lines of Python that do so. ``reasons``:
    why the forms that would be preferred do not hold the version."""
    manifest = source.manifest
    several = "any number of labels" if manifest.multi_label else "one label"
    front = {
        "library_name": form if form in ("transformers", "sentence-transformers") else None,
        "pipeline_tag": "text-classification",
        "license": source.licence,
        "base_model": source.base.source if source.base is not None and source.base.commit else None,
        "tags": ["tornio", "text-classification"],
    }
    shown_front = yaml.safe_dump({name: value for name, value in front.items() if value}, sort_keys=False)
    parts = [
        f"---\n{shown_front}---",
        f"# {manifest.workspace}/{manifest.task}",
        f"A text classifier that gives a text {several}. It is version {markdown_code(manifest.version)}, of the kind "
        f"{manifest.kind}, trained by Tornio on {manifest.created_at:%Y-%m-%d}.",
        "## How to use it",
        f"```python\n{usage}```",
        f"It reads the first {source.max_length} tokens of a text.",
        *(f"Why this is no folder for {name}: {reason}." for name, reason in reasons.items()),
        "## Labels",
        "\n".join(_labels(source)),
        "## Training data",
        "\n\n".join(_data(source)),
        "## Scores",
        "\n".join(_scores(source)),
        "## Probabilities",
        _calibration(source),
        "## Base model",
        _base(source),
    ]
    return "\n\n".join(parts) + "\n"


def _labels(source: Source) -> Iterator[str]:
    """A table in the order of the model's outputs."""
    counts = source.iteration.labels if source.iteration is not None else {}
    several = source.manifest.multi_label
    yield "| label | description | training texts |" + (" least probability |" if several else "")
    yield "|---|---|---|" + ("---|" if several else "")
    for label in source.labels:
        threshold = f" {source.manifest.thresholds.get(label.name, 0.5):.3g} |" if several else ""
        name = markdown_code(label.name).replace("|", "\\|")
        yield f"| {name} | {_line(label.description or '')} | {counts.get(label.name, '')} |{threshold}"


def _data(source: Source) -> Iterator[str]:
    manifest, iteration = source.manifest, source.iteration
    texts = manifest.counts.get("training_texts") or (iteration.texts if iteration is not None else None)
    yield f"{texts:,} labelled texts." if texts else "The number of labelled texts was not recorded."
    if manifest.taught_by is not None:
        yield f"Their labels are those of a teacher, {markdown_code(manifest.taught_by)}, and not of people."
    if iteration is not None and iteration.automatic:
        yield "Some labels were given by an earlier version and not by people."


def _scores(source: Source) -> Iterator[str]:
    """The scores on the hold-out."""
    found: Mapping[str, Any] = source.iteration.metrics if source.iteration is not None else {}
    if not found.get("n"):
        yield "It has not been measured on labelled texts that it was not trained on."
        return
    main = main_metric(source.manifest.multi_label)
    yield f"On {found['n']:,} labelled texts that it was not trained on:\n"
    yield "| | score | meaning |"
    yield "|---|---|---|"
    for metric, meaning in METRICS.items():
        if metric in found and not (source.manifest.multi_label and metric == "accuracy"):
            between = found.get("interval") if metric == main else None
            interval = f" (95 % interval {between[0]:.3f} to {between[1]:.3f})" if between else ""
            yield f"| {shown(metric)} | {found[metric]:.3f}{interval} | {meaning} |"


def _calibration(source: Source) -> str:
    temperature = source.manifest.metrics.get("temperature")
    form = "a sigmoid of each logit" if source.manifest.multi_label else "the softmax of the logits"
    if temperature is None:
        return f"A probability is {form}. They were not calibrated."
    return (
        f"A probability is {form}. They were calibrated on labelled texts that the head had not seen: the logits are "
        f"divided by the temperature {temperature:.3g}, which is part of the weights."
    )


def _base(source: Source) -> str:
    if source.base is None:
        return "The store does not know the base model any longer. Look up its licence before you pass this model on."
    commit = f" at commit {markdown_code(source.base.commit)}" if source.base.commit else ""
    licence = (
        f"Its licence is {markdown_code(source.licence)}."
        if source.licence
        else "Its files do not say under which licence it is. Look that up before you pass this model on."
    )
    adapted = " It was adapted to the texts of a task." if source.base.parent else ""
    return f"{markdown_code(source.base.source)}{commit}.{adapted} {licence}"


def _line(text: str) -> str:
    """A text as one line of Markdown that shows it as it is."""
    return _MARKS.sub(r"\\\1", " ".join(visible(text).split()))
