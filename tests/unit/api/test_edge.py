"""The edge and the hot path, called as ASGI applications: bounds, last catch, one line a request."""

from __future__ import annotations

import asyncio
import json
import re
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from sark_opa.api import application
from sark_opa.api.edge import Edge
from sark_opa.errors import UnavailableError
from sark_opa.metrics import Metrics
from sark_opa.storage.audit import Actor

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
    return SimpleNamespace(
        metrics=Metrics(), keyring=SimpleNamespace(holder_of={"good": Actor("gate", "facts")}.get), **parts
    )


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


async def test_a_crash_of_any_route_is_a_problem() -> None:
    """Also of those that FastAPI answers, which has words of its own for it."""
    parts = services()  # without any plugins to list
    parts.keyring.holder_of = {"good": Actor("root", "admin")}.get
    app = application.build(parts, body_bytes_max=1_000, in_flight_max=9)
    with structlog.testing.capture_logs() as lines:
        status, problem = await ask(app, scope("GET", "/v1/plugins", authorization="Bearer good"))
    assert (status, problem["code"], problem["type"]) == (500, "error", "urn:sark-opa:problem:error")
    assert [line["event"] for line in lines] == ["crash", "request"]


async def test_a_caller_who_hangs_up_is_no_crash() -> None:
    """Its body never came: nothing is answered, and the line says why."""
    app = application.build(services(), body_bytes_max=1_000, in_flight_max=9)
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    with structlog.testing.capture_logs() as lines:
        await app(scope(), receive, send)
    assert sent == []
    assert [(line["event"], line["code"], line["status"]) for line in lines] == [("request", "client_gone", 0)]


async def test_a_cancelled_request_is_told_and_counted_out() -> None:
    """As when the service stops; the place it took is free again."""
    began = asyncio.Event()

    async def hangs(*_: Any) -> None:
        began.set()
        await asyncio.sleep(600)

    app = edge(hangs)
    with structlog.testing.capture_logs() as lines:
        task = asyncio.create_task(ask(app, scope()))
        await began.wait()
        assert app._in_flight == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert app._in_flight == 0
    assert [(line["event"], line["code"]) for line in lines] == [("request", "cancelled")]


async def test_a_path_cannot_write_into_the_log() -> None:
    """It is told as it was sent, with its escapes, and no terminal obeys it."""
    sent = scope("GET", "/v1/x\n\x1b[31mforged") | {"raw_path": b"/v1/x%0a%1b%5b31mforged"}
    app = application.build(services(), body_bytes_max=1_000, in_flight_max=9)
    with structlog.testing.capture_logs() as lines:
        assert (await ask(app, sent))[1]["code"] == "not_found"
    assert lines[-1]["path"] == "/v1/x%0a%1b%5b31mforged"


async def test_routes_are_counted_by_their_pattern() -> None:
    """What callers put into a path is no label, or anybody could fill the memory with labels."""
    app = application.build(services(), body_bytes_max=1_000, in_flight_max=9)
    for path in ("/v1/holds/one", "/v1/holds/two", "/v1/accounts/acme/team/x", "/nowhere/at/all"):
        await ask(app, scope("GET", path))
    text = app._metrics.exposition().decode()
    assert set(re.findall(r'sark_request_seconds_count\{route="([^"]*)"', text)) == {
        "/v1/holds/{hold_id}", "/v1/accounts/{name:path}", "none",
    }  # fmt: skip


async def test_whoever_sends_too_much_too_slowly_is_answered_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of a body is read and dropped for a while, not for ever."""
    monkeypatch.setattr("sark_opa.api.edge._DRAIN_TIMEOUT_S", 0.05)
    app = application.build(services(), body_bytes_max=100, in_flight_max=9)
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        if not sent:
            await asyncio.sleep(600)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await asyncio.wait_for(app(scope(content_length="101"), receive, send), 10)
    assert sent[0]["status"] == 413


async def test_a_body_within_its_bound_is_let_through() -> None:
    """To the byte."""

    async def counts(_scope: Any, receive: Any, send: Any) -> None:
        size = len((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps({"size": size}).encode()})

    assert await ask(edge(counts), scope(content_length="100"), b"x" * 100) == (200, {"size": 100})
