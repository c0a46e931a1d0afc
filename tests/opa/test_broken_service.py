"""A service that is away, slow, wrong or mad: the decision is a whole object that denies and says why."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from fixtures.opa import (
    RunningOpa,
    Script,
    bundle_with,
    facts,
    question,
    running_opa,
    scripted_service,
    send,
)

KEYS = {"allow", "reasons", "warnings", "estimate", "budget", "verdicts", "hold", "obligations", "facts"}
TIMEOUT_S = 0.3


def truncated(handler: BaseHTTPRequestHandler) -> None:
    """Half of a good answer."""
    raw = json.dumps(facts()).encode()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(raw)))
    handler.end_headers()
    handler.wfile.write(raw[: len(raw) // 2])
    handler.close_connection = True


def hang(handler: BaseHTTPRequestHandler) -> None:
    """No answer before OPA gives up."""
    time.sleep(3 * TIMEOUT_S)


def drip(handler: BaseHTTPRequestHandler) -> None:
    """An answer that never gets complete in time."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(10):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(TIMEOUT_S / 3)


def no_http(handler: BaseHTTPRequestHandler) -> None:
    """Bytes that are no HTTP."""
    handler.wfile.write(b"\x00\xffallow\r\n\r\n")
    handler.close_connection = True


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    """The connection ends without an answer."""
    handler.close_connection = True


def answering(status: int, body: object, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    """A complete answer."""
    return lambda handler: send(handler, status, body, **headers)


def nested(depth: int) -> bytes:
    """JSON of this many levels."""
    return b'{"id":' * depth + b"1" + b"}" * depth


BROKEN = {
    "hangs": (hang, "facts_unavailable"),
    "drips": (drip, "facts_unavailable"),
    "truncated": (truncated, "facts_unavailable"),
    "no HTTP": (no_http, "facts_unavailable"),
    "hangs up": (hang_up, "facts_unavailable"),
    "500": (answering(500, {"allow": True}), "facts_unavailable"),
    "503": (answering(503, {"code": "overloaded"}), "facts_unavailable"),
    "500 with whole facts": (answering(500, facts()), "facts_unavailable"),
    "201 with whole facts": (answering(201, facts()), "facts_unavailable"),
    "redirect": (answering(302, b"", Location="/elsewhere"), "facts_unavailable"),
    "401": (answering(401, {"code": "unauthenticated"}), "facts_rejected"),
    "403": (answering(403, {"code": "forbidden"}), "facts_rejected"),
    "422": (answering(422, {"code": "invalid_input", "detail": "no", "errors": []}), "input_invalid"),
    "413": (answering(413, {"code": "payload_too_large", "detail": "no"}), "input_invalid"),
    "422 without a problem": (answering(422, "no"), "facts_unavailable"),
    "empty": (answering(200, b""), "facts_unavailable"),
    "HTML": (answering(200, b"<html>allow</html>", Content_Type="text/html"), "facts_unavailable"),
    "garbage": (answering(200, b"\x00\xff\xfe"), "facts_unavailable"),
    "NaN": (answering(200, json.dumps(facts()).replace("0.02", "NaN").encode()), "facts_unavailable"),
    "infinite": (answering(200, json.dumps(facts()).replace("0.02", "1e400").encode()), "facts_unavailable"),
    "nested": (answering(200, nested(100_000)), "facts_unavailable"),
    "huge": (answering(200, b'{"id":"' + b"x" * 20_000_000 + b'"}'), "facts_unavailable"),
    "decision": (answering(200, {"allow": True, "reasons": []}), "facts_unavailable"),
    "true": (answering(200, True), "facts_unavailable"),  # noqa: FBT003  # a body
}


@pytest.fixture(scope="module")
def impatient(opa_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningOpa, Script]]:
    """OPA with a short timeout, and its service."""
    folder = tmp_path_factory.mktemp("impatient")
    bundle = bundle_with(folder, config={"timeout": f"{TIMEOUT_S * 1000:.0f}ms"})
    with (
        scripted_service() as (script, url),
        running_opa(opa_binary, folder, bundle=bundle, service_url=url) as opa,
    ):
        yield opa, script


@pytest.mark.parametrize("how", BROKEN)
def test_broken_service_denies(impatient: tuple[RunningOpa, Script], how: str) -> None:
    """Whatever the service does wrong, nothing is allowed and the reason says what is broken."""
    opa, script = impatient
    script.answer, code = BROKEN[how]
    decision = opa.decide(question())
    assert set(decision) == KEYS
    assert decision["allow"] is False
    assert decision["hold"] is None
    assert decision["obligations"] == []
    assert [reason["code"] for reason in decision["reasons"]] == [code]


def test_the_service_recovers(impatient: tuple[RunningOpa, Script]) -> None:
    """Nothing of a failure is remembered: the next question is answered by facts again."""
    opa, script = impatient
    script.answer = hang
    assert opa.decide(question())["allow"] is False
    script.facts(facts())
    assert opa.decide(question())["allow"] is True


def test_a_hanging_service_is_not_waited_for_longer_than_the_timeout(impatient: tuple[RunningOpa, Script]) -> None:
    """One attempt, no retry: the whole decision takes about one timeout."""
    opa, script = impatient
    script.answer = hang
    script.asked.clear()
    opa.decide(question())
    assert len(script.asked) == 1


def test_nobody_listens(opa_binary: Path, tmp_path: Path) -> None:
    """A service that is not there at all denies at once."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with running_opa(opa_binary, tmp_path, service_url=url) as opa:
            decision = opa.decide(question())
    assert [reason["code"] for reason in decision["reasons"]] == ["facts_unavailable"]
    assert "refused" in decision["reasons"][0]["details"]["cause"]


@pytest.mark.parametrize("config", [{"timeout": 500}, {"timeout": "soon"}, {"timeout": None}, {"service": {}}])
def test_a_call_that_cannot_be_made_denies(opa_binary: Path, tmp_path: Path, config) -> None:
    """A wrong configuration never allows; a timeout without a unit would be nanoseconds."""
    bundle = bundle_with(tmp_path, config=config)
    with running_opa(opa_binary, tmp_path, bundle=bundle) as opa:
        decision = opa.decide(question())
    assert set(decision) == KEYS
    assert decision["allow"] is False
    assert [reason["code"] for reason in decision["reasons"]] == ["facts_unavailable"]
