"""The edge and the hot path, called as ASGI applications: bounds, last catch, one line a request."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from sark_opa.api import application
from sark_opa.api.edge import Edge
from sark_opa.errors import UnavailableError
from sark_opa.metrics import Metrics

pytestmark = pytest.mark.anyio


def scope(method: str = "POST", path: str = "/v1/facts", **headers: str) -> dict[str, Any]:
    """An HTTP request over the unix socket."""
    return {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        "server": ("/run/sark.sock", None), "client": None, "scheme": "http", "http_version": "1.1", "root_path": "",
    }  # fmt: skip


async def ask(app: Any, asked: dict[str, Any], *chunks: bytes) -> tuple[int, dict[str, Any]]:
    """Status and body of the answer; the body is sent in `chunks`."""
    waiting = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    waiting = waiting or [{"type": "http.request", "body": b"", "more_body": True}]
    waiting[-1]["more_body"] = False
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(asked, receive, send)
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], json.loads(body)


def edge(app: Any, **bounds: int) -> Edge:
    """An edge around `app`."""
    return Edge(app, **({"body_bytes_max": 100, "in_flight_max": 2} | bounds), metrics=Metrics())


async def test_a_crash_is_answered_logged_and_counted() -> None:
    """With a problem that tells nothing of the inside, and a line that tells all."""

    async def broken(*_: Any) -> None:
        raise ZeroDivisionError("the secret figure")

    with structlog.testing.capture_logs() as lines:
        status, problem = await ask(edge(broken), scope())
    assert (status, problem["code"]) == (500, "error")
    assert "secret" not in json.dumps(problem)
    assert [line["event"] for line in lines] == ["crash", "request"]
    assert lines[1]["code"] == "error"
    assert lines[1]["status"] == 500


async def test_too_many_at_once_are_refused_at_once() -> None:
    """The ones being answered go on; probes are let in."""
    go = asyncio.Event()

    async def slow(asked: Any, _receive: Any, send: Any) -> None:
        if asked["path"] == "/v1/facts":
            await go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    app = edge(slow, in_flight_max=2)
    running = [asyncio.create_task(ask(app, scope())) for _ in range(2)]
    await asyncio.sleep(0)
    refused = await ask(app, scope())
    probe = await ask(app, scope("GET", "/healthz"))
    go.set()
    assert (refused[0], refused[1]["code"]) == (503, "overloaded")
    assert probe[0] == 200
    assert [status for status, _ in await asyncio.gather(*running)] == [200, 200]
    assert (await ask(app, scope()))[0] == 200


def services(**parts: Any) -> Any:
    """What the hot path needs."""
    return SimpleNamespace(metrics=Metrics(), keyring=SimpleNamespace(role_of={"good": "facts"}.get), **parts)


async def test_a_body_is_bounded_by_what_comes_not_by_what_is_said() -> None:
    """A length that is too large, and chunks that sum up to too much."""
    app = application.build(services(), body_bytes_max=100, in_flight_max=9)
    assert (await ask(app, scope(content_length="101"), b"x"))[1]["code"] == "payload_too_large"
    assert (await ask(app, scope(content_length="5"), b"x" * 60, b"x" * 60))[1]["code"] == "payload_too_large"


async def test_the_hot_path_asks_for_the_same_token_and_body() -> None:
    """Over TCP a token of the right role; then JSON; then the right JSON; each refusal in the one shape."""
    app = application.build(services(), body_bytes_max=1_000, in_flight_max=9)
    tcp = {"server": ("127.0.0.1", 8088)}
    assert (await ask(app, scope() | tcp, b"{}"))[1]["code"] == "unauthenticated"
    assert (await ask(app, scope(authorization="Bearer bad") | tcp, b"{}"))[1]["code"] == "unauthenticated"
    assert (await ask(app, scope(authorization="Bearer good") | tcp, b"{"))[1]["code"] == "malformed_json"
    status, problem = await ask(app, scope(authorization="Bearer good") | tcp, b'{"hold": 1}')
    assert (status, problem["code"]) == (422, "invalid_input")
    assert "principal" in {fault["path"] for fault in problem["errors"]}


async def test_the_hot_path_reports_what_the_evaluator_raises() -> None:
    """As a problem with its code, in the answer and in the line."""

    async def answer(*_: Any, **__: Any) -> None:
        raise UnavailableError("nobody is in")

    app = application.build(services(evaluator=SimpleNamespace(answer=answer)), body_bytes_max=1_000, in_flight_max=9)
    asked = {"principal": {"id": "u", "org": "o"}, "resource": {"id": "r"}, "capability": {"id": "c"}}
    with structlog.testing.capture_logs() as lines:
        status, problem = await ask(app, scope(), json.dumps(asked).encode())
    assert (status, problem["code"], problem["detail"]) == (503, "unavailable", "nobody is in")
    assert (lines[-1]["path"], lines[-1]["status"], lines[-1]["code"]) == ("/v1/facts", 503, "unavailable")


async def test_other_methods_on_the_hot_path_are_not_found_there() -> None:
    """FastAPI answers them."""
    app = application.build(services(), body_bytes_max=1_000, in_flight_max=9)
    assert (await ask(app, scope("GET")))[1]["code"] == "method_not_allowed"
