"""Which records to ask next: query strategies, cold starts, the hold-out's part. Pure functions."""

from tornio.query.cold_start import cold_start
from tornio.query.holdout import is_reserved
from tornio.query.selection import Picked, pick_batch
from tornio.query.strategies import Uncertainty, uncertainty

__all__ = ["Picked", "Uncertainty", "cold_start", "is_reserved", "pick_batch", "uncertainty"]
