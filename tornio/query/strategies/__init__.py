"""Query strategies, one module each, and the tables that name them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tornio.plugins import Table
from tornio.query.port import QueryStrategy
from tornio.query.strategies.clusters import EmbeddingKMeans, TypiClust
from tornio.query.strategies.committees import Bald, QueryByCommittee
from tornio.query.strategies.contrasting import Contrastive
from tornio.query.strategies.coresets import GreedyCoreset, LightweightCoreset
from tornio.query.strategies.covering import ProbCover
from tornio.query.strategies.diverse import Diverse
from tornio.query.strategies.gradients import Badge, ExpectedGradientLength
from tornio.query.strategies.near_labels import AnchorSubsampling, Seals
from tornio.query.strategies.several_labels import (
    Adaptive,
    CategoryVectorInconsistency,
    LabelCardinalityInconsistency,
)
from tornio.query.strategies.shuffled import Shuffled
from tornio.query.strategies.uncertainty import BreakingTies, LeastConfidence, MostConfident, PredictionEntropy
from tornio.query.strategies.wrapping import ClassBalancer, Mixed, Subsample
from tornio.spec import LoopSpec

_GROUP = "tornio.query_strategies"
_SHUFFLED = Shuffled()
_WITHOUT_MODEL: dict[str, QueryStrategy] = {
    "embedding-kmeans": EmbeddingKMeans(),
    "typiclust": TypiClust(),
    "prob-cover": ProbCover(),
    "greedy-coreset": GreedyCoreset(),
    "lightweight-coreset": LightweightCoreset(),
}
"""Strategies that look at embeddings alone, so that they can pick before there is a model and after it."""


def _strategies() -> Table[QueryStrategy]:
    return STRATEGIES


_STRATEGIES: dict[str, QueryStrategy] = {
    "random": _SHUFFLED,
    "least-confidence": LeastConfidence(),
    "breaking-ties": BreakingTies(),
    "prediction-entropy": PredictionEntropy(),
    "most-confident": MostConfident(),
    "badge": Badge(),
    "expected-gradient-length": ExpectedGradientLength(),
    "bald": Bald(),
    "query-by-committee": QueryByCommittee(),
    "contrastive": Contrastive(),
    **_WITHOUT_MODEL,
    "label-cardinality-inconsistency": LabelCardinalityInconsistency(),
    "adaptive": Adaptive(),
    "category-vector-inconsistency": CategoryVectorInconsistency(),
    "subsample": Subsample(_strategies),
    "seals": Seals(_strategies),
    "anchor-subsampling": AnchorSubsampling(_strategies),
    "class-balancer": ClassBalancer(_strategies),
    "mixed": Mixed(_strategies),
}
_COLD_STARTS: dict[str, QueryStrategy] = {"random": _SHUFFLED, "diverse": Diverse(), **_WITHOUT_MODEL}

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
