"""How the connection to Argilla tells failures apart, on a server that answers as told."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from tornio.annotation.argilla_api import ArgillaApi
from tornio.errors import AlreadyExists, Forbidden, InvalidInput, NotFound, TornioError, Unauthorized, Unavailable

pytestmark = pytest.mark.unit

URL = "http://argilla.example/base"
Answer = httpx.Response | Exception


class Script:
    """Gives its answers in turn, the last one for ever; knows what was asked."""

    def __init__(self, *answers: Answer, version: str = "2.8.0") -> None:
        self.requests: list[httpx.Request] = []
        self._version = version
        self._answers = list(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/version"):
            return httpx.Response(200, json={"version": self._version})
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time that passes by sleeping alone."""
    slept: list[float] = []
    monkeypatch.setattr("tornio.annotation.argilla_api.time.sleep", slept.append)
    monkeypatch.setattr("tornio.annotation.argilla_api.time.monotonic", lambda: sum(slept))
    return slept


def connect(handler: Callable[[httpx.Request], httpx.Response]) -> ArgillaApi:
    return ArgillaApi(URL, "secret-key", transport=httpx.MockTransport(handler))


@pytest.mark.parametrize(
    "fault",
    [
        httpx.Response(503, text="starting"),
        httpx.Response(500, json={"detail": {"code": "generic", "params": {}}}),
        httpx.Response(429),
        httpx.Response(404, text="default backend - 404"),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("cut off"),
    ],
    ids=repr,
)
def test_passing_faults_are_ridden_out_and_lasting_ones_are_unavailable(fault: Answer, no_waiting: list[float]) -> None:
    script = Script(fault, fault, httpx.Response(200, json={"id": 1}))
    assert connect(script).put("things", {"a": 1}) == {"id": 1}
    assert [request.content for request in script.requests] == [b'{"a":1}'] * 3

    del no_waiting[:]
    with pytest.raises(Unavailable, match=rf"{URL} does not respond to GET things"):
        connect(Script(fault)).get("things")
    assert 2 < sum(no_waiting) <= 5


@pytest.mark.parametrize(
    ("response", "error", "said"),
    [
        (httpx.Response(401), Unauthorized, "TORNIO_ARGILLA_API_KEY"),
        (httpx.Response(403), Forbidden, "forbids GET /base/api/v1/things"),
        (httpx.Response(404, json={"detail": "Thing with id `1` not found"}), NotFound, "Thing with id"),
        (httpx.Response(409, json={"code": "not_unique", "message": "twice"}), AlreadyExists, "twice"),
        (httpx.Response(422, json={"detail": [{"msg": "too long"}]}), InvalidInput, "too long"),
        (httpx.Response(413, text="<html>"), InvalidInput, "client_max_body_size"),
        (httpx.Response(301, headers={"location": "https://elsewhere"}), InvalidInput, "https://elsewhere"),
        (httpx.Response(200, text="<html>Sign in</html>"), InvalidInput, "TORNIO_ARGILLA_URL"),
    ],
    ids=lambda value: str(getattr(value, "status_code", "")),
)
def test_a_refusal_is_told_at_once_and_by_kind(
    response: httpx.Response, error: type[TornioError], said: str, no_waiting: list[float]
) -> None:
    with pytest.raises(error, match=said) as raised:
        connect(Script(response)).get("things")
    assert type(raised.value) is error
    assert "secret-key" not in str(raised.value)
    assert no_waiting == []


@pytest.mark.parametrize("version", ["1.29.1", "2.7.9", "2.7.0rc1"])
def test_an_old_server_is_refused_before_anything_is_asked(version: str) -> None:
    script = Script(httpx.Response(200, json={}), version=version)
    with pytest.raises(InvalidInput, match=f"has version {version}. Upgrade it to 2.8 or later"):
        connect(script).post("datasets", {})
    assert script.requests == []


@pytest.mark.parametrize("version", ["2.8.0", "2.8.0rc2", "2.10.0", "3.0"])
def test_later_servers_are_taken(version: str) -> None:
    assert connect(Script(httpx.Response(204), version=version)).version() == version


@pytest.mark.parametrize("answer", [{"detail": "Not Found"}, {"version": 8}, []])
def test_a_server_that_is_not_argilla_is_refused(answer: object) -> None:
    with pytest.raises(InvalidInput, match="does not respond like Argilla"):
        connect(lambda _: httpx.Response(200, json=answer)).version()


def test_a_server_without_this_api_is_refused() -> None:
    with pytest.raises(InvalidInput, match="TORNIO_ARGILLA_URL"):
        connect(lambda _: httpx.Response(404, json={"detail": "Not Found"})).get("things")


def test_an_address_without_a_scheme_is_refused() -> None:
    with pytest.raises(InvalidInput, match="http://"):
        ArgillaApi("argilla:6900", "key")


def test_the_key_travels_in_the_header_alone() -> None:
    script = Script(httpx.Response(204))
    assert connect(script).delete("records", ids="a,b") is None
    (request,) = script.requests
    assert request.headers["X-Argilla-Api-Key"] == "secret-key"
    assert str(request.url) == f"{URL}/api/v1/records?ids=a%2Cb"
