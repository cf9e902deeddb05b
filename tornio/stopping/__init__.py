"""Stopping criteria: when more labels no longer improve the model. Pure functions of what the loop stores."""

from tornio.stopping.criteria import BUILT_IN, CRITERIA, Level, levels, single_criteria, stop_state, stop_threshold
from tornio.stopping.kappa_average import cohen_kappa, kappa_average
from tornio.stopping.port import Selective, StopFacts, StoppingCriterion, StopPredictions, StopState
from tornio.stopping.several import Several
from tornio.stopping.target_accuracy import lower_bound

__all__ = [
    "BUILT_IN",
    "CRITERIA",
    "Level",
    "Selective",
    "Several",
    "StopFacts",
    "StopPredictions",
    "StopState",
    "StoppingCriterion",
    "cohen_kappa",
    "kappa_average",
    "levels",
    "lower_bound",
    "single_criteria",
    "stop_state",
    "stop_threshold",
]
