"""One message to a plugin's process and what becomes of it."""

from __future__ import annotations

import asyncio
import time

from sark_opa.sandbox.contract import Failure
from sark_opa.sandbox.protocol import Message, Reply


class Exchange:
    """One message and what becomes of it.

    Attributes:
        future: the reply, or a `Failure`; never an exception.
        asked_at: when it was made. All instants are on `time.monotonic`: an event loop's own clock may be coarser.
        ended_at: when it was resolved.
        deadline_at: when whoever asks stops waiting; this never harms the process.
        resent: whether it has been moved from a dead process to a new one already.
    """

    __slots__ = (
        "accepts",
        "asked_at",
        "cpu_started_s",
        "deadline_at",
        "ended_at",
        "frame",
        "future",
        "message",
        "resent",
        "started_at",
        "wall_s",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        message: Message | None,
        accepts: tuple[type[Reply], ...],
        *,
        wall_s: float,
        deadline_at: float = float("inf"),
    ) -> None:
        self.future: asyncio.Future[Reply | Failure] = loop.create_future()
        self.message = message
        self.accepts = accepts
        self.wall_s = wall_s
        self.deadline_at = deadline_at
        self.asked_at = time.monotonic()
        self.ended_at = self.asked_at
        self.started_at = self.asked_at
        self.cpu_started_s = 0.0
        self.resent = False
        self.frame = b""

    def resolve(self, outcome: Reply | Failure, now: float) -> None:
        """Hand over the outcome, unless there is one already or nobody waits any more."""
        if not self.future.done():
            self.ended_at = now
            self.future.set_result(outcome)


def late(place: int) -> Failure:
    """Why there is no answer before the caller's deadline; with calls ahead of it, it was never started."""
    if place == 0:
        return Failure("timeout", "no answer before the caller's deadline")
    return Failure("overloaded", f"not started before the caller's deadline, {place} calls were ahead")
