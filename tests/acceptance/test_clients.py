"""Both clients against the real stack: the same answers, money exact, prompts counted, denials instead of errors."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from fixtures.stack import LiveStack, chat

from sark_opa.client import AsyncSarkClient, Decision, RefusedError, SarkClient, UnreachableError
from sark_opa.client.counting import slim
from sark_opa.errors import InvalidInputError

LONG = {"messages": [{"role": "user", "content": "x" * 50_000}]}
USAGE = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}


def _sync(stack: LiveStack, **options: Any) -> SarkClient:
    return SarkClient(stack.opa_url, service_url=stack.service_url, token=stack.settle_token, **options)


def _run(stack: LiveStack, play: Callable[[AsyncSarkClient], Awaitable[Any]], **options: Any) -> Any:
    async def main() -> Any:
        async with AsyncSarkClient(
            stack.opa_url, service_url=stack.service_url, token=stack.settle_token, **options
        ) as client:
            return await play(client)

    return asyncio.run(main())


def test_the_synchronous_client_does_the_whole_job(stack: LiveStack) -> None:
    """Decide, settle, settle again, release what is not used."""
    org = stack.new_org()
    with _sync(stack) as client:
        decision = client.decide(chat("c1", org=org))
        charge = client.settle(decision, usage=USAGE)
        again = client.settle(decision.hold.id if decision.hold else "", usage=USAGE)
        released = client.release(client.decide(chat("c2", org=org)))
        preview = client.preview(chat(None, org=org))
    assert charge == again
    assert charge["actual_usd"] == Decimal("0.000225")
    assert released["state"] == "released"
    assert (preview.allow, preview.hold) == (True, None)
    assert stack.spent(org) == {"spent": Decimal("0.000225"), "held": 0}


def test_the_asynchronous_client_does_the_same(stack: LiveStack) -> None:
    """Fifty at once, each its own hold."""
    org = stack.new_org()

    async def play(client: AsyncSarkClient) -> list[Decision]:
        decisions = await asyncio.gather(*(client.decide(chat(f"a{n}", org=org)) for n in range(50)))
        await asyncio.gather(*(client.settle(decision, amount_usd=Decimal("0.01")) for decision in decisions))
        return decisions

    decisions = _run(stack, play)
    assert len({decision.hold.id for decision in decisions}) == 50
    assert stack.spent(org) == {"spent": Decimal("0.5"), "held": 0}


def test_refusals_carry_the_problems_code(stack: LiveStack) -> None:
    """What the service refuses is an error with its code, on both clients."""
    org = stack.new_org()
    with _sync(stack) as client:
        decision = client.decide(chat("refused", org=org))
        client.settle(decision, usage=USAGE)
        with pytest.raises(RefusedError) as refused:
            client.release(decision)
        assert (refused.value.http_status, refused.value.problem_code) == (409, "hold_ended")
        with pytest.raises(InvalidInputError):
            client.settle(client.preview(chat(None, org=org)), usage=USAGE)

    async def play(client: AsyncSarkClient) -> None:
        await client.release(decision)

    with pytest.raises(RefusedError):
        _run(stack, play)


def test_nobody_there_is_a_denial_and_an_error(stack: LiveStack) -> None:
    """Deciding denies; settling says that it does not know."""
    with SarkClient("http://127.0.0.1:9", service_url="http://127.0.0.1:9", token="t" * 40, retries=1) as client:
        assert client.decide(chat("nobody", org="acme")).reasons[0].code == "opa_unavailable"
        with pytest.raises(UnreachableError):
            client.settle("aA", amount_usd=Decimal(1))
    with SarkClient(stack.opa_url) as client, pytest.raises(UnreachableError):
        client.settle("aA", amount_usd=Decimal(1))

    async def play() -> Decision:
        async with AsyncSarkClient("http://127.0.0.1:9") as client:
            return await client.decide(chat("nobody", org="acme"))

    assert asyncio.run(play()).reasons[0].code == "opa_unavailable"


def test_a_settlement_is_tried_again(stack: LiveStack) -> None:
    """A proxy that answers 503 once does not lose the settlement, on either client."""
    org = stack.new_org()
    seen: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # http.server's name
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append(self.path)
            if seen.count(self.path) == 1:
                self.send_response(503)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            answer = stack.api("POST", self.path, raw=body, token=stack.settle_token)
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: Any) -> None:
            """Nothing on the test's output."""

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{proxy.server_port}"
        with SarkClient(stack.opa_url, service_url=url, token=stack.settle_token) as client:
            charge = client.settle(client.decide(chat("again-1", org=org)), usage=USAGE)

        async def play() -> dict[str, Any]:
            async with AsyncSarkClient(stack.opa_url, service_url=url, token=stack.settle_token) as client:
                return await client.settle(await client.decide(chat("again-2", org=org)), usage=USAGE)

        assert charge["actual_usd"] == asyncio.run(play())["actual_usd"] == Decimal("0.000225")
    finally:
        proxy.shutdown()
        proxy.server_close()
    assert len(seen) == 4


def test_a_large_prompt_is_counted_here(stack: LiveStack) -> None:
    """It is left out of the question, and costs what it would have cost if sent along."""
    org = stack.new_org()
    text = "The quick brown fox jumps over the lazy dog. 敏捷的棕色狐狸 🦊 " * 2_000
    question = chat("large", org=org, arguments={"messages": [{"role": "user", "content": text}]})
    slimmed = slim(question, above_bytes=16_384)
    assert "messages" not in slimmed["arguments"]
    assert slimmed["arguments"]["max_tokens"] == 100
    with _sync(stack) as client, _sync(stack, count_above_bytes=10**9) as whole:
        counted, sent = client.decide(question), whole.decide(question | {"request_id": "large-2"})
    assert counted.allow
    assert sent.allow
    assert counted.estimate == sent.estimate | {
        "tokens": sent.estimate["tokens"] | {"input_basis": "declared"},
    }


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"arguments": None},
        {"arguments": {"messages": "x" * 50_000}},
        {"arguments": LONG},
        chat("x", org="o", arguments=LONG) | {"usage": {"input_tokens": 1}},
        chat("x", org="o", arguments=LONG | {"model": 5}),
    ],
)
def test_what_cannot_be_counted_is_left_as_it_is(question: dict[str, Any]) -> None:
    """The service says what is wrong with it."""
    assert slim(question, above_bytes=16_384) == question
