"""Interpret the errors of boto3: whether to retry, and which of our own errors to raise."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

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
from botocore.parsers import ResponseParserError

from tornio.errors import Forbidden, InvalidInput, NotFound, TornioError, Unavailable
from tornio.storage.s3_answers import ForeignAnswer

Fault = (BotoCoreError, ClientError, Boto3Error, ResponseParserError)
"""The base classes of everything that boto3 raises."""

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
_FULL_CODES = frozenset(
    ("InsufficientCapacity", "QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded")
)
_FULL_WORDS = ("no space left", "no free volume", "no writable volume", "not enough space", "quota exceeded")
"""What servers write into a message where they have no code for it: SeaweedFS answers 500 InternalError."""
_CLOCK_CODES = frozenset(("RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"))
_SKEW_S = 300.0
"""Seconds between two clocks that explain a refusal. AWS refuses from 900 on, others from 300."""
_KEY_CODES = frozenset(("ExpiredToken", "InvalidToken", "TokenRefreshRequired", "AccessDenied"))
_REGION_CODES = frozenset(("AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"))


def code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def status(error: ClientError) -> int:
    """Return the HTTP status, or 0 if the error has none."""
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def is_missing_key(error: ClientError) -> bool:
    """Whether the key does not exist. HEAD has no body, so its 404 may also mean that the bucket does not exist."""
    return code(error) in ("NoSuchKey", "404", "NotFound")


def is_temporary(error: Exception) -> bool:
    """Whether the same request may succeed later."""
    if isinstance(error, ClientError):
        return code(error) in _TEMPORARY_CODES or status(error) in _TEMPORARY_STATUSES
    if isinstance(error, ForeignAnswer):
        return error.http_status in _TEMPORARY_STATUSES
    if isinstance(error, SSLError):
        return False
    faults = (
        ConnectionError,
        HTTPClientError,
        IncompleteReadError,
        FlexibleChecksumError,
        RetriesExceededError,
        ResponseParserError,  # an answer that was cut
    )
    return isinstance(error, faults)


def lasting(error: Exception, where: str, seconds: float) -> Unavailable:
    """Return our own error for a temporary fault that lasted for so many seconds, with advice."""
    if isinstance(error, ForeignAnswer):
        return _foreign(error, where)
    if isinstance(error, ClientError) and _is_full(error):
        return _full(error, where)
    if isinstance(error, ClientError) and status(error) == 500:
        return Unavailable(
            f"{where} failed for {seconds:g} s ({error}). What was sent is not kept. Check whether its disk is full, "
            "and see its log. It needs no restart when there is room again."
        )
    return Unavailable(
        f"{where} did not respond for {seconds:g} s ({error}). "
        "Check that it runs, and check TORNIO_S3_ENDPOINT and the network."
    )


def translated(error: Exception, where: str, key: str) -> TornioError:
    """Return our own error for a permanent fault, with advice."""
    if isinstance(error, ForeignAnswer):
        return _foreign(error, where)
    if isinstance(error, NoCredentialsError | CredentialRetrievalError):
        return Forbidden(
            f"No credentials were found for {where} ({error}). Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "a profile, or a role for this machine or pod."
        )
    if not isinstance(error, ClientError):
        return Unavailable(f"Cannot use {where} ({error}). Check the TORNIO_S3_ settings, TLS and the network.")
    if _is_full(error):
        return _full(error, where)
    if code(error) == "NoSuchBucket":
        return NotFound(f"{where} does not exist. Create it, or set TORNIO_S3_BUCKET to an existing bucket.")
    if is_missing_key(error):
        return NotFound(f"{key} does not exist in {where}.")
    if code(error) in _REGION_CODES:
        return InvalidInput(f"{where} is in another region ({_reason(error)}). Set TORNIO_S3_REGION.")
    if code(error) in _CLOCK_CODES or (status(error) == 403 and abs(_skew(error)) > _SKEW_S):
        return Forbidden(_of_clock(error, where))
    if status(error) == 403 or code(error) in _KEY_CODES:
        return Forbidden(
            f"{where} refused {error.operation_name} of {key} ({_reason(error)}). Check the credentials, and ask the "
            "bucket's owner for s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket on it."
        )
    return Unavailable(f"{where} cannot do {error.operation_name} of {key or 'the bucket'} ({_reason(error)}).")


def _foreign(error: ForeignAnswer, where: str) -> Unavailable:
    return Unavailable(
        f"Something else than S3 answers in place of {where}: {error}. It may be a proxy or a login page. Check "
        "TORNIO_S3_ENDPOINT, HTTPS_PROXY and NO_PROXY."
    )


def _is_full(error: ClientError) -> bool:
    message = _reason(error).lower()
    return status(error) == 507 or code(error) in _FULL_CODES or any(words in message for words in _FULL_WORDS)


def _full(error: ClientError, where: str) -> Unavailable:
    return Unavailable(
        f"{where} is full: it did not keep what was sent ({_reason(error)}). Free some room in it, or enlarge it or "
        "its quota. Then the same request succeeds."
    )


def _skew(error: ClientError) -> float:
    """Return by how many seconds this machine's clock is ahead of the server's, 0 if the answer has no time."""
    sent = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        return (datetime.now(UTC) - parsedate_to_datetime(sent)).total_seconds()
    except (TypeError, ValueError):
        return 0.0


def _of_clock(error: ClientError, where: str) -> str:
    skew = _skew(error)
    by = f" is {abs(skew):,.0f} s {'ahead of' if skew > 0 else 'behind'}" if abs(skew) > _SKEW_S else " differs from"
    return (
        f"The clock of this machine{by} the clock of {where}, so its requests are refused ({_reason(error)}). Set both "
        "clocks right, for example with NTP."
    )


def _reason(error: ClientError) -> str:
    message = error.response.get("Error", {}).get("Message", "")
    return f"{code(error)}: {message}" if message else code(error)
