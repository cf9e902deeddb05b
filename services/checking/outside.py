"""The checks of the services outside of the cluster that a deployment uses, by its environment."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from services.checking.redis import check_address, service_of
from services.checking.wants import MINILM, Wants
from services.gateway.auth import read_keys
from tornio.annotation.argilla_api import ArgillaApi
from tornio.errors import Forbidden, InvalidInput, TornioError, Unavailable
from tornio.findings import Finding, missing, note, ok, unknown
from tornio.registry import Encoders
from tornio.schemas import keys
from tornio.settings import StorageSettings
from tornio.storage.port import ObjectStore
from tornio.storage.probe import probe
from tornio.storage.s3 import check_bucket, open_store

_ARGILLA_S = 5.0
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_FROM_INSIDE = (
    "an address inside the cluster can only be reached from there: kubectl exec into a serving pod (-c ray-worker) and "
    "run `tornio deploy check` in it; otherwise check the address and the network policy"
)


def merged(deployed: Mapping[str, str], here: Mapping[str, str]) -> dict[str, str]:
    """Return the deployment's environment with what this shell has, which takes precedence.

    Empty values do not count, and the S3 keys of the two are never mixed.
    """
    given = {name: value for name, value in here.items() if value}
    own_keys = any(name in given for name in _KEYS)
    kept = {name: value for name, value in deployed.items() if value and not (own_keys and name in _KEYS)}
    return {**kept, **given}


def check_outside(
    environment: Mapping[str, str], wants: Wants | None = None, inside: bool = False
) -> Iterator[Finding]:
    """Check the bucket (with racing conditional writes), the base models in it, Argilla, API keys and Redis.

    ``inside``: in a pod of the deployment, where whatever cannot be reached is wrong.
    """
    wants = wants or Wants()
    yield from _bucket(environment, wants.encoders, inside)
    yield _argilla(environment, inside)
    yield from _api_keys(environment)
    if wants.redis and (inside or service_of(wants.redis, "") is None):
        yield check_address(wants.redis, inside)


def _bucket(environment: Mapping[str, str], encoders: Iterable[str], inside: bool) -> Iterator[Finding]:
    bucket = environment.get("TORNIO_S3_BUCKET")
    if not bucket:
        yield missing("S3", "TORNIO_S3_BUCKET is not set", "set the bucket in the chart's values, or in this shell")
        return
    what = f"S3 bucket {bucket}"
    if wrong := _wrong_keys(environment):
        yield missing(what, wrong, "give both keys of one account, without newlines, or none of them")
        return
    try:
        settings = StorageSettings(
            bucket=bucket,
            prefix=environment.get("TORNIO_S3_PREFIX", ""),
            endpoint=environment.get("TORNIO_S3_ENDPOINT") or None,
            region=environment.get("TORNIO_S3_REGION") or "us-east-1",
            retry_seconds=2,
        )
    except ValueError as error:
        yield missing(what, f"its settings are wrong: {error}", "correct store.prefix")
        return
    with _keys_of(environment):
        try:
            check_bucket(settings)  # before anything is written: some servers make a bucket with its first object
            store = open_store(settings)
            probe(store)
        except TornioError as error:
            yield _no_bucket(what, error, environment, inside)
            return
        yield ok(what, "exactly one of several concurrent writers wins")
        for name in sorted(encoders):
            yield _encoder(store, settings, name)


def _wrong_keys(environment: Mapping[str, str]) -> str:
    given = [name for name in _KEYS[:2] if environment.get(name)]
    if len(given) == 1:
        return f"{given[0]} is set without {'AWS_SECRET_ACCESS_KEY' if given[0] == _KEYS[0] else _KEYS[0]}"
    untidy = [name for name in given if environment[name] != environment[name].strip()]
    return f"{', '.join(untidy)} begin or end with a space or newline" if untidy else ""


def _no_bucket(what: str, error: TornioError, environment: Mapping[str, str], inside: bool) -> Finding:
    # Without keys, the pods use the rights of their account, which this shell may not have.
    by_account = isinstance(error, Forbidden) and "AWS_ACCESS_KEY_ID" not in environment
    if not inside and (by_account or isinstance(error, Unavailable)):
        return unknown(what, str(error), _FROM_INSIDE)
    todo = "give the account the rights to get, put, list and delete below the prefix in the bucket, which must exist"
    return missing(what, str(error), todo)


@contextmanager
def _keys_of(environment: Mapping[str, str]) -> Iterator[None]:
    """Put the deployment's keys into this process's environment, where the AWS chain looks for them."""
    before = dict(os.environ)
    os.environ.update({name: value for name, value in environment.items() if name.startswith("AWS_")})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _encoder(store: ObjectStore, settings: StorageSettings, name: str) -> Finding:
    """Check that pods, which have no way to the hub, find a base model."""
    what = f"Base model {name}"
    add = f"run: tornio encoders add hub:ORGANISATION/MODEL --name {name}"
    try:
        if name.startswith("s3://"):
            bucket, _, prefix = name.removeprefix("s3://").partition("/")
            elsewhere = open_store(settings.model_copy(update={"bucket": bucket, "prefix": prefix}))
            if elsewhere.head("config.json") is None:
                return missing(what, "there is no config.json", "upload the model's folder, or correct the address")
            return ok(what, "it has a config.json")
        named = Encoders(store).named(name.removeprefix("hub:"))
        if named is not None and store.head(keys.encoder(named.digest)) is not None:
            return ok(what, f"it is in the bucket, as {named.digest[:12]}")
    except TornioError as error:
        return unknown(what, str(error), "give the account the right to read it")
    if name == MINILM:
        todo = f"fine if the image contains it (target dev); otherwise {add.replace('ORGANISATION/MODEL', _HUB_MINILM)}"
        return note(what, "it is not in the bucket", todo)
    return missing(what, "it is not in the bucket, and pods have no way to the hub", add)


_HUB_MINILM = "sentence-transformers/all-MiniLM-L6-v2"


def _argilla(environment: Mapping[str, str], inside: bool) -> Finding:
    url = environment.get("TORNIO_ARGILLA_URL")
    if not url:
        todo = "fine for predictions and scoring only; for labelling set its address in the values or in this shell"
        return note("Argilla", "TORNIO_ARGILLA_URL is not set, so no labelling loop runs", todo)
    key = environment.get("TORNIO_ARGILLA_API_KEY", "")
    what = f"Argilla at {url}"
    try:
        api = ArgillaApi(url, key, timeout_s=_ARGILLA_S, retry_s=0)
    except InvalidInput as error:
        return missing(what, str(error), "correct the address")
    try:
        version = api.version()
        if not key:
            return unknown(what, f"version {version}; its key is not known here", "check that the Secret has it")
        me = api.get("me")
    except Unavailable as error:
        if inside:
            return missing(what, str(error), "correct argilla.url, start Argilla, or check the network policy")
        return unknown(what, str(error), _FROM_INSIDE)
    except TornioError as error:
        return missing(what, str(error), "use Argilla 2.8 or later and the key of an admin account")
    finally:
        api.close()
    if me["role"] not in ("owner", "admin"):
        todo = "use the key of an admin of the workspaces, which an owner creates"
        return missing(what, f"{me['username']} has the role {me['role']}", todo)
    return ok(what, f"version {version}, as {me['username']} with the role {me['role']}")


def _api_keys(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Check the file of API keys, if it can be read here."""
    text = environment.get("TORNIO_API_KEYS")
    if text is None:
        return
    try:
        found = read_keys(text, "the file of API keys")
    except InvalidInput as error:
        yield missing("API keys", str(error), "correct the file, in the Secret that apiKeys.existingSecret names")
        return
    if found:
        yield ok("API keys", f"{len(found)} keys")
    else:
        yield note("API keys", "there are none, so every request under /v1 is refused", "add one to the file")
