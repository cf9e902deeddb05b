"""Stopping criteria: when more labels stop paying. Pure functions of what the loop remembers."""

from tornio.stopping.criteria import kappa_average, stop_reason

__all__ = ["kappa_average", "stop_reason"]
