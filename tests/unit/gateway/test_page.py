"""The web page: who gets in, what a form may do, and that nothing of a user's text acts on the page."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from services.gateway.app import create_app
from services.gateway.auth import KeyRing, Keys, read_keys
from services.gateway.page.rendering import with_commands
from services.gateway.sessions.memory import MemorySessions
from services.gateway.sessions.port import Sessions
from services.gateway.sessions.stored import StoreSessions
from tests.unit.gateway.fake import KEYS, OPERATOR, PREDICTOR, AppTransport, FakeBackend, FakeTask, app_of
from tests.unit.gateway.test_sessions import Clock
from tornio.api import PROBLEM_JSON, TaskName, VersionOut, VersionState
from tornio.errors import Unavailable
from tornio.spec import TaskSpec
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit

HOST = "http://tornio.example"
SAME = {"Origin": HOST}
TASK, PAGE = TaskName("acme", "support"), "/tasks/acme/support"


def backend(**spec: Any) -> FakeBackend:
    values = {"workspace": "acme", "name": "support", "labels": ["a", "b"]} | spec
    fake = FakeBackend({TASK: FakeTask(TaskSpec.model_validate(values))})
    fake.serve("acme/support", "v2", 2, "v1")
    return fake


def browser(
    fake: FakeBackend | None = None, keys: str = KEYS, insecure: bool = False, sessions: Sessions | None = None
) -> httpx.Client:
    """A client that keeps cookies, as a browser does, and sends its own origin with each request."""
    app = app_of(fake or backend(), keys, insecure, sessions=sessions)
    return httpx.Client(transport=AppTransport(app), base_url=HOST, headers=SAME)


def log_in(client: httpx.Client, key: str = OPERATOR, wanted: str = "/") -> httpx.Response:
    return client.post("/login", data={"key": key, "next": wanted})


def form_token(client: httpx.Client) -> str:
    found = re.search(r'name="form_token" value="([0-9a-f]{64})"', client.get("/").text)
    assert found, "no form on the page"
    return found[1]


def send(client: httpx.Client, act: str, **fields: str) -> httpx.Response:
    return client.post(f"{PAGE}/{act}", data={"form_token": form_token(client)} | fields)


def says(response: httpx.Response, status: int, text: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert text in html.unescape(response.text)


# Logging in and out


def test_a_key_opens_the_page_and_stays_out_of_the_browser() -> None:
    client = browser()
    answer = log_in(client)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert re.fullmatch(r"tornio-session=[\w-]{43}; Max-Age=43200; Path=/; HttpOnly; SameSite=Strict", cookie, re.ASCII)
    assert OPERATOR not in cookie
    says(client.get("/"), 200, "support")
    says(client.get(PAGE), 200, "3 of 20 answered")
    assert OPERATOR not in client.get("/").text


def test_under_tls_the_cookie_never_leaves_it() -> None:
    app = app_of(backend())
    for base, headers in (("https://tornio.example", {}), (HOST, {"X-Forwarded-Proto": "https"})):
        with httpx.Client(transport=AppTransport(app), base_url=base, headers=headers) as client:
            cookie = client.post("/login", data={"key": OPERATOR}, headers={"Origin": base}).headers["set-cookie"]
            assert cookie.startswith("__Host-tornio-session=")
            assert cookie.endswith("; Secure")
            name, _, token = cookie.partition(";")[0].partition("=")
            assert client.get("/", headers={"Cookie": f"{name}={token}"}).status_code == 200
            assert client.get("/", headers={"Cookie": f"tornio-session={token}"}).status_code == 303


@pytest.mark.parametrize("path", ["/", PAGE, f"{PAGE}?a=1&b=2", f"{PAGE}/events", f"{PAGE}/rollback"])
def test_somebody_unknown_is_sent_to_the_login_and_back(path: str) -> None:
    client = browser()
    away = client.get(path)
    assert away.status_code == 303
    client.get(away.headers["location"])
    page = client.get(away.headers["location"])
    says(page, 200, "API key")
    found = re.search(r'name="next" value="([^"]*)"', page.text)
    assert found
    assert log_in(client, wanted=html.unescape(found[1])).headers["location"] == path


def test_a_form_of_somebody_unknown_does_nothing() -> None:
    fake = backend()
    answer = browser(fake).post(f"{PAGE}/pause", data={"x": ""})
    assert (answer.status_code, answer.headers["location"], fake.calls) == (303, "/login", [])


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "evil.example",
        "",
        "/\t/evil.example",
        "/a\r\nSet-Cookie: x=y",
        "/" + "a" * 600,
        "/ü",
    ],
)
def test_the_login_leads_to_this_server_alone(wanted: str) -> None:
    client = browser()
    assert log_in(client, wanted=wanted).headers["location"] == "/"
    assert client.get("/login", params={"next": wanted}).headers["location"] == "/"


def test_logging_out_ends_the_session_for_whoever_has_the_cookie() -> None:
    client = browser()
    log_in(client)
    kept = dict(client.cookies)
    out = client.post("/logout", data={"form_token": form_token(client)})
    assert (out.status_code, out.headers["location"]) == (303, "/login")
    assert "Max-Age=0" in out.headers["set-cookie"]
    says(client.get(out.headers["location"]), 200, "You are logged out.")
    cookie = "; ".join(f"{name}={value}" for name, value in kept.items())
    assert client.get("/", headers={"Cookie": cookie}).status_code == 303


def test_a_session_holds_at_a_second_app_on_the_same_store_and_expires() -> None:
    store, clock = MemoryStore(), Clock()
    one, two = (browser(sessions=StoreSessions(store, 12, clock, clock.seconds)) for _ in range(2))
    log_in(one)
    two.cookies = one.cookies
    says(two.get("/"), 200, "support")
    clock.pass_by(hours=12)
    assert [client.get("/").status_code for client in (one, two)] == [303, 303]


class Changing:
    """Keys that an operator changes."""

    def __init__(self) -> None:
        self.now: Keys = read_keys(KEYS, "keys")

    def keys(self) -> Keys:
        return self.now


def test_a_session_may_do_what_its_key_may_do_now() -> None:
    keys = Changing()
    app = create_app(backend(), KeyRing(keys), sessions=MemorySessions())
    client = httpx.Client(transport=AppTransport(app), base_url=HOST, headers=SAME)
    log_in(client)
    assert client.get(f"{PAGE}/rollback").status_code == 200
    keys.now = read_keys(KEYS.replace('"operate"', '"predict"'), "keys")
    assert [client.get(f"{PAGE}/rollback").status_code, client.get(PAGE).status_code] == [403, 200]
    keys.now = read_keys(KEYS.replace('["acme"], "role": "operate"', '["other"], "role": "operate"'), "keys")
    says(client.get(PAGE), 403, "no access to workspace 'acme'")
    keys.now = read_keys(KEYS.replace(OPERATOR, "another-key-of-tests"), "keys")
    assert client.get(PAGE).status_code == 303


def test_a_wrong_key_says_so_and_locks_nobody_out() -> None:
    client = browser()
    for _ in range(20):
        says(log_in(client, "no-key-of-this-server"), 401, "does not know this API key")
    assert log_in(client).status_code == 303


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/tasks"),
        ("POST", "/v1/tasks/acme/support/pause"),
        ("POST", "/v1/tasks/acme/support/predict"),
        ("GET", "/v2"),
        ("POST", "/hf/models/acme/support"),
        ("GET", "/nowhere"),
    ],
)
def test_the_cookie_opens_no_other_route(method: str, path: str) -> None:
    client = browser()
    log_in(client)
    assert client.request(method, path, json={}).status_code == 401


def test_a_key_in_the_header_opens_the_page_too() -> None:
    bearer = {"Authorization": f"Bearer {PREDICTOR}"}
    says(browser().get("/", headers=bearer), 200, "predictor")


# Forms


@pytest.mark.parametrize(
    ("act", "said", "call"),
    [
        ("pause", "The task is paused", "pause by operator"),
        ("resume", "goes on", "resume by operator"),
        ("train-now", "trains with the present labels", "train-now by operator"),
    ],
)
def test_a_form_asks_the_backend_and_says_what_follows(act: str, said: str, call: str) -> None:
    fake = backend()
    client = browser(fake)
    log_in(client)
    answer = send(client, act)
    assert answer.status_code == 303
    assert said not in client.get("/").text
    says(client.get(answer.headers["location"]), 200, said)
    assert said not in client.get(answer.headers["location"]).text
    assert fake.calls == [call]


def test_a_rollback_asks_first_and_moves_only_what_the_person_saw() -> None:
    fake = backend()
    client = browser(fake)
    log_in(client)
    asked = client.get(f"{PAGE}/rollback")
    says(asked, 200, "Roll back to v1")
    assert 'name="expected_revision" value="2"' in asked.text
    says(send(client, "rollback", expected_revision="1"), 409, "revision 2")
    says(send(client, "rollback", expected_revision="²"), 422, "Open the page again")
    assert send(client, "rollback", expected_revision="2").status_code == 303
    assert fake.calls == ["rollback by operator"]
    fake.serve("acme/support", "v1", 3)
    says(client.get(f"{PAGE}/rollback"), 409, "nothing to go back to")


@pytest.mark.parametrize(
    ("state", "fields", "call"),
    [
        ("served", {}, "promote v1 by operator: it is better"),
        ("refused", {"force": "yes"}, "promote v1 by force by operator: it is better"),
    ],
)
def test_a_promotion_asks_first(state: VersionState, fields: dict[str, str], call: str) -> None:
    fake = backend()
    fake.held[TASK].versions = [
        VersionOut(version=name, iteration=at, state=found, training_labels=9, created_at=datetime.now(UTC))
        for at, name, found in ((2, "v2", "serving"), (1, "v1", state))
    ]
    client = browser(fake)
    log_in(client)
    shown = client.get(PAGE).text
    assert f"{PAGE}/promote?version=v1" in shown
    assert f"{PAGE}/promote?version=v2" not in shown
    asked = client.get(f"{PAGE}/promote?version=v1")
    says(asked, 200, "Let v1 serve?")
    assert ('name="force"' in asked.text) == ("force" in fields)
    answer = send(client, "promote", version="v1", why=" it is better ", **fields)
    says(client.get(answer.headers["location"]), 200, "as soon as replicas have loaded it")
    assert fake.calls == [call]
    says(client.get(f"{PAGE}/promote?version=v9"), 404, "no version v9")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_a_page_of_another_site_sends_no_form(headers: dict[str, str]) -> None:
    fake = backend()
    client = browser(fake)
    assert client.post("/login", data={"key": OPERATOR}, headers=headers).status_code == 403
    log_in(client)
    token = form_token(client)
    says(client.post(f"{PAGE}/pause", data={"form_token": token}, headers=headers), 403, "not sent by a page of this")
    assert fake.calls == []


def test_the_browser_s_own_word_counts_where_a_proxy_writes_another_host() -> None:
    fake = backend()
    client = browser(fake)
    log_in(client)
    headers = {"Origin": "https://tornio.public.example", "Sec-Fetch-Site": "same-origin"}
    assert client.post(f"{PAGE}/pause", data={"form_token": form_token(client)}, headers=headers).status_code == 303


def test_a_form_needs_the_token_of_its_own_session() -> None:
    fake = backend()
    sessions = MemorySessions()
    client, other = browser(fake, sessions=sessions), browser(fake, sessions=sessions)
    log_in(client)
    log_in(other)
    for token in ("", "ü", "0" * 64, form_token(other)):
        assert client.post(f"{PAGE}/pause", data={"form_token": token}).status_code == 403
    assert client.post("/logout", data={"x": ""}).status_code == 403
    assert fake.calls == []


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("{}", "application/json"),
        ("a=\xff", "application/x-www-form-urlencoded"),
        ("a=%ff", "application/x-www-form-urlencoded"),
        ("&".join(f"f{n}=1" for n in range(50)), "application/x-www-form-urlencoded"),
    ],
)
def test_what_is_no_form_is_refused(content: str, kind: str) -> None:
    client = browser()
    log_in(client)
    for path in ("/login", f"{PAGE}/pause"):
        answer = client.post(path, content=content.encode("latin-1"), headers={"Content-Type": kind})
        assert answer.status_code == 422


def test_a_large_form_is_refused_before_it_is_read() -> None:
    body = b"key=" + bytes(3 << 20)
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    says(browser().post("/login", content=body, headers=kind), 413, "larger than 2 MiB")


def test_who_may_not_operate_sees_no_buttons_and_cannot_send_their_forms() -> None:
    fake = backend()
    client = browser(fake)
    log_in(client, PREDICTOR)
    shown = client.get(PAGE).text
    assert "/pause" not in shown
    assert "/rollback" not in shown
    assert "/promote" not in shown
    assert f"{PAGE}/try" in shown
    for act in ("pause", "resume", "train-now", "rollback", "promote"):
        says(send(client, act), 403, "role 'operate'")
    assert fake.calls == []


def test_trying_a_text_shows_labels_and_probabilities() -> None:
    client = browser()
    log_in(client, PREDICTOR)
    shown = send(client, "try", text="<b>The lid</b>")
    says(shown, 200, "75.0 %")
    assert "v2" in shown.text
    assert "<b>The lid</b>" not in shown.text
    says(send(client, "try", text=" "), 200, "Write a text first.")
    says(send(client, "try", text="x" * 100_001), 200, "longer than 100,000")


def test_trying_a_text_before_the_first_version_says_what_it_waits_for() -> None:
    fake = backend()
    fake.held[TASK].serving = None
    client = browser(fake)
    log_in(client)
    says(send(client, "try", text="hello"), 200, "no version")


def test_trying_counts_against_the_limit_of_the_key() -> None:
    keys = KEYS.replace('"role": "predict"', '"role": "predict", "texts_per_second": 0.001, "burst_texts": 1')
    client = browser(keys=keys)
    log_in(client, PREDICTOR)
    assert [send(client, "try", text="hello").status_code for _ in range(2)] == [200, 429]


# A server without keys


def test_without_keys_nobody_logs_in_but_only_this_machine_is_answered() -> None:
    fake = backend()
    local = {"Host": "127.0.0.1:8000", "Origin": "http://127.0.0.1:8000"}
    client = browser(fake, "[]", insecure=True)
    page = client.get("/", headers=local)
    says(page, 200, "No login on this machine")
    assert "/logout" not in page.text
    assert client.get("/login", headers=local).headers["location"] == "/"
    assert client.post("/login", data={"key": "x"}, headers=local).headers["location"] == "/"
    assert client.post(f"{PAGE}/pause", data={"x": ""}, headers=local).status_code == 303
    assert fake.calls == ["pause by anonymous"]
    for foreign in ({"Host": "evil.example"}, local | {"Origin": "http://evil.example"}):
        says(client.get("/", headers=foreign), 403, "This server has no API keys")
        says(client.post(f"{PAGE}/resume", data={"x": ""}, headers=foreign), 403, "This server has no API keys")
    app = app_of(fake, "[]", insecure=True)
    with httpx.Client(transport=AppTransport(app), base_url="http://127.0.0.1:8000") as silent:
        says(silent.post(f"{PAGE}/resume", data={"x": ""}), 403, "not sent by a page of this server")
    assert fake.calls == ["pause by anonymous"]


# Pages


def test_every_page_is_closed_to_everything_else() -> None:
    client = browser()
    log_in(client)
    for page in (client.get("/"), client.get(PAGE), client.get("/tasks/acme/missing"), browser().get("/login")):
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'")
        assert "unsafe" not in policy
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "same-origin"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"\s(style|on\w+)=\"", page.text), "the policy forbids these"


def test_errors_of_the_page_are_pages_and_those_of_the_api_are_problem_documents() -> None:
    fake = backend()
    client = browser(fake)
    log_in(client)
    says(client.get("/tasks/acme/missing"), 404, "there is no task acme/missing")
    says(client.get("/tasks/ACME/x"), 422, "path.workspace")
    says(client.get(f"{PAGE}/pause"), 405, "knows no GET")
    fake.fails = Unavailable("The bucket is away. Try again.")
    says(client.get(f"{PAGE}/rollback"), 503, "The bucket is away")
    says(client.get(PAGE), 200, "This part cannot be read now: The bucket is away")
    bearer = {"Authorization": f"Bearer {OPERATOR}"}
    for path, status in ((f"/v1{PAGE}", 503), ("/v1/tasks/acme/support/nowhere", 404), ("/nowhere", 404)):
        answer = client.get(path, headers=bearer)
        assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM_JSON)


def test_texts_of_users_do_nothing_on_a_page() -> None:
    fake = backend(labels=["<script>alert(1)</script>", "b"])
    client = browser(fake)
    log_in(client)
    shown = send(client, "try", text="</textarea><script>alert(2)</script>\x07")
    assert "<script>alert" not in shown.text
    assert "\x07" not in shown.text
    assert "<script>alert(1)</script>" in html.unescape(shown.text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("run `tornio <up>` now", "run <code>tornio &lt;up&gt;</code> now"),
        ("one ` alone <b>", "one ` alone &lt;b&gt;"),
        ("`a`", "<code>a</code>"),
        ("", ""),
    ],
)
def test_commands_in_messages_are_shown_as_code(text: str, shown: str) -> None:
    assert with_commands(text) == shown


def test_no_link_and_no_made_up_cookie_makes_a_message_appear() -> None:
    client = browser()
    log_in(client)
    for query in ("paused", "You have won"):
        assert "notice" not in client.get(PAGE, params={"done": query}).text
    for cookie in (f"You have won:{PAGE}", "paused:/", "paused", f"promoted:{PAGE}/promote"):
        client.cookies.set("tornio-done", cookie)
        assert "notice" not in client.get(PAGE).text


def test_a_list_without_tasks_says_what_comes_next() -> None:
    client = browser(FakeBackend())
    log_in(client)
    says(client.get("/"), 200, "tornio apply task.yaml")


def test_only_tasks_that_the_key_sees_are_listed() -> None:
    fake = backend()
    spec = TaskSpec.model_validate({"workspace": "other", "name": "secret", "labels": ["a", "b"]})
    fake.held[TaskName("other", "secret")] = FakeTask(spec)
    client = browser(fake)
    log_in(client)
    assert "secret" not in client.get("/").text
    says(client.get("/tasks/other/secret"), 403, "no access")


def test_head_answers_as_get_without_the_body() -> None:
    client = browser()
    log_in(client)
    head = client.head("/")
    assert (head.status_code, head.content) == (200, b"")


def test_files_of_the_page_are_open_and_stay_in_caches_by_their_content() -> None:
    client = browser()
    log_in(client)
    found = re.findall(r'(?:href|src)="(/static/[^"]+)"', client.get("/").text)
    assert len(set(found)) == 3
    client.cookies.clear()
    for path in found:
        answer = client.get(html.unescape(path))
        assert "immutable" in answer.headers["cache-control"]
        assert client.get(path.partition("?")[0]).headers["cache-control"] == "no-cache"
    assert client.get("/favicon.ico").headers["content-type"] == "image/svg+xml"
    assert client.get("/static/..%2Fassets.py").status_code == 401
    assert client.get("/static/missing.css").status_code == 404


def test_the_page_is_no_part_of_the_description_of_the_api() -> None:
    described = app_of(backend()).openapi()["paths"]
    assert not [path for path in described if not path.startswith(("/v1", "/v2", "/hf", "/healthz", "/readyz"))]
