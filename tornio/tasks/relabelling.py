"""Changes of a task's labels: what becomes of each label, and of the answers. Pure, but for the counting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from tornio.errors import InvalidSpec
from tornio.labels.resolve import resolve_under
from tornio.spec import LabelSpec, TaskSpec
from tornio.spec.limits import cut
from tornio.tasks.task import Task


@dataclass(frozen=True, slots=True)
class LabelChange:
    """``becomes``: each label of before, with its name now; None if it is removed. ``added``: labels without a past."""

    becomes: Mapping[str, str | None]
    added: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Relabelling:
    """A wanted change of labels in a user's words. ``merge``: each new name, with the labels that become it."""

    rename: Mapping[str, str] = field(default_factory=dict)
    merge: Mapping[str, Sequence[str]] = field(default_factory=dict)
    remove: Sequence[str] = ()
    add: Sequence[str | LabelSpec] = ()


def change_of(old: Sequence[str], new: Sequence[LabelSpec]) -> LabelChange:
    """Return what the labels of a task become. ``old``: their present names. ``new``: the labels that are wanted.

    A source that the task does not have is left over from an earlier change if the task has its new name. Raises
    InvalidSpec for any other source, and for a label that would become two.
    """
    names, present = {label.name for label in new}, set(old)
    becomes = dict[str, str | None]()
    for label in new:
        for source in label.sources:
            if source not in present:
                if label.name not in present:
                    raise InvalidSpec(
                        f"labels: {label.name!r} is made from {source!r}, which is no label of the task. It has "
                        f"{', '.join(old)}."
                    )
                continue
            if source != label.name and source in names:
                raise InvalidSpec(
                    f"labels: {source!r} becomes {label.name!r} and is also kept. A label cannot become two: remove "
                    "it and add new labels, and its texts are asked again."
                )
            if label.renamed_from is not None and label.name in present and source != label.name:
                raise InvalidSpec(
                    f"labels: the task has both {source!r} and {label.name!r}. To join them, give {label.name!r} "
                    f"merged_from: [{source!r}]."
                )
            if becomes.setdefault(source, label.name) != label.name:
                raise InvalidSpec(f"labels: {source!r} becomes both {becomes[source]!r} and {label.name!r}.")
    fates = {name: becomes.get(name, name if name in names else None) for name in old}
    return LabelChange(fates, tuple(label.name for label in new if label.name not in fates.values()))


def relabelled(spec: TaskSpec, wanted: Relabelling) -> TaskSpec:
    """Return the spec with the labels that the change makes, in their old order, with new ones behind.

    Raises InvalidSpec for a label that the task does not have, or that is named twice, and for new labels that break a
    rule of a spec.
    """
    sources = [*wanted.rename, *(name for names in wanted.merge.values() for name in names), *wanted.remove]
    unknown = sorted(set(sources) - set(spec.label_names))
    if unknown:
        names = ", ".join(spec.label_names)
        raise InvalidSpec(f"The task has no label {', '.join(map(repr, unknown))}. It has {names}.")
    twice = sorted(name for name, count in Counter(sources).items() if count > 1)
    if twice:
        raise InvalidSpec(f"The labels {', '.join(map(repr, twice))} are named twice: give each one change.")
    added = [_fields(label) for label in wanted.add]
    anew = {*wanted.rename.values(), *wanted.merge, *(label["name"] for label in added)}
    if back := sorted(anew.intersection(wanted.remove)):
        raise InvalidSpec(
            f"The labels {', '.join(map(repr, back))} would be removed and made anew, so their answers would stay. "
            "Give the new labels other names."
        )
    asked = [*_kept(spec, wanted), *added]
    _check_names([str(label["name"]) for label in asked])
    try:  # Built anew from plain values, so that every rule of a spec holds for the new labels.
        return TaskSpec.model_validate(spec.model_dump(mode="json", exclude_unset=True) | {"labels": asked})
    except ValidationError as error:
        said = "; ".join(fault["msg"].removeprefix("Value error, ") for fault in error.errors(include_url=False)[:3])
        raise InvalidSpec(f"The task cannot have these labels: {cut(said, 1_000)}.") from None


def _kept(spec: TaskSpec, wanted: Relabelling) -> Iterator[dict[str, Any]]:
    """Yield the fields of each label that comes from one of the task, not checked yet."""
    merged, made = {name: new for new, names in wanted.merge.items() for name in names}, set[str]()
    for label in spec.labels:
        name = label.name
        if name in wanted.remove:
            continue
        if name in wanted.rename:
            # What it was made from earlier is done, and a label has one kind of source.
            yield _fields(label) | {"name": wanted.rename[name], "renamed_from": name, "merged_from": []}
        elif (new := merged.get(name, name if name in wanted.merge else None)) is not None:
            if new not in made:
                made.add(new)
                own = next((one.description for one in spec.labels if one.name == new), None)
                froms = dict.fromkeys((*wanted.merge[new], *((new,) if new in spec.label_names else ())))
                yield {"name": new, "description": own, "merged_from": list(froms)}
        else:
            yield _fields(label)


def _fields(label: str | LabelSpec) -> dict[str, Any]:
    return {"name": label} if isinstance(label, str) else label.model_dump(mode="json", exclude_unset=True)


def _check_names(names: Sequence[str]) -> None:
    """Raise InvalidSpec for fewer than two labels, and for names that come twice."""
    if len(names) < 2:
        left = ", ".join(map(repr, map(cut, names))) or "none"
        raise InvalidSpec(
            f"A task needs at least two labels, and this change leaves {left}. Keep more labels, or add some."
        )
    again = sorted(name for name, count in Counter(names).items() if count > 1)
    if again:
        raise InvalidSpec(
            f"The task would have {cut(', '.join(map(repr, again)))} twice. To join two labels, merge them. To add "
            "one, give it another name."
        )


def count_labels(task: Task) -> Counter[str]:
    """Return how many records have each label, those of the hold-out included."""
    spec = task.spec
    events = task.label_view().events
    resolved = resolve_under(spec, events)
    return Counter(name for one in resolved.values() for name in one.labels or ())


def fates(change: LabelChange, counts: Mapping[str, int]) -> Iterator[str]:
    """Yield a sentence for each label that does not stay as it is. ``counts``: records with each label of before."""
    for name, now in change.becomes.items():
        texts = f"labelled texts: {counts.get(name, 0):,}"
        if now is None:
            yield f"{name!r} is removed ({texts}). A text that has no label left is asked again"
        elif now != name:
            joined = sum(one == now for one in change.becomes.values()) > 1
            yield f"{name!r} {'is merged into' if joined else 'is renamed to'} {now!r} ({texts})"
    for name in change.added:
        yield f"{name!r} is new: answers from before do not know it"
