"""Query strategies, one module each, and the tables that name them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tornio.plugins import Table
from tornio.query.port import QueryStrategy
from tornio.query.strategies.diverse import Diverse
from tornio.query.strategies.shuffled import Shuffled
from tornio.query.strategies.uncertainty import BreakingTies, LeastConfidence, PredictionEntropy
from tornio.spec import LoopSpec

_GROUP = "tornio.query_strategies"
_SHUFFLED = Shuffled()
_STRATEGIES: dict[str, QueryStrategy] = {
    "random": _SHUFFLED,
    "least-confidence": LeastConfidence(),
    "breaking-ties": BreakingTies(),
    "prediction-entropy": PredictionEntropy(),
}
_COLD_STARTS: dict[str, QueryStrategy] = {"random": _SHUFFLED, "diverse": Diverse()}

STRATEGIES: Table[QueryStrategy] = Table(
    "query strategy",
    _GROUP,
    QueryStrategy,  # type: ignore[type-abstract]
    _STRATEGIES,
    reserved=_COLD_STARTS,
)
"""What ``loop.strategy`` may name: strategies that pick with a model."""

COLD_STARTS: Table[QueryStrategy] = Table(
    "cold start",
    _GROUP,
    QueryStrategy,  # type: ignore[type-abstract]
    _COLD_STARTS,
    reserved=_STRATEGIES,
)
"""What ``loop.cold_start`` may name: strategies that pick before there is a model."""


def cold_start_settings(loop: LoopSpec) -> Mapping[str, Any]:
    """The settings of the cold start: those of the strategy where it is the same one, else its defaults."""
    return loop.strategy_settings if loop.cold_start == loop.strategy else {}
