"""Changes of a task's labels: what becomes of each label, and of the answers. Pure, but for the counting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tornio.errors import InvalidSpec
from tornio.labels.resolve import resolve
from tornio.spec import LabelSpec, TaskSpec
from tornio.tasks.task import Task


@dataclass(frozen=True, slots=True)
class LabelChange:
    """``becomes``: each label of before, with its name now; None if it is removed. ``added``: labels without a past."""

    becomes: Mapping[str, str | None]
    added: tuple[str, ...] = ()

    def removed(self) -> tuple[str, ...]:
        return tuple(name for name, now in self.becomes.items() if now is None)


@dataclass(frozen=True, slots=True)
class Relabelling:
    """A wanted change of labels in a user's words. ``merge``: each new name, with the labels that become it."""

    rename: Mapping[str, str] = field(default_factory=dict)
    merge: Mapping[str, Sequence[str]] = field(default_factory=dict)
    remove: Sequence[str] = ()
    add: Sequence[LabelSpec] = ()


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

    Raises InvalidSpec for a label that the task does not have, or that is named twice.
    """
    sources = [*wanted.rename, *(name for names in wanted.merge.values() for name in names), *wanted.remove]
    unknown = sorted(set(sources) - set(spec.label_names))
    if unknown:
        names = ", ".join(spec.label_names)
        raise InvalidSpec(f"The task has no label {', '.join(map(repr, unknown))}. It has {names}.")
    twice = sorted(name for name, count in Counter(sources).items() if count > 1)
    if twice:
        raise InvalidSpec(f"The labels {', '.join(map(repr, twice))} are named twice: give each one change.")
    anew = {*wanted.rename.values(), *wanted.merge, *(label.name for label in wanted.add)}
    if back := sorted(anew.intersection(wanted.remove)):
        raise InvalidSpec(
            f"The labels {', '.join(map(repr, back))} would be removed and made anew, so their answers would stay. "
            "Give the new labels other names."
        )
    merged = {name: new for new, names in wanted.merge.items() for name in names}
    labels, made = list[LabelSpec](), set[str]()
    for label in spec.labels:
        name = label.name
        if name in wanted.remove:
            continue
        if name in wanted.rename:
            labels.append(label.model_copy(update={"name": wanted.rename[name], "renamed_from": name}))
        elif (new := merged.get(name, name if name in wanted.merge else None)) is not None:
            if new not in made:
                made.add(new)
                own = next((one.description for one in spec.labels if one.name == new), None)
                froms = tuple(dict.fromkeys((*wanted.merge[new], *((new,) if new in spec.label_names else ()))))
                labels.append(LabelSpec(name=new, description=own, merged_from=froms))
        else:
            labels.append(label)
    # Built anew, so that every rule of a spec holds for the new labels.
    dumped = spec.model_dump(mode="json", exclude_unset=True)
    return TaskSpec.model_validate(dumped | {"labels": [*labels, *wanted.add]})


def count_labels(task: Task) -> Counter[str]:
    """Return how many records have each label, those of the hold-out included."""
    spec = task.spec
    events = task.label_view().events
    resolved = resolve(events, spec.label_names, spec.multi_label, spec.annotation.min_submitted)
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
