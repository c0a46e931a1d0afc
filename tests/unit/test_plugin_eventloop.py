"""The loop a plugin's coroutine runs on."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from sark_opa.sandbox.guest.eventloop import PluginLoop, StuckError

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """What the coroutine returns on a fresh loop."""
    return PluginLoop().run(coroutine)


def test_a_coroutine_that_never_waits_is_just_called():
    """Its result comes back."""

    async def answer() -> int:
        return 7

    assert run(answer()) == 7


def test_sleeping_and_gathering_take_the_longest_time():
    """Timers run beside each other, in order of their time."""
    order = []

    async def nap(seconds: float) -> None:
        await asyncio.sleep(seconds)
        order.append(seconds)

    async def all_naps() -> None:
        await asyncio.gather(nap(0.06), nap(0.02), nap(0.04))

    started = time.monotonic()
    run(all_naps())
    assert order == [0.02, 0.04, 0.06]
    assert 0.05 < time.monotonic() - started < 0.6


def test_what_plugins_use_of_asyncio_works():
    """Timeouts, task groups, locks, queues, events and shields behave as on any loop."""

    async def use() -> list[object]:
        seen: list[object] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.sleep(60)
        queue: asyncio.Queue[int] = asyncio.Queue(1)
        async with asyncio.TaskGroup() as group, asyncio.Lock():
            group.create_task(queue.put(1))
            seen.append(await queue.get())
        event = asyncio.Event()
        asyncio.get_running_loop().call_later(0.001, event.set)
        await event.wait()
        seen.append(await asyncio.shield(asyncio.sleep(0, "shielded")))
        try:
            await asyncio.wait_for(asyncio.sleep(60), 0.01)
        except TimeoutError:
            seen.append("late")
        seen.append(asyncio.current_task() is not None)
        return seen

    assert run(use()) == [1, "shielded", "late", True]


def test_waiting_for_what_cannot_happen_ends_at_once():
    """Without a timer or a callback nothing can resolve a future."""

    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(StuckError):
        run(wait())


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, asyncio.CancelledError, MemoryError])
def test_an_exception_comes_out_as_it_is(error):
    """The worker decides what it means."""

    async def fail() -> None:
        await asyncio.sleep(0)
        raise error

    with pytest.raises(error):
        run(fail())


def test_what_a_call_leaves_behind_is_cancelled_and_gone():
    """Leftover tasks see their cancellation, stubborn ones included, and the next call starts clean."""
    loop = PluginLoop()
    seen = []

    async def politely() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            seen.append("cancelled")

    async def stubbornly() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.get_running_loop().create_future()

    async def leave() -> None:
        running = asyncio.get_running_loop()
        seen.extend([running.create_task(politely()), running.create_task(stubbornly())])
        running.call_later(0, seen.append, "called")
        await asyncio.sleep(0)

    async def nothing() -> str:
        await asyncio.sleep(0.01)
        return "clean"

    started = time.monotonic()
    loop.run(leave())
    assert time.monotonic() - started < 5
    tasks = seen[:2]
    assert seen[-1] == "cancelled"
    assert loop.run(nothing()) == "clean"
    assert "called" not in seen[seen.index("cancelled") :]
    assert tasks[0].cancelled()
    # The stubborn one is dropped where it stands; ending it here keeps this process's garbage quiet.
    with contextlib.suppress(StopIteration, asyncio.CancelledError):
        tasks[1].get_coro().throw(asyncio.CancelledError)


def test_a_cancelled_timer_does_not_run():
    """Neither later nor at once."""

    async def cancel() -> list[str]:
        seen: list[str] = []
        loop = asyncio.get_running_loop()
        loop.call_later(0.001, seen.append, "timer").cancel()
        loop.call_soon(seen.append, "soon").cancel()
        await asyncio.sleep(0.01)
        return seen

    assert run(cancel()) == []


def test_there_is_nothing_to_reach_the_outside_with():
    """Sockets, threads and subprocesses do not exist on this loop."""

    async def reach() -> None:
        await asyncio.to_thread(print)

    with pytest.raises(AttributeError, match="run_in_executor"):
        run(reach())


class Postbox:
    """Something outside: results come by the real clock, as they do over a connection."""

    def __init__(self) -> None:
        self.due: list[tuple[float, asyncio.Future[str]]] = []
        self.received = 0

    @property
    def expected(self) -> bool:
        """Whether anything is to come."""
        return bool(self.due)

    def receive(self, timeout_s: float | None) -> None:
        """Wait as long, and deliver what is due."""
        self.received += 1
        left_s = max(0.0, min(at for at, _ in self.due) - time.monotonic())
        time.sleep(left_s if timeout_s is None else min(left_s, timeout_s))
        for item in [item for item in self.due if item[0] <= time.monotonic()]:
            self.due.remove(item)
            item[1].set_result("come")

    def order(self, delay_s: float) -> asyncio.Future[str]:
        """A future that is resolved from outside."""
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.due.append((time.monotonic() + delay_s, future))
        return future


def test_a_result_from_outside_is_waited_for():
    """With no timer and no callback; a loop that expects nothing does not look outside at all."""
    postbox = Postbox()
    loop = PluginLoop(postbox)

    async def order() -> str:
        return await postbox.order(0.02)

    assert loop.run(order()) == "come"
    assert postbox.received == 1
    assert loop.run(asyncio.sleep(0.001, "slept")) == "slept"
    assert postbox.received == 1


def test_timers_are_on_time_while_a_result_is_waited_for():
    """And results come to a coroutine that is always ready to run."""
    postbox = Postbox()
    loop = PluginLoop(postbox)

    async def use() -> list[str]:
        ordered = postbox.order(0.05)
        started = time.monotonic()
        await asyncio.sleep(0.01)
        assert time.monotonic() - started < 0.045
        seen = [str(ordered.done())]
        while not ordered.done():  # noqa: ASYNC110  # always ready to run: the point
            await asyncio.sleep(0)
        seen.append(await ordered)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.get_running_loop().create_future(), 0.01)
        return seen

    assert loop.run(use()) == ["False", "come"]


def test_what_cannot_happen_still_ends_at_once():
    """Once everything expected has come."""
    postbox = Postbox()

    async def wait() -> None:
        await postbox.order(0.01)
        await asyncio.get_running_loop().create_future()

    with pytest.raises(StuckError):
        PluginLoop(postbox).run(wait())
