"""The endpoints of a deployment, as a spec names them."""

from __future__ import annotations

from collections.abc import Mapping

from tornio.errors import InvalidInput
from tornio.settings import LlmEndpoint


def endpoint_of(name: str | None, endpoints: Mapping[str, LlmEndpoint]) -> LlmEndpoint:
    """Return the endpoint of this name. Raises InvalidInput where no operator has configured it."""
    if name is None or name not in endpoints:
        known = f"It has: {', '.join(sorted(endpoints))}." if endpoints else "It has none."
        raise InvalidInput(
            f"teacher.endpoint is {name!r}, and this deployment has no endpoint of this name. {known} Texts are sent "
            "only to servers that whoever operates the deployment has configured: see TORNIO_LLM_ENDPOINTS in "
            "docs/settings.md, and llm.endpoints in the chart's values"
        )
    return endpoints[name]
