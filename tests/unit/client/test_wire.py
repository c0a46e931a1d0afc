"""Both clients on a real socket, against a server that answers as it is told: whatever is no answer is a denial."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from sark_opa.client import AsyncSarkClient, Decision, RefusedError, SarkClient, UnreachableError, wire
from sark_opa.client.counting import slim
from sark_opa.errors import InvalidInputError

ALLOW: dict[str, Any] = {
    "allow": True, "reasons": [], "warnings": [], "estimate": None, "budget": None, "verdicts": [], "hold": None,
    "obligations": [], "facts": None,
}  # fmt: skip


class Server:
    """Answers every POST with the next of `answers`: status, body, headers; and remembers what came."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes, dict[str, str]]] = []
        self.seen: list[tuple[str, bytes, dict[str, str]]] = []
        self.url = ""

    def answer(self, status: int, body: object = b"", **headers: str) -> None:
        """One more answer."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers.append((status, raw, headers))


@pytest.fixture
def server() -> Iterator[Server]:
    """A server, and its own URL."""
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            told.seen.append((self.path, body, dict(self.headers)))
            status, raw, headers = told.answers.pop(0)
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(raw))}).items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(raw)

        def do_GET(self) -> None:
            told.seen.append(("GET " + self.path, b"", {}))
            raw = json.dumps({"result": ALLOW}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            """Nothing on the test's output."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    told.url = f"http://127.0.0.1:{listening.server_port}"
    yield told
    listening.shutdown()
    listening.server_close()
    thread.join()


class Client:
    """The two clients as one: each method on the kind that is asked for."""

    def __init__(self, kind: str, url: str) -> None:
        self._kind = kind
        self._options: dict[str, Any] = {"service_url": url, "token": "settle-token", "opa_token": "opa-token"}
        self._url = url

    def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """What the method returns or raises."""
        if self._kind == "sync":
            with SarkClient(self._url, **self._options, retries=1) as client:
                return getattr(client, method)(*arguments, **options)

        async def play() -> Any:
            async with AsyncSarkClient(self._url, **self._options, retries=1) as client:
                return await getattr(client, method)(*arguments, **options)

        return asyncio.run(play())


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest, server: Server) -> Client:
    """Each of the two clients, on `server`."""
    return Client(request.param, server.url)


def test_each_is_shown_its_own_token(client: Client, server: Server) -> None:
    """OPA's to OPA, the service's to the service."""
    server.answer(200, {"result": ALLOW})
    server.answer(200, {"state": "released"})
    assert client.call("decide", {"request_id": "r"}).allow
    client.call("release", "aA")
    (path, body, asked), (_, _, told) = server.seen
    assert (path, json.loads(body)) == ("/v1/data/sark/authz/decision", {"input": {"request_id": "r"}})
    assert (asked["Authorization"], told["Authorization"]) == ("Bearer opa-token", "Bearer settle-token")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(client: Client, server: Server, status: int) -> None:
    """Where it leads somebody allows everything."""
    server.answer(status, Location=server.url + "/elsewhere")
    decision: Decision = client.call("decide", {})
    assert (decision.allow, decision.reasons[0].code) == (False, "decision_malformed")
    server.answer(status, b"{}", Location=server.url + "/elsewhere")
    with pytest.raises(RefusedError):
        client.call("settle", "aA", amount_usd=Decimal(1))
    assert [path for path, _, _ in server.seen] == ["/v1/data/sark/authz/decision", "/v1/holds/aA/settle"]


@pytest.mark.parametrize(
    "question", [{"n": "\ud800"}, {"n": object()}, {1: {(): 2}}], ids=["surrogate", "object", "key"]
)
def test_a_question_json_cannot_say_is_a_denial(client: Client, server: Server, question: dict[Any, Any]) -> None:
    """Of whatever end user it came from; nothing is sent."""
    decision: Decision = client.call("decide", question)
    assert (decision.allow, decision.reasons[0].code) == (False, "invalid_input")
    assert server.seen == []


@pytest.mark.parametrize("hold_id", ["a/b", "../accounts/acme", "a?x=1", "a#b", "a b", "%2e", "ü"])
def test_an_id_leads_to_no_other_route(client: Client, server: Server, hold_id: str) -> None:
    """Whatever it holds, it is one segment of the path."""
    server.answer(404, {"code": "unknown_hold", "detail": "no"})
    with pytest.raises(RefusedError) as refused:
        client.call("release", hold_id)
    assert refused.value.problem_code == "unknown_hold"
    ((path, _, _),) = server.seen
    assert path.startswith("/v1/holds/")
    assert path.endswith("/release")
    assert path.count("/") == 4
    assert not set("?# ") & set(path)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b"\xff", b'{"a": 1e-99999999999999999999}', b"[" * 5_000], ids=range(7)
)
def test_what_is_no_answer_is_not_taken_for_one(client: Client, server: Server, body: bytes) -> None:
    """Neither for a decision nor for a settlement."""
    server.answer(200, body)
    server.answer(200, body)
    assert not client.call("decide", {}).allow
    with pytest.raises(UnreachableError):
        client.call("settle", "aA", usage={"input_tokens": 1})


def test_a_service_that_stays_away_is_told(client: Client, server: Server) -> None:
    """After the last try its own problem is the answer."""
    for _ in range(2):
        server.answer(503, {"code": "database_unavailable", "detail": "gone"})
    with pytest.raises(RefusedError) as refused:
        client.call("settle", "aA", amount_usd=Decimal("0.1"))
    assert (refused.value.http_status, refused.value.problem_code) == (503, "database_unavailable")
    assert [body for _, body, _ in server.seen] == [b'{"estimated":false,"amount_usd":0.1}'] * 2


def test_an_answer_keeps_its_digits(client: Client, server: Server) -> None:
    """Money arrives as it was booked."""
    server.answer(200, b'{"actual_usd": 0.1000000000000000055511151231257827}')
    assert client.call("settle", "aA", amount_usd=Decimal(1)) == {
        "actual_usd": Decimal("0.1000000000000000055511151231257827")
    }


def test_a_usage_json_cannot_say_is_the_callers_mistake() -> None:
    """And is said before anything is sent."""
    with pytest.raises(InvalidInputError, match="usage"):
        wire.settle_body({"n": object()}, None, estimated=False)


def test_the_asynchronous_client_has_to_be_opened() -> None:
    """That is a mistake of the program, and no denial."""
    with pytest.raises(RuntimeError, match="async with"):
        asyncio.run(AsyncSarkClient("http://127.0.0.1:9").decide({}))


def test_a_prompt_that_cannot_be_counted_is_sent_along() -> None:
    """The service, or OPA, says what is wrong with it."""
    for prompt in ("\ud800" * 99, object(), [{"role": "user", "content": 10**400}]):
        question = {
            "resource": {"id": "openai"}, "capability": {"id": "chat.completions"},
            "arguments": {"model": "gpt-4o", "messages": prompt},
        }  # fmt: skip
        assert slim(question, above_bytes=10) is question
