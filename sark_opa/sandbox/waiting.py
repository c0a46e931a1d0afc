"""Calls of a plugin that has no process for them now."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from sark_opa.sandbox import protocol
from sark_opa.sandbox.contract import Failure, Limits
from sark_opa.sandbox.exchange import Exchange
from sark_opa.sandbox.protocol import Ask

ENVELOPE_BYTES: Final = 64
"""More than an `Ask` takes beside its question and facts."""


class Waiting:
    """Keeps calls until there is a process for them, or their deadline has come.

    Attributes:
        size_bytes: of their questions and facts, encoded.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._parked: list[tuple[Exchange, asyncio.TimerHandle]] = []
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._parked)

    def park(self, exchange: Exchange, why: str) -> None:
        """Keep it; when its deadline comes first, it fails with the reason that it was not started, and `why`."""
        late = Failure("overloaded", f"not started before the caller's deadline: {why}")
        timer = self._loop.call_later(exchange.deadline_at - time.monotonic(), _fail, exchange, late)
        self._parked.append((exchange, timer))
        self.size_bytes += _size_bytes(exchange)

    def take(self) -> list[Exchange]:
        """All that somebody still waits for, first the one parked first."""
        parked, self._parked = self._parked, []
        self.size_bytes = 0
        for _, timer in parked:
            timer.cancel()
        return [exchange for exchange, _ in parked if not exchange.future.done()]

    def fail_all(self, failure: Failure) -> None:
        """Give up on all of them."""
        for exchange in self.take():
            _fail(exchange, failure)


def too_much(limits: Limits, size_bytes: int, count: int, count_bytes: int) -> Failure | None:
    """Why a question and facts of `size_bytes` are not taken while `count` calls wait; None if they are."""
    size_bytes += ENVELOPE_BYTES
    if size_bytes > protocol.REQUEST_BYTES_MAX:
        reason = f"the question takes {size_bytes} bytes, a plugin is handed at most {protocol.REQUEST_BYTES_MAX}"
        return Failure("error", reason)
    if count >= limits.waiting_max or count_bytes + size_bytes > limits.waiting_bytes_max:
        return Failure("overloaded", f"overloaded: {count} calls wait already")
    return None


def _fail(exchange: Exchange, failure: Failure) -> None:
    exchange.resolve(failure, time.monotonic())


def _size_bytes(exchange: Exchange) -> int:
    message = exchange.message
    return len(memoryview(message.question)) + len(memoryview(message.facts)) if isinstance(message, Ask) else 0
