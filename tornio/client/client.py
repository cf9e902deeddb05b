"""``tornio.Client`` and ``tornio.AsyncClient``."""

from __future__ import annotations

from typing import Self

import httpx

from tornio.client import address
from tornio.client.blocking import blocking, blocking_each
from tornio.client.http import Session, http_options
from tornio.client.operations import Operations
from tornio.client.wire import AsyncWire, BlockingWire


class AsyncClient(Operations):
    """A client of a Tornio server for programs that use asyncio.

    It has the arguments, the methods and the errors of ``Client``. Methods are awaited, and those that yield are
    iterated with ``async for``. Cancelling a method that is awaited ends its request. Leave a loop early only within
    ``contextlib.aclosing``, which ends the requests that are under way.

    >>> async with AsyncClient() as tornio:                                   # doctest: +SKIP
    ...     (await tornio.predict("acme/support", ["where is my parcel?"]))[0].labels
    ('delivery',)
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float = 60.0,
        retry_seconds: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        where = address.find(url, api_key)
        self.url = where.url
        http = httpx.AsyncClient(**http_options(where, timeout), transport=transport)
        super().__init__(Session(where.url, timeout, retry_seconds, AsyncWire(http)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class Client:
    """A client of a Tornio server. Tasks are named ``workspace/task``. Threads may share one.

    Without arguments, address and key are taken from TORNIO_URL and TORNIO_API_KEY (or TORNIO_API_KEY_FILE), or else
    from the ``tornio up`` of TORNIO_STATE, of this folder or above it, or else from the only one that runs. Requests
    that may be sent twice without harm are repeated while the server is busy or does not answer, for
    ``retry_seconds`` after the first failure (at most 10 if it accepts no connection). ``timeout`` (in seconds) applies
    to each request.

    Every method raises the errors of ``tornio.errors``: Unauthorized, Forbidden, NotFound, InvalidInput, Conflict
    (NotServable if a task has no version yet), Unavailable.

    >>> with Client() as tornio:                                              # doctest: +SKIP
    ...     tornio.predict("acme/support", ["where is my parcel?"])[0].labels
    ('delivery',)
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float = 60.0,
        retry_seconds: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        where = address.find(url, api_key)
        self.url = where.url
        http = httpx.Client(**http_options(where, timeout), transport=transport)
        self._operations = Operations(Session(where.url, timeout, retry_seconds, BlockingWire(http)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    close = blocking(Operations.close)

    # Input
    apply = blocking(Operations.apply)
    migrate_labels = blocking(Operations.migrate_labels)
    add_records = blocking(Operations.add_records)
    import_labels = blocking(Operations.import_labels)
    delete_records = blocking(Operations.delete_records)
    upload = blocking(Operations.upload)
    uploads = blocking(Operations.uploads)
    delete_upload = blocking(Operations.delete_upload)
    import_version = blocking(Operations.import_version)

    # Output
    predict = blocking(Operations.predict)
    predict_each = blocking_each(Operations.predict_each)
    zero_shot = blocking(Operations.zero_shot)
    zero_shot_each = blocking_each(Operations.zero_shot_each)
    labels = blocking_each(Operations.labels)
    download_version = blocking(Operations.download_version)

    # State
    report = blocking(Operations.report)
    status = blocking(Operations.status)
    tasks = blocking(Operations.tasks)
    annotators = blocking(Operations.annotators)
    versions = blocking(Operations.versions)
    ready = blocking(Operations.ready)
    audit = blocking_each(Operations.audit)

    # Runs
    start_run = blocking(Operations.start_run)
    runs = blocking(Operations.runs)
    run = blocking(Operations.run)
    cancel_run = blocking(Operations.cancel_run)
    run_rows = blocking(Operations.run_rows)
    run_files = blocking(Operations.run_files)
    run_file = blocking_each(Operations.run_file)

    # Control
    rollback = blocking(Operations.rollback)
    promote = blocking(Operations.promote)
    pause = blocking(Operations.pause)
    resume = blocking(Operations.resume)
    train_now = blocking(Operations.train_now)
