"""The calls of one plugin's process: each is looked at as an adversary's, done in time, and told the result of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from sark_opa.sandbox import protocol
from sark_opa.sandbox.calls import CALLS_MAX, Call, Fault, Result
from sark_opa.sandbox.capabilities.rate_windows import PluginWindows, WindowFaultError
from sark_opa.sandbox.protocol import Ask, Message, ProtocolError

CALL_S_MAX: Final = 0.25
"""A store that takes longer is as good as none: the question itself has a second or so."""


class HostCalls:
    """Calls made in the middle of one question.

    Attributes:
        granted: the rate windows the plugin may use; None while nothing is granted.
        faulted: whether the service failed to do one of them: a plugin that fails then is not to blame.
    """

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._count = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.granted: PluginWindows | None = None
        self.faulted = False

    def take(self, call: Call, at_work: Message | None) -> None:
        """Do what the process calls for while it is `at_work` on a message.

        Raises:
            ProtocolError: it may not make this call.
        """
        if self.granted is None:
            raise ProtocolError("a call for what was not granted")
        if not isinstance(at_work, Ask) or call.id != at_work.id:
            raise ProtocolError(f"a call for question {call.id}, which it is not asked")
        if call.number != self._count + 1:
            raise ProtocolError(f"call {call.number} comes after call {self._count}, of {CALLS_MAX}")
        self._count = call.number
        task = asyncio.get_running_loop().create_task(self._done(self.granted, call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def drop(self) -> None:
        """The question is over: give up on what nobody waits for any more."""
        self._count = 0
        self.faulted = False
        for task in self._tasks:
            task.cancel()

    async def _done(self, windows: PluginWindows, call: Call) -> None:
        fault: Fault
        try:
            async with asyncio.timeout(CALL_S_MAX):
                use = windows.hit if call.action == "hit" else windows.peek
                state = await use(call.key, limit=call.limit, window_s=call.window_s, cost=call.cost)
        except WindowFaultError as error:
            fault = error.fault
        except TimeoutError:
            fault = "timeout"
        else:
            self._tell(Result(call.id, call.number, None, state.allowed, state.remaining, state.reset_s))
            return
        self.faulted = True
        self._tell(Result(call.id, call.number, fault))

    def _tell(self, result: Result) -> None:
        self._write(protocol.frame(result))
