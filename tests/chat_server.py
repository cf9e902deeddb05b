"""A chat server for tests, over HTTP on 127.0.0.1: it knows the truth, and can be rude."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""
Rudeness = Callable[[int, dict[str, Any]], Answer | None]
"""Called with the number of the request, from 1, and its body. None: it is answered as a good server does."""


@dataclass
class ChatServer:
    """``label_of``: what it says about a text. ``rude``: what it does instead. ``logprobs``, ``schemas``: whether it
    has them; without them it answers 400 to a request for them. ``requests``, ``headers``: what it got, in order."""

    label_of: Callable[[str], str | list[str]]
    rude: Rudeness = lambda _number, _body: None
    logprobs: bool = True
    schemas: bool = True
    usage: bool = True
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def texts(self) -> Counter[str]:
        """How often it was asked about each text."""
        return Counter(text_of(body) for body in self.requests)

    def answer(self, body: dict[str, Any], headers: dict[str, str]) -> Answer:
        with self.lock:
            self.requests.append(body)
            self.headers.append(headers)
            number = len(self.requests)
        rude = self.rude(number, body)
        if rude is not None:
            return rude
        if ("response_format" in body and not self.schemas) or ("logprobs" in body and not self.logprobs):
            return problem(400, "this server does not know the parameter")
        return completion(body, self.label_of(text_of(body)), self.usage)


def text_of(body: dict[str, Any]) -> str:
    """Return the text in a request, without the marks around it."""
    return "\n".join(str(body["messages"][-1]["content"]).split("\n")[1:-1])


def completion(body: dict[str, Any], label: str | list[str], usage: bool = True) -> Answer:
    """A chat completion with the answer that the schema wants, and log-probabilities where they are asked for: .8 for
    the label and .2 for the other labels that begin with another letter."""
    content = json.dumps({"label" if isinstance(label, str) else "labels": label})
    choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    if body.get("logprobs") and isinstance(label, str):
        choice["logprobs"] = {"content": _pieces(label, body)}
    answer: dict[str, Any] = {"object": "chat.completion", "model": body["model"], "choices": [choice]}
    if usage:
        answer["usage"] = {"prompt_tokens": 40, "completion_tokens": 5, "total_tokens": 45}
    return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()


def said(content: str | None, **choice: Any) -> Answer:
    """A completion with this content, whatever was asked."""
    message = {"role": "assistant", "content": content, **choice.pop("message", {})}
    answer = {"choices": [{"index": 0, "message": message, "finish_reason": "stop", **choice}], "usage": {
        "prompt_tokens": 40, "completion_tokens": 5}}  # fmt: skip
    return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()


def problem(status: int, message: str = "", **headers: str) -> Answer:
    return status, headers, json.dumps({"error": {"message": message}}).encode()


def _pieces(label: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    names = json.dumps(body).split('"enum": ')[1].split("]")[0] + "]"
    others = sorted({name[0] for name in json.loads(names)} - {label[0]})
    first = [_piece(label[0], 0.8), *(_piece(letter, 0.2 / len(others)) for letter in others)]
    pieces = [
        _piece('{"label": "', 1.0),
        {**_piece(label[0], 0.8), "top_logprobs": first},
        _piece(label[1:] + '"}', 1.0),
    ]
    return [{"top_logprobs": [dict(one)], **one} for one in pieces]


def _piece(text: str, probability: float) -> dict[str, Any]:
    import math

    return {"token": text, "logprob": math.log(probability), "bytes": list(text.encode())}


@contextmanager
def chat_server(label_of: Callable[[str], str | list[str]], **options: Any) -> Iterator[ChatServer]:
    """Serve on a free port of 127.0.0.1."""
    server = ChatServer(label_of, **options)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # otherwise each answer waits 40 ms for an acknowledgement of its headers

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path != "/v1/chat/completions":
                status, headers, content = problem(404, f"no {self.path}")
            else:
                status, headers, content = server.answer(body, {k.lower(): v for k, v in self.headers.items()})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            try:
                self.wfile.write(content)
            except (BrokenPipeError, ConnectionResetError):  # the client gave up, which some tests want
                self.close_connection = True

        def log_message(self, *_args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_address[1]}/v1"
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
