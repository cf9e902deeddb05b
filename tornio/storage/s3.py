"""The object store over S3: retries, conditional writes with a reliable outcome, errors that state what to do."""

from __future__ import annotations

import logging
import random
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from hashlib import md5
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tornio.errors import AlreadyExists, Changed, InvalidInput, NotFound
from tornio.settings import StorageSettings
from tornio.storage import s3_errors
from tornio.storage.files import appearing
from tornio.storage.port import ObjectInfo, ObjectStore, StoredObject
from tornio.storage.s3_answers import check_answer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, ListObjectsV2OutputTypeDef

_log = logging.getLogger(__name__)

T = TypeVar("T")

_MULTIPART_BYTES = 8 << 20
_TRANSFER = TransferConfig(
    multipart_threshold=_MULTIPART_BYTES, multipart_chunksize=_MULTIPART_BYTES, max_concurrency=4
)
_PAGE = 1000
"""The largest number of keys that S3 lists or deletes in one request."""
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 5.0
"""Seconds between two attempts. The delay doubles from the first to the longest, less a random part of up to half."""


class _Listing(TypedDict, total=False):
    Delimiter: str
    StartAfter: str
    ContinuationToken: str


class _Condition(TypedDict, total=False):
    IfNoneMatch: str
    IfMatch: str


def open_store(settings: StorageSettings) -> ObjectStore:
    """Return the store of a deployment. Sends no request; ``probe`` checks whether the store is suitable."""
    return S3Store(settings)


def check_bucket(settings: StorageSettings) -> None:
    """Check that the bucket exists, without writing to it. Raises NotFound, Forbidden, Unavailable."""
    S3Store(settings).check_bucket()


