"""The plugin's side of what it calls of the service: `context.host` inside the sandbox.

A call goes out over the process's one connection, in the middle of a question, and its result comes in the same way.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
from typing import Final, Literal

from sark_opa.plugin import CapabilityError, Host, RateHit, RateWindow
from sark_opa.sandbox import protocol
from sark_opa.sandbox.calls import CALLS_MAX, COST_MAX, KEY_BYTES_MAX, LIMIT_MAX, WINDOW_S_MAX, Call, Fault, Result
from sark_opa.sandbox.contract import Need

CODES: Final = ("not_granted", "invalid", "too_many_calls", "overloaded", "timeout", "unavailable")
"""Those of a `CapabilityError`: ours, and therefore fit to be told."""

_MEANING: Final[dict[Fault, str]] = {
    "overloaded": "the store of rate windows is full",
    "timeout": "the store of rate windows did not answer in time",
    "unavailable": "the store of rate windows cannot be reached",
}


class Calls:
    """Calls of one question, and the results that are waited for.

    Between questions the worker reads the connection; while one is answered and a result is waited for, this does.
    """

    def __init__(self, connection: socket.socket, frames: protocol.FrameBuffer) -> None:
        self._connection = connection
        self._frames = frames
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        self._question_id = 0
        self._count = 0
        self._waiting: dict[int, asyncio.Future[Result]] = {}

    def begin(self, question_id: int) -> None:
        """Forget the calls of the last question."""
        self._question_id = question_id
        self._count = 0
        self._waiting.clear()

    @property
    def expected(self) -> bool:
        """Whether a result is waited for."""
        return bool(self._waiting)

    def receive(self, timeout_s: float | None) -> None:
        """Take in results; wait for them `timeout_s` seconds, for ever when None."""
        if not self._poll.poll(None if timeout_s is None else timeout_s * 1000):
            return
        count = self._connection.recv_into(self._frames.space())
        if count == 0:
            os._exit(0)
        self._frames.received(count)
        while (body := self._frames.take()) is not None:
            message = protocol.decode_message(body)
            if not isinstance(message, Result):
                raise protocol.ProtocolError("the next question came before this one was answered")
            self._received(message)

    def _received(self, result: Result) -> None:
        # One that comes late, for the question before, is nobody's.
        future = self._waiting.get(result.number) if result.id == self._question_id else None
        if future is not None and not future.done():
            future.set_result(result)

    async def use_window(
        self, action: Literal["hit", "peek"], key: str, *, limit: int, window_seconds: int, cost: int
    ) -> RateHit:
        """Call for a rate window and wait for the result.

        Raises:
            CapabilityError: see there.
        """
        if self._count == CALLS_MAX:
            raise CapabilityError(f"more than {CALLS_MAX} calls for one question", code="too_many_calls")
        number = self._count + 1
        call = Call(
            self._question_id,
            number,
            action,
            _key(key),
            _whole("limit", limit, LIMIT_MAX),
            _whole("window_seconds", window_seconds, WINDOW_S_MAX),
            _whole("cost", cost, COST_MAX),
        )
        self._count = number
        self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._connection.sendall(protocol.frame(call))
            result = await self._waiting[number]
        finally:
            self._waiting.pop(number, None)
        if result.fault is not None:
            raise CapabilityError(_MEANING[result.fault], code=result.fault)
        return RateHit(result.allowed, result.remaining, result.reset_s)


class GrantedHost(Host):
    """A host that does what was granted."""

    def __init__(self, calls: Calls, needs: tuple[Need, ...]) -> None:
        self._rate_window = _RateWindow(calls) if "rate_window" in needs else None

    @property
    def rate_window(self) -> RateWindow:
        """As `Host`."""
        return super().rate_window if self._rate_window is None else self._rate_window


class _RateWindow:
    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def hit(self, key: str, *, limit: int, window_seconds: int, cost: int = 1) -> RateHit:
        return await self._calls.use_window("hit", key, limit=limit, window_seconds=window_seconds, cost=cost)

    async def peek(self, key: str, *, limit: int, window_seconds: int, cost: int = 1) -> RateHit:
        return await self._calls.use_window("peek", key, limit=limit, window_seconds=window_seconds, cost=cost)


def _key(key: str) -> bytes:
    if type(key) is not str:
        raise CapabilityError(f"key is a {type(key).__name__}, not a str", code="invalid")
    encoded = key.encode("utf-8", "surrogatepass")
    if not 1 <= len(encoded) <= KEY_BYTES_MAX:
        raise CapabilityError(f"key takes {len(encoded)} bytes, 1 to {KEY_BYTES_MAX} are allowed", code="invalid")
    return encoded


def _whole(name: str, value: int, value_max: int) -> int:
    if type(value) is not int or not 1 <= value <= value_max:
        raise CapabilityError(f"{name} is {value!r:.50}; it is a whole number from 1 to {value_max}", code="invalid")
    return value
