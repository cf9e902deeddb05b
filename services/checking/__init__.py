"""``tornio deploy check``: report what a cluster lacks for a deployment, and what to do about it."""

from services.checking.checks import check_cluster, resolved
from services.checking.outside import check_outside, merged
from services.checking.wants import Wants, wants_of
from tornio.findings import Finding, Level

__all__ = ["Finding", "Level", "Wants", "check_cluster", "check_outside", "merged", "resolved", "wants_of"]
