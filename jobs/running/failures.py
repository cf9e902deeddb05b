"""The description of a job's error."""

from tornio.errors import TornioError


def describe(error: BaseException) -> str:
    """Return an error in one line, for a status. Errors that are not our own begin with the name of their class."""
    return str(error) if isinstance(error, TornioError) else f"{type(error).__name__}: {error}"
