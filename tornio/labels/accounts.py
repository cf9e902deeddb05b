"""Which annotators have no account any more. The annotation tool deletes the answers of an account together with it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from tornio.annotation.port import AnnotationTool


@dataclass
class Accounts:
    """The accounts of a workspace, as far as this process has seen them. Ids are the tool's permanent user ids."""

    annotation: AnnotationTool
    workspace: str
    names: dict[str, str] = field(default_factory=dict)
    """The name of every account that was seen, by id. Only a process that saw an account before it was deleted knows
    its name."""
    _gone: set[str] = field(default_factory=set)

    def gone(self, ids: Collection[str], responding: Collection[str] = ()) -> set[str]:
        """Return those of ``ids`` that have no account in the workspace.

        ``responding``: annotators who certainly have one, because the tool shows responses of theirs. Call it after the
        reading in which their answers were missing: then an account that is found had not been deleted at the time of
        the reading. An account that was gone may be there again. Raises what the annotation tool raises.
        """
        self._gone -= set(responding)
        if ids:
            present = self.annotation.accounts(self.workspace)
            self.names.update(present)
            self._gone = (self._gone | set(ids)) - present.keys() - set(responding)
        return self._gone & set(ids)

    @property
    def gone_names(self) -> tuple[str, ...]:
        """The names of all accounts that ``gone`` has missed, sorted; the id where the name is not known."""
        return tuple(sorted(self.names.get(one, one) for one in self._gone))
