"""An event loop without descriptors: timers, callbacks and results of calls are all a plugin's coroutine may wait for.

It runs one coroutine at a time and leaves nothing running behind. A selector loop would open descriptors,
which the sandbox does not give, and costs several times as much per call.
"""

from __future__ import annotations

import asyncio
import heapq
import sys
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Protocol, TypeVar, cast

T = TypeVar("T")


class StuckError(RuntimeError):
    """The coroutine waits for something that cannot happen: no timer is set and no callback is due."""


class Outside(Protocol):
    """What results come from that no timer and no callback brings about."""

    @property
    def expected(self) -> bool:
        """Whether anything is to come."""
        ...

    def receive(self, timeout_s: float | None) -> None:
        """Take in what has come, or comes within `timeout_s` seconds; None waits until something does."""
        ...


class PluginLoop:
    """What `asyncio.sleep`, tasks, futures, locks, queues and timeouts call on a loop; it has no more.

    Not a subclass of `AbstractEventLoop`, whose hundred methods for sockets, threads and subprocesses it
    lacks on purpose.
    """

    def __init__(self, outside: Outside | None = None) -> None:
        self._outside = outside
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[asyncio.TimerHandle] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._loop = cast(asyncio.AbstractEventLoop, self)
        self.time = time.monotonic

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run it to its end, then cancel every task it left behind, and return its result.

        Raises:
            StuckError: it waits for ever.
            BaseException: whatever the coroutine raises.
        """
        asyncio._set_running_loop(self._loop)  # noqa: SLF001  # exported for authors of event loops
        task = self.create_task(coroutine)
        try:
            self._run_until(task)
            if len(self._tasks) > 1:
                self._cancel_leftovers()
            return task.result()
        finally:
            self._ready.clear()
            self._timers.clear()
            self._tasks.clear()
            asyncio._set_running_loop(None)  # noqa: SLF001  # same

    def _run_until(self, task: asyncio.Task[Any]) -> None:
        ready, timers, outside = self._ready, self._timers, self._outside
        while not task.done():
            while timers and (timers[0].cancelled() or timers[0].when() <= self.time()):
                ready.append(heapq.heappop(timers))
            if outside is not None and outside.expected:
                outside.receive(self._idle_s())
            elif not ready:
                self._sleep()
            if ready:
                handle = ready.popleft()
                if not handle.cancelled():
                    handle._run()  # noqa: SLF001  # what every event loop calls

    def _idle_s(self) -> float | None:
        """Seconds until there is something to run; None when nothing will be by itself."""
        if self._ready:
            return 0.0
        return max(0.0, self._timers[0].when() - self.time()) if self._timers else None

    def _sleep(self) -> None:
        idle_s = self._idle_s()
        if idle_s is None:
            raise StuckError
        time.sleep(idle_s)

    def _cancel_leftovers(self) -> None:
        leftovers = [task for task in self._tasks if not task.done()]
        for task in leftovers:
            task.cancel()
        for task in leftovers:
            try:
                self._run_until(task)
            except StuckError:
                continue  # it ignores its cancellation and waits for nothing: it will never run again

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        """As `AbstractEventLoop`."""
        handle = asyncio.Handle(callback, args, self._loop, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As `AbstractEventLoop`."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As `AbstractEventLoop`."""
        timer = asyncio.TimerHandle(when, callback, args, self._loop, context)
        heapq.heappush(self._timers, timer)
        return timer

    def create_future(self) -> asyncio.Future[Any]:
        """As `AbstractEventLoop`."""
        return asyncio.Future(loop=self._loop)

    def create_task(
        self, coro: Coroutine[Any, Any, T], *, name: str | None = "plugin", context: Context | None = None
    ) -> asyncio.Task[T]:
        """As `AbstractEventLoop`; the task is remembered, to be cancelled when the call is over."""
        task = asyncio.Task(coro, loop=self._loop, name=name, context=context)
        self._tasks.append(task)
        return task

    def get_debug(self) -> bool:
        """As `AbstractEventLoop`."""
        return False

    def is_running(self) -> bool:
        """As `AbstractEventLoop`."""
        return True

    def is_closed(self) -> bool:
        """As `AbstractEventLoop`."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """As `AbstractEventLoop`: told on standard error, which the worker captures."""
        sys.stderr.write(f"{context.get('message')} {context.get('exception')!r}\n")

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Called by `TimerHandle.cancel`; a cancelled timer is skipped when it is due."""
