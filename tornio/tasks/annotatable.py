"""Whether people can be asked what a spec says: checked before a task is made, not when its first batch is sent."""

from __future__ import annotations

from collections.abc import Iterator

from tornio.annotation.argilla_markup import guidelines_to_page
from tornio.annotation.argilla_wire import MAX_GUIDELINES, NONE_OF_THESE
from tornio.errors import InvalidSpec
from tornio.spec import TaskSpec
from tornio.spec.labels import label_faults
from tornio.spec.limits import told

MAX_LABELS = 500
"""Options that Argilla takes for one question, unless its operator raises the limit."""


def check_annotatable(spec: TaskSpec, old: TaskSpec | None, max_labels: int) -> None:
    """Raises InvalidSpec for labels or guidelines that annotators cannot be shown.

    ``old``: the spec that the task has. What it has already is not refused, so that a task that works goes on.
    """
    faults: list[str] = []
    if old is None or old.label_names != spec.label_names:
        faults += _labels(spec, max_labels)
    length = len(guidelines_to_page(spec.guidelines))
    if length > MAX_GUIDELINES and (old is None or old.guidelines != spec.guidelines):
        sign = " (each < outside of code is sent as the four of &lt;)" if length > len(spec.guidelines) else ""
        faults.append(
            f"guidelines: found {length:,} characters{sign}, but Argilla shows at most {MAX_GUIDELINES:,}. "
            "Shorten them, or link to a longer text."
        )
    if faults:
        raise InvalidSpec(told(faults, str))


def _labels(spec: TaskSpec, max_labels: int) -> Iterator[str]:
    own = 1 if spec.multi_label else 0  # the option for no label
    if len(spec.labels) + own > max_labels:
        yield (
            f"labels: found {len(spec.labels):,}, but annotators can be offered at most {max_labels - own:,}. Use "
            "fewer labels, for example by making one task for each group of them. If Argilla's own limit is raised "
            "(ARGILLA_LABEL_SELECTION_OPTIONS_MAX_ITEMS), set TORNIO_ARGILLA_MAX_LABELS to the same number."
        )
    if spec.multi_label and NONE_OF_THESE in spec.label_names:
        yield f"labels: {NONE_OF_THESE!r} is reserved, because annotators choose it for no label. Rename yours."
    yield from (f"labels: {fault}" for fault in label_faults(spec.label_names))
