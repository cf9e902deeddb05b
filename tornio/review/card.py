"""The card of a corrected set on the hub. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tornio.scoring.ranking import Precision
from tornio.visible import markdown_code


def card(
    title: str,
    run: str,
    model: str,
    ranking: str,
    labels: Sequence[str],
    multi_label: bool,
    rows: int,
    so_far: Precision,
) -> str:
    """Return Markdown with YAML front matter: what the data set is, how it was made, and what its columns mean."""
    share = "" if so_far.share is None else f" ({100 * so_far.share:.1f} %)"
    several = ", as lists" if multi_label else ""
    unsettled = f"{so_far.discarded:,} were discarded and {so_far.disputed:,} are disputed; they keep their label."
    return f"""---
task_categories:
- text-classification
tags:
- tornio
- corrected-labels
---

# {title}

{rows:,} labelled texts. A model ({model}) scored them, and the {so_far.shown:,} most suspicious ones by {ranking} were
shown to people. {so_far.reviewed:,} of those have been decided: {so_far.changed:,} labels{share} were wrong and are
corrected here. {unsettled}

| column | meaning |
|---|---|
| `row` | position in the data that was scored |
| `record_id` | id of the text |
| `text` | the text |
| `original_label` | the label that the text had{several} |
| `corrected_label` | the reviewers' label; the original one if nobody was asked or the reviewers did not decide |
| `review` | `unreviewed`, `confirmed`, `changed`, `discarded` or `disputed` |
| `who` | who answered, as user ids of the annotation tool |
| `when` | time of the latest answer |

Labels, in this order: {", ".join(map(markdown_code, labels))}.

Made by Tornio, run `{run}`.
"""
