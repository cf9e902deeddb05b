"""How a job's error is told."""

from tornio.errors import TornioError


def describe(error: BaseException) -> str:
    """An error in a line, for a status: our own speak for themselves, others are named."""
    return str(error) if isinstance(error, TornioError) else f"{type(error).__name__}: {error}"
