"""Query strategies, one module each, and the tables that name them."""

from __future__ import annotations

from tornio.plugins import Table
from tornio.query.port import QueryStrategy
from tornio.query.strategies.diverse import Diverse
from tornio.query.strategies.shuffled import Shuffled
from tornio.query.strategies.uncertainty import BreakingTies, LeastConfidence, PredictionEntropy

_GROUP = "tornio.query_strategies"

STRATEGIES: Table[QueryStrategy] = Table(
    "query strategy",
    _GROUP,
    QueryStrategy,  # type: ignore[type-abstract]
    {
        "random": Shuffled(),
        "least-confidence": LeastConfidence(),
        "breaking-ties": BreakingTies(),
        "prediction-entropy": PredictionEntropy(),
    },
)
"""What ``loop.strategy`` may name: strategies that pick with a model."""

COLD_STARTS: Table[QueryStrategy] = Table(
    "cold start",
    _GROUP,
    QueryStrategy,  # type: ignore[type-abstract]
    {"random": Shuffled(), "diverse": Diverse()},
)
"""What ``loop.cold_start`` may name: strategies that pick before there is a model."""
