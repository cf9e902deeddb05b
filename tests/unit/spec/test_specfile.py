"""Reading task.yaml: what is right is read, what is wrong is named by its line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornio.errors import InvalidSpec
from tornio.spec import LabelSpec
from tornio.specfile import read_spec

pytestmark = pytest.mark.unit

GOOD = """\
workspace: care
name: tickets
labels:
  - billing
  - name: "no"
    description: Nothing to do.
loop:
  batch_size: 30
  stop:
    window: 5
"""


def problems(text: str) -> list[str]:
    with pytest.raises(InvalidSpec) as caught:
        read_spec(text, "t.yaml")
    return str(caught.value).splitlines()


def test_reads_a_spec() -> None:
    spec = read_spec(GOOD)
    assert spec.full_name == "care/tickets"
    assert spec.labels == (LabelSpec(name="billing"), LabelSpec(name="no", description="Nothing to do."))
    assert (spec.loop.batch_size, spec.loop.stop.window, spec.loop.seed) == (30, 5, 0)


def test_a_byte_order_mark_is_no_error() -> None:
    assert read_spec("\ufeff" + GOOD) == read_spec(GOOD)


TEACHERS = "workspace: care\nteacher: {kind: combined"
TWO = "{kind: embedding}, {kind: embedding, templates: ['{}']}"


@pytest.mark.parametrize(
    ("found", "instead", "line", "says"),
    [
        ("batch_size: 30", "batchsize: 30", 8, "loop.batchsize is not a field; did you mean 'batch_size'?"),
        ("batch_size: 30", "batch_size: 2", 8, "loop.batch_size: found 2; it must be greater than or equal to 4"),
        ("batch_size: 30", "batch_size: many", 8, "loop.batch_size: found 'many'; it must be a valid integer"),
        ("batch_size: 30", "seed: 1\n  seed: 2", 9, "found loop.seed a second time; the first one is in line 8"),
        ("batch_size: 30", "multi_label: true", 8, "loop.multi_label is not a field; did you mean multi_label?"),
        (
            "- billing",
            "- {name: billing, teams and players: }",
            4,
            "labels entry 1 teams and players is not a field; the fields here are: name, description,",
        ),
        ("workspace: care", "workspace: care\ngates: {canary: {minuts: 3}}", 2, "did you mean 'minutes'?"),
        (
            "workspace: care",
            "workspace: care\ngates: {canary: 3}",
            2,
            "canary: found 3; remove it, or indent its",
        ),
        (
            "workspace: care",
            "workspace: care\nfeedback: {share: 0.1, daily: 3}",
            2,
            "here are: share, per_day, longest",
        ),
        ("window: 5", "criterion: max-iterations", 10, "loop.stop.criterion 'max-iterations' needs"),
        ("window: 5", "window:", 10, "loop.stop.window: found nothing; it must be a valid integer"),
        ("workspace: care", "workspace: Care Team", 1, "workspace: found 'Care Team'; allowed: lower-case letters"),
        (
            "name: tickets",
            "name: 12",
            2,
            'name: found 12, which YAML does not read as text; put quotes around it, "12"',
        ),
        ('name: "no"', "name: no", 5, "labels entry 2 name: found no, which YAML does not read as text"),
        (
            "- billing",
            "- yes",
            4,
            'labels entry 1: found yes, which YAML does not read as text; put quotes around it, "yes"',
        ),
        ("- billing", "- 2020-01-01\n  - 1", 5, "labels entry 2: found 1, which YAML does not read as text"),
        ("- billing", "- [a]", 4, "labels entry 1: found a list; a label is a text, or a mapping"),
        ("- billing", '- "no"', 5, "found label 'no' a second time; the first one is in line 4"),
        ("- billing", "- a: b: c", 4, "found a ':' where YAML does not allow one"),
        ("  - billing", "\t- billing", 4, "found a tab: YAML indents with spaces"),
        (
            "workspace: care",
            "workspace: care\nmulti_label: maybe",
            2,
            "multi_label: found 'maybe'; allowed: true, false",
        ),
        (
            "workspace: care",
            "workspace: care\ngates:",
            2,
            "gates: found nothing; remove it, or indent its fields below",
        ),
        ("workspace: care", "workspace: care\nteacher: {kind: nli}", 2, "teacher.kind 'nli' needs teacher.model"),
        ("workspace: care", "workspace: care\nteacher: {templates: [x]}", 2, "teacher: template 'x' must contain {}"),
        ("workspace: care", f"{TEACHERS}, members: []}}", 2, "needs at least two teacher.members, and there are none"),
        (
            "workspace: care",
            f"{TEACHERS}, members: [{{kind: embedding}}]}}",
            2,
            "needs at least two teacher.members, and there is one",
        ),
        ("workspace: care", f"{TEACHERS}, members: [{TWO}, {{kind: combined}}]}}", 2, "list its members here instead"),
        ("workspace: care", f"{TEACHERS}, members: [{TWO}, {{members: [{TWO}]}}]}}", 2, "that is itself combined"),
        ("workspace: care", f"{TEACHERS}, members: [{TWO}], model: x}}", 2, "neither teacher.model nor"),
        ("workspace: care", f"{TEACHERS}, members: [{TWO}], templates: ['{{}}']}}", 2, "nor teacher.templates"),
        ("workspace: care", f"{TEACHERS}, members: [{TWO}], endpoint: x}}", 2, "teacher.endpoint needs teacher.kind"),
        ("workspace: care", f"workspace: care\nteacher: {{members: [{TWO}]}}", 2, "it is 'embedding'"),
        ("workspace: care", f"{TEACHERS}, members: [{{kind: nli}}, {{}}]}}", 2, "needs teacher.model"),
        ("workspace: care", f"{TEACHERS}, members: [{TWO}, {{modell: x}}]}}", 2, "did you mean 'model'?"),
        ("workspace: care", f"{TEACHERS}, members: [{TWO}, embedding]}}", 2, "(kind, model, endpoint, "),
        ("workspace: care", "workspace: &a care\nguidelines: *a", 2, "found an alias"),
        ("workspace: care", "workspace: care\nguidelines: *a", 2, "found an alias, *a: write"),
        ("workspace: care", "workspace: care\nguidelines: !!python/name:os.system x", 2, "found the tag"),
        ("workspace: care", "workspace: care\n<<: {guidelines: x}", 2, "found a key that is not a plain name"),
        ("workspace: care", "workspace: care\nguidelines: 'a\x00b'", 2, "found the character '\\x00'"),
        ("workspace: care", "workspace: care\n---\nx: y", 2, "found a second document"),
        ("workspace: care", " workspace: care", 2, "found an indentation that matches none of the lines above"),
    ],
)
def test_names_line_and_remedy(found: str, instead: str, line: int, says: str) -> None:
    (problem,) = problems(GOOD.replace(found, instead))
    assert problem.startswith(f"t.yaml, line {line}: ")
    assert says in problem


def test_tells_everything_at_once_in_the_order_of_the_file() -> None:
    told = problems("workspace: A\nlabels: [yes]\nfoo: 1\nloop:\n  seed: -1\n")
    assert [line.split(": ")[0] for line in told] == ["t.yaml, line 1"] * 2 + [f"t.yaml, line {n}" for n in (2, 3, 5)]
    assert any("name is missing" in line for line in told)


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n"])
def test_empty_file(text: str) -> None:
    assert problems(text) == ["t.yaml is empty. Give at least workspace, name and labels."]


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words\n"])
def test_not_a_mapping(text: str) -> None:
    assert "write each field on a line of its own, as 'name: value'" in problems(text)[0]


def test_labels_must_be_a_list_of_two() -> None:
    assert "it must be a list" in problems("workspace: a\nname: b\nlabels: spam\n")[0]
    assert "found 1 entries; give at least 2" in problems("workspace: a\nname: b\nlabels: [spam]\n")[0]
    many = ", ".join(f"l{number}" for number in range(1_001))
    assert "entries; at most 1,000 are allowed" in problems(f"workspace: a\nname: b\nlabels: [{many}]\n")[0]
    long = problems(f"workspace: a\nname: b\nlabels: [spam, {'x' * 5_000}]\n")[0]
    assert "found a text of 5,000 characters; at most 200 are allowed" in long


@given(st.text(alphabet=st.sampled_from("abc:-[]{}&*!|>'\"%@`#?,0 \n\t\x00\x85é\ud800"), max_size=60))
def test_any_text_is_read_or_refused_with_a_reason(text: str) -> None:
    with pytest.raises(InvalidSpec, match=r"task\.yaml"):
        read_spec(text)


def test_a_choice_that_does_not_exist_names_those_that_do() -> None:
    with pytest.raises(InvalidSpec, match="class_weights: found 'balancd'; allowed: balanced, none; did you mean"):
        read_spec(GOOD + "classifier:\n  fine_tuning:\n    class_weights: balancd\n")


def test_a_name_of_another_release_is_read() -> None:
    """Whoever applies a spec hears of names that do not exist; whoever reads a stored one must go on."""
    spec = read_spec(GOOD.replace("batch_size: 30", "strategy: from-a-later-release"))
    assert spec.loop.strategy == "from-a-later-release"
