"""The messages that the deployments send each other: frozen values that can be pickled.

All deployments of an application have the same release, so these messages need no versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tornio.schemas.registry import Alias
from tornio.schemas.trial import TrialTerms
from tornio.status.reported import ControllerStatus, HeldVersions, ReplicaReport

__all__ = ["AliasUpdate", "Aliases", "ControllerStatus", "Heartbeat", "HeldVersions", "ReplicaReport"]


@dataclass(frozen=True, slots=True)
class Aliases:
    """The versions that the aliases of one task name.

    ``current``: version and revision. ``previous``: the version that ``current`` named before. ``outdated_labels``: see
    ``Alias``, of ``current``. ``trial``: see ``Alias``, of ``candidate``.
    """

    current: tuple[str, int] | None = None
    previous: str | None = None
    candidate: str | None = None
    outdated_labels: bool = False
    trial: TrialTerms | None = None

    @property
    def named(self) -> frozenset[str]:
        """Every version that an alias names: a replica keeps these in memory."""
        current = self.current[0] if self.current else None
        return frozenset(version for version in (current, self.previous, self.candidate) if version)

    @property
    def deploying(self) -> tuple[str, TrialTerms | None] | None:
        """The candidate with the terms of its trial: a change of them must find the candidate loaded."""
        return (self.candidate, self.trial) if self.candidate else None

    @property
    def revision(self) -> int:
        """The revision of ``current``; 0 while nothing serves. It never decreases."""
        return self.current[1] if self.current else 0

    @classmethod
    def of(cls, current: Alias | None, candidate: Alias | None) -> Aliases:
        """Return the aliases that these documents of the store describe."""
        return cls(
            current=(current.version, current.revision) if current else None,
            previous=current.previous if current else None,
            candidate=candidate.version if candidate else None,
            outdated_labels=current.outdated_labels if current else False,
            trial=candidate.trial if candidate else None,
        )


@dataclass(frozen=True, slots=True)
class AliasUpdate:
    """The aliases of every task, by full name, and the token that identifies this state of them."""

    token: str
    tasks: Mapping[str, Aliases]


Heartbeat = Mapping[str, HeldVersions]
"""What a classifier replica holds, by full task name."""
