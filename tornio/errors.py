"""All errors that Tornio raises. Every message states what was found and what to do.

The HTTP status of an error is not set here, but in the gateway.

TornioError
 ├─ InvalidInput           the user's input cannot be used as it is
 │   ├─ InvalidSpec        a task.yaml that does not follow the specification; names the line
 │   ├─ InvalidFile        a CSV, JSON lines or Parquet file that cannot be read; names the row or column
 │   ├─ ChangeRefused      a change of the spec that an existing task does not allow
 │   └─ MissingPlugin      a spec names a strategy, method or criterion that is not installed
 ├─ NotFound               a task, version, alias, object or data set does not exist
 ├─ Conflict               another writer was first, or the present state does not allow the operation
 │   ├─ AlreadyExists      put-if-absent found an object
 │   ├─ Changed            put-if-match found another ETag
 │   ├─ NotServable        the task has no `current` version yet
 │   └─ BudgetSpent        an operator's limit on an outside service is reached
 ├─ Forbidden              the key or account lacks a right; names the right and who can grant it
 ├─ Unauthorized           the API key is missing or unknown
 ├─ IntegrityError         stored bytes do not match their digest, schema or probes
 │   ├─ SchemaTooNew       written by a later release than this one can read
 │   └─ UnfitCheckpoint    a checkpoint that must not be served, with the reason
 ├─ RunFailed              a job ended in an error
 └─ TemporaryError         trying again may succeed
     ├─ Throttled          an API key asks for more than its limit; says when to come back
     └─ Unavailable        an outside service is unreachable or too slow; names it and its answer
"""


class TornioError(Exception):
    """Base class of every error that Tornio raises on purpose."""


class InvalidInput(TornioError):
    """The user's input cannot be used as it is."""


class InvalidSpec(InvalidInput):
    """A task.yaml that does not follow the specification; the message names the line."""


class InvalidFile(InvalidInput):
    """A data file that cannot be read as requested; the message names the row or the column."""


class ChangeRefused(InvalidInput):
    """A change of the spec that an existing task does not allow."""


class MissingPlugin(InvalidInput):
    """A spec names a strategy, method or criterion that this installation does not have."""


class NotFound(TornioError):
    """Something requested by name does not exist."""


class Conflict(TornioError):
    """The present state does not allow the operation, or another writer was first."""


class AlreadyExists(Conflict):
    """A put-if-absent found that the object already exists."""


class Changed(Conflict):
    """A put-if-match found another ETag, or the object was deleted."""


class NotServable(Conflict):
    """The task has no ``current`` version, so it cannot predict."""


class BudgetSpent(Conflict):
    """An operator's limit on an outside service is reached; the message says what is left and who can raise it."""


class Forbidden(TornioError):
    """The key or account lacks a right; the message names the right and who can grant it."""


class Unauthorized(TornioError):
    """The API key is missing or unknown."""


class IntegrityError(TornioError):
    """Stored bytes do not match their digest, schema or probes."""


class SchemaTooNew(IntegrityError):
    """A document that was written by a later release than this one can read. Upgrade Tornio first."""


class UnfitCheckpoint(IntegrityError):
    """A checkpoint that must not be served; the message gives the reason."""


class RunFailed(TornioError):
    """A job ended in an error, which the message contains."""


class TemporaryError(TornioError):
    """An error that may disappear when the same request is sent again."""


class Throttled(TemporaryError):
    """An API key asks for more than its limit. ``retry_after``: seconds until the same request is admitted."""

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(TemporaryError):
    """An outside service (object store, annotation tool, cluster) is unreachable or too slow."""


def describe(error: BaseException) -> str:
    """Return an error in one line, for a status. Errors of other packages are named by their class."""
    text = str(error) if isinstance(error, TornioError) else f"{type(error).__name__}: {error}"
    return storable(text)


def storable(text: str) -> str:
    """Escape lone surrogates, which a JSON text may contain, and which can neither be stored nor sent."""
    return text.encode("utf-8", "backslashreplace").decode()
