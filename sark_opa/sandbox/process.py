"""One plugin's process as the service sees it: exchanges in order, watched from outside.

Every message is an `Exchange` that ends with a reply or a `Failure`. The oldest one that has no reply is the
one the process works on: its CPU and wall clock run, and it is the one that fails when the process dies. A
process that may call the service is sent one message at a time, so that no result waits behind questions.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final, TypeAlias

import msgspec

from sark_opa.errors import UnavailableError
from sark_opa.sandbox import protocol
from sark_opa.sandbox.calls import Call
from sark_opa.sandbox.capabilities.host_calls import HostCalls
from sark_opa.sandbox.child import Child, cause_of_death
from sark_opa.sandbox.contract import Failure, LayerReport, Limits
from sark_opa.sandbox.exchange import Exchange, late
from sark_opa.sandbox.outbox import Outbox
from sark_opa.sandbox.protocol import Answer, ProtocolError, Reply
from sark_opa.sandbox.spawner import Spawner

WATCH_S_MIN: Final = 0.002
"""Shortest time between two looks at the clocks."""
REQUIRED_LAYERS: Final = frozenset({"environment", "tether", "resource_limits"})
"""Without these no plugin runs. `own_user` is not among them: it takes a service that runs as root."""
GIVEN_UP: Final = Failure("crashed", "the service gave it up")
IDLE_LOOK_S: Final = 2.0
IDLE_CPU_S_MAX: Final = 0.1
"""CPU time a process may use, altogether, while nothing is asked of it: to put the last question away."""
HANG_UP_S: Final = 0.1
"""How long a process may outlive its connection before it is killed."""
_SPUN: Final = Failure("violation", "sandbox violation: it used the CPU although nothing was asked of it")

OnEnd: TypeAlias = "Callable[[Process, Failure, list[Exchange]], None]"
"""Called once: the process, why it ended, and the exchanges it had not started. The one it worked on has
been resolved by then."""
OnAnswer: TypeAlias = Callable[[Answer], None]


class Process:
    """A process and the exchanges it owes a reply.

    Attributes:
        answers: how many questions it has answered.
        calls: what it calls of the service; grant before the first question.
        pending_bytes: size of the messages it has not replied to.
        on_end: told of its end.
        on_answer: told of every answer, also when nobody waits for it any more, before who asked is.
    """

    def __init__(self, child: Child, limits: Limits, on_end: OnEnd) -> None:
        self._child = child
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._frames = protocol.FrameBuffer(protocol.REPLY_BYTES_MAX)
        self._pending: deque[Exchange] = deque()
        self._outbox = Outbox(self._loop, child.connection)
        self.calls = HostCalls(self._outbox.write)
        self._last_id = 0
        self._watch: asyncio.TimerHandle | None = None
        self._watch_at = float("inf")
        self._idle_since_cpu_s = float("inf")
        self._cause: Failure | None = None
        self._hung_up = False
        self.on_end = on_end
        self.on_answer: OnAnswer | None = None
        self.answers = 0
        self.pending_bytes = 0
        child.on_death = self._died
        self._loop.add_reader(child.connection, self._receive)
        # Before anything is asked of it, it owes `Ready`.
        self._ready = Exchange(self._loop, None, (protocol.Ready,), wall_s=limits.wall_ms / 1000)
        self._enqueue(self._ready)
        if not child.alive:
            self._died(child.wait_status)

    @classmethod
    async def opened(
        cls, spawner: Spawner, limits: Limits, on_end: OnEnd, *, walls: tuple[str, ...] | None = None
    ) -> tuple[Process, tuple[LayerReport, ...]]:
        """A process with its walls up, or these of them, and no plugin in it.

        Raises:
            UnavailableError: it cannot be forked, or a required wall does not stand.
        """
        process = cls(await spawner.spawn(limits, walls), limits, on_end)
        with ExitStack() as on_failure:
            on_failure.callback(process.end, GIVEN_UP)
            layers = (await process._until_ready()).layers
            on_failure.pop_all()
        return process, layers

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._child.pid

    @property
    def ended(self) -> bool:
        """Whether it is gone, or about to be."""
        return self._cause is not None

    @property
    def exited(self) -> bool:
        """Whether it is gone, although that has perhaps not been told yet."""
        return self.ended or self._child.exited()

    @property
    def pending(self) -> int:
        """How many exchanges have no reply yet."""
        return len(self._pending)

    def send(self, exchange: Exchange) -> None:
        """Send its message after all others; its future tells the rest, also when the process has ended already."""
        if self._cause is not None:
            exchange.resolve(self._cause, time.monotonic())
            return
        message = exchange.message
        assert message is not None  # noqa: S101  # only `ready` has none, and it is never sent
        self._last_id += 1
        message.id = self._last_id
        exchange.frame = protocol.frame(message)
        self._enqueue(exchange)
        if not self.calls.granted:
            self._outbox.write(exchange.frame)

    def end(self, failure: Failure, *, at_work: bool = True) -> None:
        """Kill it, fail what it works on unless it was not `at_work`, and hand the rest to `on_end`."""
        if self._cause is not None:
            return
        self._cause = failure
        self._child.kill()
        self._close()
        if at_work and self._pending:
            self._pending.popleft().resolve(failure, time.monotonic())
        self.on_end(self, failure, list(self._pending))
        self._pending.clear()

    async def _until_ready(self) -> protocol.Ready:
        ready = await self._ready.future
        if not isinstance(ready, protocol.Ready):
            reason = ready.reason if isinstance(ready, Failure) else "it said something else"
            raise UnavailableError(f"a plugin's process does not start: {reason}")
        for layer in ready.layers:
            if layer.name in REQUIRED_LAYERS and not layer.active:
                raise UnavailableError(f"the sandbox layer {layer.name} cannot be had: {layer.reason}")
        return ready

    def _enqueue(self, exchange: Exchange) -> None:
        self._pending.append(exchange)
        self.pending_bytes += len(exchange.frame)
        if len(self._pending) == 1:
            self._begin(exchange, time.monotonic())
            if IDLE_CPU_S_MAX < exchange.cpu_started_s - self._idle_since_cpu_s < float("inf"):
                self.end(_SPUN, at_work=False)
        elif exchange.deadline_at < self._watch_at:
            self._watch_until(exchange.deadline_at)

    def _begin(self, exchange: Exchange, now: float) -> None:
        """The process starts on this one now, or has a moment ago: it can only gain by our being late."""
        exchange.started_at = now
        exchange.cpu_started_s = self._child.cpu_s()
        due = min(now + min(exchange.wall_s, self._limits.cpu_ms / 1000), exchange.deadline_at)
        if due < self._watch_at:
            self._watch_until(due)
        if self.calls.granted:
            self._outbox.write(exchange.frame)

    def _watch_until(self, when: float) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self._watch_at = when
        self._watch = self._loop.call_later(when - time.monotonic(), self._look)

    def _look(self) -> None:
        """Hold the exchange at work against its limits and every waiting one against its deadline."""
        self._watch, self._watch_at = None, float("inf")
        dead = self._child.exited()
        if self._hung_up and not dead:
            self.end(Failure("violation", "sandbox violation: it closed its connection"))
            return
        now = time.monotonic()
        if not self._pending:
            self._look_at_idle(now, dead=dead)
            return
        head = self._pending[0]
        wall_left_s = head.started_at + head.wall_s - now
        cpu_left_s = head.cpu_started_s + self._limits.cpu_ms / 1000 - self._child.cpu_s()
        if dead:
            cpu_left_s = HANG_UP_S  # whatever its clock shows now: the zygote tells how it died
        if min(cpu_left_s, wall_left_s) <= 0 and self._has_replied_to(head):
            return
        if cpu_left_s <= 0:
            self.end(Failure("cpu_limit", f"cpu limit: more than {self._limits.cpu_ms} ms"))
            return
        if wall_left_s <= 0:
            self.end(Failure("timeout", f"time limit: no answer within {head.wall_s * 1000:.0f} ms"))
            return
        due = now + min(wall_left_s, cpu_left_s)
        for place, exchange in enumerate(self._pending):
            if exchange.deadline_at <= now:
                exchange.resolve(late(place), now)
            else:
                due = min(due, exchange.deadline_at)
        self._watch_until(max(due, now + WATCH_S_MIN))

    def _look_at_idle(self, now: float, *, dead: bool) -> None:
        """Nothing is asked of it, so it has nothing to do; an early reply must not buy it time without a limit."""
        if dead:
            return  # the zygote tells
        if self._child.cpu_s() - self._idle_since_cpu_s > IDLE_CPU_S_MAX:
            self.end(_SPUN)
        else:
            self._watch_until(now + IDLE_LOOK_S)

    def _has_replied_to(self, head: Exchange) -> bool:
        """Whether the reply came while the service was busy: then it is not late, and what it carries counts."""
        self._receive_all()
        if not self.ended and self._pending and self._pending[0] is head:
            return False
        if not self.ended:
            self._watch_until(time.monotonic() + WATCH_S_MIN)
        return True

    def _receive_all(self) -> None:
        while not self._hung_up and self._receive():
            pass

    def _receive(self) -> bool:
        """Take in what there is; False when there is nothing more for now, or for ever."""
        try:
            count = self._child.connection.recv_into(self._frames.space())
        except BlockingIOError:
            return False
        except ConnectionError:
            count = 0
        if count == 0:
            self._hang_up()
            return False
        self._frames.received(count)
        try:
            while not self.ended and (body := self._frames.take()) is not None:
                self._replied(protocol.decode_reply(body))
        except (ProtocolError, msgspec.DecodeError, ValueError, RecursionError) as error:
            self.end(Failure("violation", f"sandbox violation: {str(error)[:200]}"))
        return not self.ended

    def _replied(self, reply: Reply) -> None:
        head = self._pending[0] if self._pending else None
        if isinstance(reply, Call):
            self.calls.take(reply, None if head is None else head.message)
            return
        expected_id = 0 if head is None or head.message is None else head.message.id
        if head is None or reply.id != expected_id or not isinstance(reply, head.accepts):
            raise ProtocolError(f"a reply nobody asked for: {type(reply).__name__.lower()} {reply.id}")
        if isinstance(reply, Answer):
            protocol.check_answer(reply)
            self.answers += 1
            if self.on_answer is not None:
                self.on_answer(reply)
        self.calls.drop()
        self._pending.popleft()
        self.pending_bytes -= len(head.frame)
        now = time.monotonic()
        head.resolve(reply, now)
        if isinstance(reply, Answer) and reply.status == "memory_limit":
            # Nobody knows what is left of the plugin; it ends itself before it reads another question.
            self.end(Failure("memory_limit", reply.reason), at_work=False)
        elif self._pending:
            self._begin(self._pending[0], now)
        else:
            self._idle_since_cpu_s = self._child.cpu_s()

    def _hang_up(self) -> None:
        """The connection is closed from the other side: it is dying, and the zygote tells how, or it pretends."""
        self._hung_up = True
        self._loop.remove_reader(self._child.connection)
        self._watch_until(time.monotonic() + HANG_UP_S)

    def _died(self, wait_status: int | None) -> None:
        if self.ended:
            return
        self._receive_all()  # what it said before it died
        self.end(cause_of_death(wait_status))

    def _close(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self._loop.remove_reader(self._child.connection)
        self._outbox.close()
        self.calls.drop()
        self._child.connection.close()
