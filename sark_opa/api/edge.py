"""The outermost layer: bounds, one canonical log line, metrics, and the last catch of errors.

A plain ASGI middleware, since it stands before every answer of the hot path.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sark_opa.api import problems
from sark_opa.errors import OverloadedError, PayloadTooLargeError, SarkError
from sark_opa.logs import get_logger
from sark_opa.metrics import Metrics

_DRAIN_BYTES_MAX = 64 * 2**20
"""Of a body that is too large, this much is read and dropped, so that its sender gets to see the answer."""
_DRAIN_TIMEOUT_S = 10.0
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


class Edge:
    """Wraps the application.

    Args:
        app: what answers.
        body_bytes_max: larger bodies are refused while they are read, whatever their headers claim.
        in_flight_max: more requests at once are refused at once.
        metrics: where requests are counted.
    """

    def __init__(self, app: ASGIApp, *, body_bytes_max: int, in_flight_max: int, metrics: Metrics) -> None:
        self._app = app
        self._body_bytes_max = body_bytes_max
        self._in_flight_max = in_flight_max
        self._in_flight = 0
        self._metrics = metrics
        self._log = get_logger("sark_opa.request")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand a lifespan through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        # As it was sent, escapes and all: a path may hold line breaks and what terminals obey.
        line: dict[str, Any] = {"method": scope["method"], "path": scope["raw_path"].decode("ascii", "replace")}
        scope.setdefault("state", {})["line"] = line
        status = 0

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._in_flight += 1
        self._metrics.in_flight(1)
        try:
            await self._bounded(scope, receive, note_status, line)
        except ClientDisconnect:
            line["code"] = "client_gone"  # it hung up before its body was read
        except Exception as error:  # noqa: BLE001  # the process edge: answered, logged with its trace, counted
            line["code"] = SarkError.code
            self._log.exception("crash", error=type(error).__name__)
            if status == 0:
                await _problem(note_status, SarkError(problems.CRASHED))
        finally:
            self._in_flight -= 1
            self._metrics.in_flight(-1)
            elapsed_s = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.request(route, status, elapsed_s)
            if scope["path"] not in _QUIET or status >= 400:  # noqa: PLR2004  # errors of probes are worth a line
                self._log.info("request", **line, status=status, elapsed_ms=round(elapsed_s * 1000, 3))

    async def _bounded(self, scope: Scope, receive: Receive, send: Send, line: dict[str, Any]) -> None:
        if self._in_flight > self._in_flight_max and scope["path"] not in _QUIET:
            line["code"] = OverloadedError.code
            await _problem(send, OverloadedError())
            return
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value) > self._body_bytes_max:
                line["code"] = PayloadTooLargeError.code
                await _drain(receive)
                await _problem(send, self._too_large())
                return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > self._body_bytes_max:
                    if message.get("more_body"):
                        await _drain(receive)
                    raise self._too_large()
            return message

        try:
            await self._app(scope, counted, send)
        except asyncio.CancelledError:
            line["code"] = "cancelled"
            raise

    def _too_large(self) -> PayloadTooLargeError:
        return PayloadTooLargeError(f"the body is larger than {self._body_bytes_max} bytes (SARK_BODY_BYTES_MAX)")


async def _drain(receive: Receive) -> None:
    # Go's HTTP client, and with it OPA, reports a broken pipe instead of an answer that comes while it still writes.
    dropped_bytes = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_TIMEOUT_S):
            while dropped_bytes < _DRAIN_BYTES_MAX:
                message = await receive()
                dropped_bytes += len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body"):
                    return


async def _problem(send: Send, error: SarkError) -> None:
    answer = problems.response(error)
    await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
    await send({"type": "http.response.body", "body": answer.body})
