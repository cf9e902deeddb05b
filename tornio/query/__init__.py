"""Which records to ask next: query strategies, cold starts, and the hold-out's part of a batch."""

from tornio.query.candidates import ArraySource, Candidates, GradientEmbeddings, Labelled, Source
from tornio.query.port import Choosy, QueryStrategy, Selection
from tornio.query.selection import Picked, checked_rows, holdout_part, pick_batch, present_share, with_lapsed
from tornio.query.strategies import COLD_STARTS, STRATEGIES, cold_start_settings

__all__ = [
    "COLD_STARTS",
    "STRATEGIES",
    "ArraySource",
    "Candidates",
    "Choosy",
    "GradientEmbeddings",
    "Labelled",
    "Picked",
    "QueryStrategy",
    "Selection",
    "Source",
    "checked_rows",
    "cold_start_settings",
    "holdout_part",
    "pick_batch",
    "present_share",
    "with_lapsed",
]
