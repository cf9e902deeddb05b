"""Rules for label names that people choose from. A stored spec is not checked again, because its task must go on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tornio.spec.limits import cut
from tornio.visible import appearance, has_visible, visible


def label_faults(names: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with the names of labels that are offered together, and what to do."""
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(appearance(name), name)
        shown = repr(cut(name))
        if not has_visible(name):
            yield f"the label {shown} has no character that people can see: give it another name"
        elif visible(name) != name:
            yield f"the label {shown} has a character that cannot be shown: remove it"
        elif other != name:
            yield (
                f"the labels {cut(other)!r} and {shown} look the same, or differ only by case, white space or "
                "form (² and 2): rename one of them"
            )
