"""A stopping criterion: stop when the last two versions predict the same for almost all records of the stop set."""

from collections.abc import Sequence

from tornio.spec import Spec, StopSpec, setting
from tornio.stopping import StopPredictions


class FewChangesSettings(Spec):
    """What can stand under ``loop.stop.settings``."""

    share: float = setting(0.01, change="live", ge=0, le=1, doc="Stop when at most this share of predictions changes.")


class FewChanges:
    settings = FewChangesSettings

    def signal(self, before: StopPredictions, after: StopPredictions) -> float:
        pairs = list(zip(before.predicted, after.predicted, strict=True))
        return sum(set(old) != set(new) for old, new in pairs) / len(pairs)

    def reason(self, signals: Sequence[float], spec: StopSpec) -> str | None:
        share = self.settings(**spec.settings).share
        if not signals or signals[-1] > share:
            return None
        return f"{signals[-1]:.1%} of the predictions on the stop set changed, at most {share:.1%} asked"

    def threshold(self, spec: StopSpec) -> float:
        return self.settings(**spec.settings).share


CRITERION = FewChanges()
