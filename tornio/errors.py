"""The one exception tree. Every message says what was found and what to do; HTTP status codes live at the edge.

TornioError
 ├─ InvalidInput           what a user gave cannot be used as it is
 │   ├─ InvalidSpec        task.yaml, with the line
 │   ├─ InvalidFile        a CSV, JSON lines or Parquet file, with the row
 │   ├─ ChangeRefused      a spec change that this task cannot make
 │   └─ MissingPlugin      a name in a spec that nothing on this machine stands for
 ├─ NotFound               a task, version, alias, object or data set that is not there
 ├─ Conflict               somebody else was first, or the state does not allow it
 │   ├─ AlreadyExists      put-if-absent met an object
 │   ├─ Changed            put-if-match met another ETag
 │   └─ NotServable        the task has no `current` version yet
 ├─ Forbidden              the key or account lacks a right; says whom to ask for what
 ├─ Unauthorized           no key, or an unknown one
 ├─ IntegrityError         stored bytes are not what their digest, schema or probes promise
 │   ├─ SchemaTooNew       written by a later release than this one can read
 │   └─ UnfitCheckpoint    a checkpoint that must not serve, with the reason
 ├─ RunFailed              a job ended in an error
 └─ TemporaryError         try again: an outside service is slow or away
     └─ Unavailable        which service, and what it said
"""


class TornioError(Exception):
    """Root of every error that Tornio raises on purpose."""


class InvalidInput(TornioError):
    """What a user gave cannot be used as it is."""


class InvalidSpec(InvalidInput):
    """A task.yaml that does not follow the specification; the message names the line."""


class InvalidFile(InvalidInput):
    """A data file that cannot be read as asked; the message names the row or the column."""


class ChangeRefused(InvalidInput):
    """A change of a task's spec that cannot be made on a living task."""


class MissingPlugin(InvalidInput):
    """A spec names a strategy, method or criterion that this installation does not have."""


class NotFound(TornioError):
    """Something that was asked for by name is not there."""


class Conflict(TornioError):
    """The state of things does not allow this, or somebody else was first."""


class AlreadyExists(Conflict):
    """A put-if-absent met an object that is there already."""


class Changed(Conflict):
    """A put-if-match met an object whose ETag has moved (or that is gone)."""


class NotServable(Conflict):
    """The task has no ``current`` version, so it cannot predict."""


class Forbidden(TornioError):
    """The key or account lacks a right; the message says whom to ask for what."""


class Unauthorized(TornioError):
    """No API key was given, or one that nobody has."""


class IntegrityError(TornioError):
    """Stored bytes are not what their digest, schema or probes promise."""


class SchemaTooNew(IntegrityError):
    """A document written by a later release than this one can read: upgrade Tornio first."""


class UnfitCheckpoint(IntegrityError):
    """A checkpoint that must not answer a single request; the message says why."""


class RunFailed(TornioError):
    """A job ended in an error, told in the message."""


class TemporaryError(TornioError):
    """Worth trying again: nothing is wrong with what was asked."""


class Unavailable(TemporaryError):
    """An outside service (object store, annotation tool, cluster) is away or too slow."""
