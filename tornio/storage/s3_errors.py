"""What an S3 server or the way to it said, read once: worth another try, or which of our errors it is."""

from __future__ import annotations

from boto3.exceptions import Boto3Error, RetriesExceededError
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    SSLError,
)

from tornio.errors import Forbidden, InvalidInput, NotFound, TornioError, Unavailable

Fault = (BotoCoreError, ClientError, Boto3Error)
"""Everything that boto3 raises."""

_TEMPORARY_CODES = frozenset(
    (
        "ConditionalRequestConflict",
        "InternalError",
        "OperationAborted",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
    )
)
_TEMPORARY_STATUSES = frozenset((429, 500, 502, 503, 504))
_KEY_CODES = frozenset(("ExpiredToken", "InvalidToken", "TokenRefreshRequired", "AccessDenied"))
_REGION_CODES = frozenset(("AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"))


def code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def status(error: ClientError) -> int:
    """HTTP status, 0 where there is none."""
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def is_missing_key(error: ClientError) -> bool:
    """HEAD has no body, so its 404 may as well mean the bucket."""
    return code(error) in ("NoSuchKey", "404", "NotFound")


def is_temporary(error: Exception) -> bool:
    """Whether the same request may succeed later."""
    if isinstance(error, ClientError):
        return code(error) in _TEMPORARY_CODES or status(error) in _TEMPORARY_STATUSES
    if isinstance(error, SSLError):
        return False
    faults = (ConnectionError, HTTPClientError, IncompleteReadError, FlexibleChecksumError, RetriesExceededError)
    return isinstance(error, faults)


def told(error: Exception, where: str, key: str) -> TornioError:
    """Our error for one that is not temporary, with what to do."""
    if isinstance(error, NoCredentialsError | CredentialRetrievalError):
        return Forbidden(
            f"no credentials for {where} ({error}): set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "a profile, or a role for this machine or pod"
        )
    if not isinstance(error, ClientError):
        return Unavailable(f"cannot use {where} ({error}): check the TORNIO_S3_ settings, TLS and the network")
    if code(error) == "NoSuchBucket":
        return NotFound(f"{where} does not exist: create it, or set TORNIO_S3_BUCKET to one that does")
    if is_missing_key(error):
        return NotFound(f"there is no {key} in {where}")
    if code(error) in _REGION_CODES:
        return InvalidInput(f"{where} is in another region ({_said(error)}): set TORNIO_S3_REGION")
    if status(error) == 403 or code(error) in _KEY_CODES:
        return Forbidden(
            f"{where} refused {error.operation_name} of {key} ({_said(error)}): check the credentials, and ask the "
            "bucket's owner for s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket on it"
        )
    return Unavailable(f"{where} cannot do {error.operation_name} of {key or 'the bucket'} ({_said(error)})")


def _said(error: ClientError) -> str:
    message = error.response.get("Error", {}).get("Message", "")
    return f"{code(error)}: {message}" if message else code(error)
