"""A drafted task.yaml reads back as what was drafted, whatever people call their labels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornio.errors import InvalidSpec
from tornio.spec.labels import label_faults
from tornio.specfile import read_spec
from tornio.specfile.draft import Draft, DraftLabel, write_draft

pytestmark = pytest.mark.unit

_LETTERS = st.characters(exclude_categories=["Cs"])
_NAMES = st.one_of(
    st.text(_LETTERS, min_size=1, max_size=30),
    st.sampled_from(
        ["0", "1.0", "true", "null", "~", "a: b", "# x", "- a", "[/bad]", "=cmd", "*a", "&a", "2020-01-01"]
    ),
)


@given(
    st.lists(_NAMES, min_size=2, max_size=5),
    st.text(_LETTERS, max_size=40),
    st.text(_LETTERS, max_size=40),
    st.booleans(),
)
def test_it_reads_back(names: list[str], description: str, source: str, several: bool) -> None:
    names = list(dict.fromkeys(name.strip() for name in names))
    labels = [DraftLabel(name, description, n) for n, name in enumerate(names)]
    draft = Draft("acme", "reviews", labels, source, several, [source])
    if len(names) < 2 or any(label_faults(names)) or any("\n" in name for name in names):
        return  # no task may have these
    spec = read_spec(write_draft(draft))
    assert spec.full_name == "acme/reviews"
    assert spec.label_names == tuple(names)
    assert spec.multi_label is several
    assert all(label.description == (description or None) for label in spec.labels)


def test_its_comments_say_how_to_go_on() -> None:
    labels = [DraftLabel("good", "They like it.", 1_200), DraftLabel("bad"), DraftLabel("other", "", 1)]
    text = write_draft(Draft("acme", "reviews", labels, "a\nb.csv", notes=["Two rows are empty."]))
    assert "  - name: good  # 1,200 rows of the file\n    description: They like it.\n" in text
    assert "  - name: bad\n    # description:\n" in text
    assert "  - name: other  # 1 row of the file\n" in text
    assert "# Two rows are empty.\n" in text
    assert "multi_label" not in text


def test_labels_that_no_task_may_have_are_refused() -> None:
    with pytest.raises(InvalidSpec):
        write_draft(Draft("acme", "reviews", [DraftLabel("only")], "a.csv"))