class S3Store:
    """One bucket and prefix of an S3 server. Thread-safe; create one per process and keep it.

    Faults are retried here, for ``retry_seconds`` after the first one, and not in botocore. A conditional write whose
    response was lost finds its own body when it is sent again, and only code that counts the attempts can recognise
    this.
    """

    def __init__(self, settings: StorageSettings) -> None:
        self._bucket = settings.bucket
        self._prefix = settings.root
        self._retry_seconds = settings.retry_seconds
        self._where = f"bucket {settings.bucket!r} at {settings.endpoint or f'AWS {settings.region}'}"
        session = boto3.session.Session()
        self._client = _client(session, settings, attempts=1)
        # A transfer consists of many requests, none of them conditional, so botocore may repeat the failed ones.
        self._bulk = _client(session, settings, attempts=5)

    def __str__(self) -> str:
        return self._where

    def check_bucket(self) -> None:
        """Check that the bucket exists, without writing to it: some servers make a bucket with its first object."""
        try:
            self._try("the bucket", lambda: self._client.head_bucket(Bucket=self._bucket))
        except NotFound as error:
            raise NotFound(
                f"{self._where} does not exist. Create it, or set TORNIO_S3_BUCKET to an existing bucket."
            ) from error

    def get(self, key: str) -> StoredObject:
        return self._try(key, lambda: self._get(key, {}))

    def get_if_changed(self, key: str, etag: str | None) -> StoredObject | None:
        def read() -> StoredObject | None:
            try:
                return self._get(key, {} if etag is None else {"IfNoneMatch": etag})
            except ClientError as error:
                if s3_errors.status(error) == 304:
                    return None
                raise

        return self._try(key, read)

    def get_range(self, key: str, start: int, most: int) -> StoredObject:
        at = self._prefix + key

        def read() -> StoredObject:
            response = self._client.get_object(Bucket=self._bucket, Key=at, Range=f"bytes={start}-{start + most - 1}")
            with closing(response["Body"]) as body:
                return StoredObject(body.read(), response["ETag"])

        info = self.head(key)
        if info is None:
            raise NotFound(f"{key} does not exist in {self._where}.")
        return self._try(key, read) if start < info.size and most else StoredObject(b"", info.etag)

    def head(self, key: str) -> ObjectInfo | None:
        def read() -> ObjectInfo:
            response = self._client.head_object(Bucket=self._bucket, Key=self._prefix + key)
            return ObjectInfo(key, response["ContentLength"], response["ETag"])

        try:
            return self._try(key, read)
        except NotFound:
            return None

    def put(self, key: str, body: bytes) -> str:
        if len(body) <= _MULTIPART_BYTES:
            return self._try(key, lambda: self._put(key, body, {}))
        at = self._prefix + key
        self._try(key, lambda: self._bulk.upload_fileobj(BytesIO(body), self._bucket, at, Config=_TRANSFER))
        written = self.head(key)
        if written is None:
            raise NotFound(f"Another process deleted {key} right after it was written.")
        return written.etag

    def put_if_absent(self, key: str, body: bytes) -> str:
        etag = self._put_on_condition(key, body, {"IfNoneMatch": "*"})
        if etag is None:
            raise AlreadyExists(f"{key} already exists in {self._where}.")
        return etag

    def put_if_match(self, key: str, body: bytes, etag: str) -> str:
        new = self._put_on_condition(key, body, {"IfMatch": etag})
        if new is None:
            raise Changed(f"{key} in {self._where} no longer has the ETag {etag}. Read it again.")
        return new

    def list(self, prefix: str, start_after: str | None = None) -> Iterator[ObjectInfo]:
        for page in self._pages(prefix, {} if start_after is None else {"StartAfter": self._prefix + start_after}):
            for line in page.get("Contents", ()):
                key = line["Key"].removeprefix(self._prefix)
                yield ObjectInfo(key, line["Size"], line["ETag"], line["LastModified"])

    def folders(self, prefix: str) -> Iterator[str]:
        for page in self._pages(prefix, {"Delimiter": "/"}):
            for line in page.get("CommonPrefixes", ()):
                yield line["Prefix"].removeprefix(self._prefix + prefix).removesuffix("/")

    def delete(self, keys: Iterable[str]) -> None:
        rest = iter(keys)
        while batch := tuple(islice(rest, _PAGE)):
            self._try(batch[0], partial(self._delete, batch))

    def upload(self, path: Path, key: str) -> None:
        if path.stat().st_size <= _MULTIPART_BYTES:
            self.put(key, path.read_bytes())
            return

        def send() -> None:
            with path.open("rb") as file:
                self._bulk.upload_fileobj(file, self._bucket, self._prefix + key, Config=_TRANSFER)

        self._try(key, send)

    def put_pieces(self, key: str, pieces: Callable[[], Iterator[bytes]]) -> None:
        self._try(key, lambda: self._put_pieces(key, pieces()))

    def download(self, key: str, path: Path) -> None:
        with appearing(path) as part:

            def receive() -> None:
                self._bulk.download_file(self._bucket, self._prefix + key, str(part), Config=_TRANSFER)

            self._try(key, receive)

    def _get(self, key: str, condition: _Condition) -> StoredObject:
        response = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key, **condition)
        with closing(response["Body"]) as body:
            return StoredObject(body.read(), response["ETag"])

    def _put(self, key: str, body: bytes, condition: _Condition) -> str:
        """Write the body and return its ETag.

        The digest is sent along because SeaweedFS keeps an empty object when a writer dies between head and body.
        """
        digest = b64encode(md5(body, usedforsecurity=False).digest()).decode()
        at = self._prefix + key
        return self._client.put_object(Bucket=self._bucket, Key=at, Body=body, ContentMD5=digest, **condition)["ETag"]

    def _put_pieces(self, key: str, pieces: Iterator[bytes]) -> None:
        """Write a multipart upload, which the server shows when it is completed, and drop it after an error."""
        at = self._prefix + key
        upload = self._bulk.create_multipart_upload(Bucket=self._bucket, Key=at)["UploadId"]
        parts: list[CompletedPartTypeDef] = []
        try:
            for number, body in enumerate(_in_parts(pieces), 1):
                sent = self._bulk.upload_part(
                    Bucket=self._bucket, Key=at, UploadId=upload, PartNumber=number, Body=body
                )
                parts.append({"PartNumber": number, "ETag": sent["ETag"]})
            self._bulk.complete_multipart_upload(
                Bucket=self._bucket, Key=at, UploadId=upload, MultipartUpload={"Parts": parts}
            )
        except BaseException:
            try:
                self._bulk.abort_multipart_upload(Bucket=self._bucket, Key=at, UploadId=upload)
            except s3_errors.Fault as error:
                _log.warning("%s: the parts of %s could not be dropped: %s", self._where, key, error)
            raise

    def _put_on_condition(self, key: str, body: bytes, condition: _Condition) -> str | None:
        """Return the ETag of the write, or None when the condition does not hold.

        If the response of an attempt was lost, the write may have happened, and the next attempt finds its own body.
        The bytes distinguish it from another writer's. One case is not detected: our body was written and then
        replaced before we read it back. A lost race is reported then, and a caller that reads again sees the
        outcome.
        """
        attempts = 0

        def attempt() -> str | None:
            nonlocal attempts
            attempts += 1
            try:
                return self._put(key, body, condition)
            except ClientError as error:
                if s3_errors.status(error) != 412 and not s3_errors.is_missing_key(error):
                    raise
            return self._etag_of(key, body) if attempts > 1 else None

        return self._try(key, attempt)

    def _etag_of(self, key: str, body: bytes) -> str | None:
        """Return the ETag of the object if it has exactly this body, otherwise None."""
        try:
            present = self._get(key, {})
        except ClientError as error:
            if s3_errors.is_missing_key(error):
                return None
            raise
        return present.etag if present.body == body else None

    def _pages(self, prefix: str, listing: _Listing) -> Iterator[ListObjectsV2OutputTypeDef]:
        while True:
            page = self._try(prefix, partial(self._page, prefix, listing))
            yield page
            if not page["IsTruncated"]:
                return
            listing = {**listing, "ContinuationToken": page["NextContinuationToken"]}
            listing.pop("StartAfter", None)

    def _page(self, prefix: str, listing: _Listing) -> ListObjectsV2OutputTypeDef:
        return self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix + prefix, MaxKeys=_PAGE, **listing)

    def _delete(self, keys: tuple[str, ...]) -> None:
        response = self._client.delete_objects(
            Bucket=self._bucket, Delete={"Objects": [{"Key": self._prefix + key} for key in keys], "Quiet": True}
        )
        for error in response.get("Errors", ()):
            if error.get("Code") != "NoSuchKey":
                raise ClientError({"Error": {"Code": error["Code"], "Message": error["Message"]}}, "DeleteObjects")

    def _try(self, key: str, act: Callable[[], T]) -> T:
        """Call ``act``, again after each temporary fault until ``retry_seconds`` after the first one.

        Raises our own error for a permanent fault, and Unavailable when the time has run out.
        """
        deadline: float | None = None
        delay = _FIRST_DELAY
        while True:
            try:
                return act()
            except s3_errors.Fault as error:
                if not s3_errors.is_temporary(error):
                    raise s3_errors.translated(error, self._where, key) from error
                if deadline is None:
                    deadline = time.monotonic() + self._retry_seconds
                    _log.warning("%s: %s; retrying for %g s", self._where, error, self._retry_seconds)
                if time.monotonic() + delay > deadline:
                    raise s3_errors.lasting(error, self._where, self._retry_seconds) from error
                time.sleep(delay * random.uniform(0.5, 1))
                delay = min(2 * delay, _LONGEST_DELAY)


def _in_parts(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in parts of the size of multipart uploads. Only the last one is smaller, or empty."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) > _MULTIPART_BYTES:
            yield bytes(held[:_MULTIPART_BYTES])
            del held[:_MULTIPART_BYTES]
    yield bytes(held)


def _client(session: boto3.session.Session, settings: StorageSettings, attempts: int) -> S3Client:
    config = Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        connect_timeout=5,
        read_timeout=30,
        max_pool_connections=32,
        # Servers other than AWS often support neither bucket host names nor AWS's newer checksums.
        s3={"addressing_style": "path" if settings.endpoint else "auto"},
        request_checksum_calculation="when_required" if settings.endpoint else "when_supported",
        response_checksum_validation="when_required" if settings.endpoint else "when_supported",
    )
    try:
        client = session.client("s3", endpoint_url=settings.endpoint, region_name=settings.region, config=config)
    except (ValueError, BotoCoreError) as error:
        raise InvalidInput(f"{error}: check TORNIO_S3_ENDPOINT, TORNIO_S3_REGION and the AWS profile.") from error
    client.meta.events.register_first("before-parse.s3.*", check_answer)
    return client
