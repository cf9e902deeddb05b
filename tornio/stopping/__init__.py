"""Stopping criteria: when more labels no longer improve the model. Pure functions of signals that the loop stores."""

from tornio.stopping.criteria import CRITERIA, StopState, stop_state, stop_threshold
from tornio.stopping.kappa_average import cohen_kappa, kappa_average
from tornio.stopping.port import StoppingCriterion, StopPredictions

__all__ = [
    "CRITERIA",
    "StopPredictions",
    "StopState",
    "StoppingCriterion",
    "cohen_kappa",
    "kappa_average",
    "stop_state",
    "stop_threshold",
]
