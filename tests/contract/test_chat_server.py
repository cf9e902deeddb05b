"""What every chat server does, over HTTP and in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.chat_server import chat_server, problem
from tests.unit.llm.fake import FakeChatServer
from tornio.errors import Forbidden
from tornio.models.llm.answers import judge
from tornio.models.llm.port import MODES, Busy, ChatServer, Mode, Rejected
from tornio.models.llm.prompt import Prompt
from tornio.models.llm.server import HttpChatServer
from tornio.settings import LlmEndpoint
from tornio.spec import LabelSpec

pytestmark = pytest.mark.unit

PROMPT = Prompt("", (LabelSpec(name="fruit"), LabelSpec(name="metal")), False, 1000)
QUESTION = PROMPT.question("an apple")
Make = Callable[..., ChatServer]
"""Takes the statuses of the answers, None for a completion; the Retry-After; and whether the schema is known."""


@pytest.fixture(params=["http", "memory"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    with ExitStack() as stack:

        def over_http(*statuses: int | None, after: float | None = None, schemas: bool = True) -> ChatServer:
            coming = iter(statuses)

            def rude(_number: int, _body: object) -> object:
                status = next(coming, None)
                headers = {} if after is None else {"Retry_After": str(after)}
                return None if status is None else problem(status, "no", **headers)

            server = stack.enter_context(
                chat_server(lambda _text: "fruit", rude=rude, schemas=schemas, logprobs=schemas)
            )
            endpoint = LlmEndpoint(url=server.url, model="m", max_requests=9, max_tokens=9)
            made = HttpChatServer("e", endpoint)
            stack.callback(made.close)
            return made

        def in_memory(*statuses: int | None, after: float | None = None, schemas: bool = True) -> ChatServer:
            return FakeChatServer("fruit", iter(statuses), after, lambda mode: schemas or not mode.structured)

        yield over_http if request.param == "http" else in_memory


def test_an_answer_names_a_label_with_its_probability(make: Make) -> None:
    reply = make().ask(QUESTION, MODES[0], 0.0)
    judged = judge(reply, PROMPT)
    assert judged.measured
    assert judged.probabilities[0] > 0.79
    assert reply.used == 45


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_gives_the_same_label_and_only_log_probabilities_measure(make: Make, mode: Mode) -> None:
    judged = judge(make().ask(QUESTION, mode, None), PROMPT)
    assert judged.probabilities.argmax() == 0
    assert judged.measured is mode.logprobs


def test_a_mode_that_it_does_not_know_is_rejected_and_the_plain_one_never(make: Make) -> None:
    server = make(schemas=False)
    with pytest.raises(Rejected):
        server.ask(QUESTION, MODES[0], 0.0)
    assert judge(server.ask(QUESTION, MODES[-1], 0.0), PROMPT).probabilities.argmax() == 0


@pytest.mark.parametrize(("status", "worked"), [(429, False), (408, True), (500, True), (503, True)])
def test_a_busy_server_says_when_to_come_back(make: Make, status: int, worked: bool) -> None:
    server = make(status, after=7)
    with pytest.raises(Busy, match=str(status)) as caught:
        server.ask(QUESTION, MODES[0], 0.0)
    assert (caught.value.after, caught.value.worked) == (7, worked)
    server.ask(QUESTION, MODES[0], 0.0)


@pytest.mark.parametrize(("status", "error"), [(400, Rejected), (422, Rejected), (401, Forbidden)])
def test_what_will_not_change_is_no_busy_server(make: Make, status: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        make(status).ask(QUESTION, MODES[0], 0.0)
