"""One plugin for as long as it is loaded: keeps a process for it, and gives every call an outcome.

A process that dies is replaced at once. The call it worked on fails; the calls behind it are moved to the
new process, once. A plugin that dies several times in a row without an answer in between rests for a while,
and its calls fail at once meanwhile. One that fails too often in whatever way is not asked at all for a
while (`breaker`). One that breaks out of its rules (status `violation`) is quarantined: it gets no process
any more until an operator releases it or loads it anew.

What a plugin remembers: the snapshot that came with its last decision is kept here and handed to the next
process. A decision and its snapshot arrive in one message and before the plugin is handed another question,
so whatever ends the process, each decision a caller has got is remembered; the call that ended the process
is forgotten, and was denied. A process that does not take the snapshot is not used. Snapshots live as long
as the plugin is loaded, in this service process; loading the plugin again hands them over.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Final

import msgspec

from sark_opa.errors import PluginError, UnavailableError
from sark_opa.logs import get_logger
from sark_opa.sandbox import opening
from sark_opa.sandbox.breaker import Breaker
from sark_opa.sandbox.capabilities.rate_windows import RateWindows
from sark_opa.sandbox.contract import Failure, Limits, Need, OnError, PluginInfo, State
from sark_opa.sandbox.exchange import Exchange
from sark_opa.sandbox.member import info_of
from sark_opa.sandbox.packages.manifest import Package
from sark_opa.sandbox.plugin_log import PluginLog
from sark_opa.sandbox.process import GIVEN_UP, Process
from sark_opa.sandbox.protocol import Answer, Ask, Loaded, Unload, Unloaded
from sark_opa.sandbox.rests import Rests
from sark_opa.sandbox.spare import Spare
from sark_opa.sandbox.waiting import Waiting, too_much

DRAIN_LOOK_S: Final = 0.002

_log = get_logger("sark_opa.sandbox")


class Supervisor:
    """A loaded plugin. `ask` never raises, and each call has exactly one outcome.

    Attributes (known once started):
        name: of the plugin.
        version: of the plugin.
        priority: lower is asked earlier.
        needs: facts it is handed.
        requires: plugins it is asked after.
        on_error: what a failure means.
        sandboxed: always.
        origin: where it came from, for people.
    """

    sandboxed: Final = True

    def __init__(self, spare: Spare, package: Package, limits: Limits, windows: RateWindows) -> None:
        manifest = package.manifest
        self.package = package
        self.name = ""
        self.version = ""
        self.priority = 0
        self.needs: tuple[Need, ...] = () if manifest is None else tuple(manifest.needs)
        self.requires = package.requires
        self.on_error: OnError = "deny" if manifest is None else manifest.on_error
        self.origin = package.origin
        self._description = ""
        self._spare = spare
        self._windows = windows
        self._limits = limits
        self._wall_s = (limits.wall_ms if manifest is None else min(manifest.timeout_ms, limits.wall_ms)) / 1000
        self._loop = asyncio.get_running_loop()
        self._process: Process | None = None
        self._waiting = Waiting(self._loop)
        self._restart: asyncio.Task[None] | None = None
        self._rests = Rests(GIVEN_UP)
        self._breaker = Breaker(limits)
        self._quarantine: Failure | None = None
        self._plugin_log = PluginLog(self._loop)
        self._keeps_state = False
        self._state: bytes | None = None
        self._successor: Supervisor | None = None
        self._paused = False
        self._closed = False

    async def start(self) -> None:
        """Load the plugin for the first time.

        Raises:
            PluginError: it cannot be loaded; the message names the file, the line or field, and the remedy.
            UnavailableError: no process can be had.
        """
        self._process, loaded = await self._open()
        manifest = self.package.manifest
        self.name = loaded.name
        self.version = loaded.version
        self.priority = loaded.priority
        self._description = loaded.description
        self._keeps_state = loaded.keeps_state
        if manifest is not None:
            self.priority = loaded.priority if manifest.priority is None else manifest.priority
            self._description = manifest.description

    async def take_over(self, predecessor: Supervisor) -> None:
        """Remember what the plugin this one replaces does, when both keep a state; from then on answer for it.

        The predecessor answers what it was asked before, and its callers wait until this one has its state, so
        that no decision is forgotten. A plugin that does not take the state is closed; the predecessor goes on.

        Raises:
            PluginError: the plugin does not take the state.
            UnavailableError: it has no process to take it.
        """
        if not (self._keeps_state and predecessor._keeps_state):
            return
        async with AsyncExitStack() as on_failure:
            on_failure.push_async_callback(self.close)
            on_failure.callback(predecessor._resume)
            await predecessor._drained()
            if predecessor._state is not None:
                if self._process is None:
                    raise UnavailableError(f"{self.origin}: its process ended before it was handed its state")
                await opening.restore(self._process, self.package, self._limits, predecessor._state)
            self._state = predecessor._state
            on_failure.pop_all()
        predecessor._successor = self
        for exchange in predecessor._waiting.take():
            self._put(exchange)

    async def close(self) -> None:
        """Let the plugin unload, then end its process."""
        self._closed = True
        if self._restart is not None:
            self._restart.cancel()
        self._waiting.fail_all(GIVEN_UP)
        process = self._process
        if process is not None and not process.ended:
            unload_s = self._limits.unload_ms / 1000
            patience_at = time.monotonic() + self._wall_s + unload_s
            unload = Exchange(self._loop, Unload(), (Unloaded,), wall_s=unload_s, deadline_at=patience_at)
            process.send(unload)
            await unload.future
            process.end(GIVEN_UP)
        self._plugin_log.close()

    def release(self) -> None:
        """End the quarantine and close the breaker: whoever does this has looked at the plugin."""
        self._breaker.close()
        if self._quarantine is not None:
            _log.warning("plugin_released", plugin=self.name)
            self._quarantine = None
            self._rests.end()
            if self._restart is None or self._restart.done():
                self._restart = self._loop.create_task(self._restarted())

    def info(self) -> PluginInfo:
        """What is to be known of it from outside."""
        return info_of(self, self._description, self._state_word(), self.package.source_digest, str(self.package.path))

    def ask(self, question: bytes, facts: bytes, deadline_at: float) -> Exchange:
        """Put one question; the exchange's future becomes an `Answer` or a `Failure`.

        Args:
            question: an encoded `Question`.
            facts: an encoded mapping.
            deadline_at: when the caller stops waiting, on `time.monotonic`. It ends the wait, not the
                process: otherwise a caller in a hurry could wipe out what a plugin remembers.
        """
        if self._successor is not None:
            return self._successor.ask(question, facts, deadline_at)
        ask = Ask(msgspec.Raw(question), msgspec.Raw(facts))
        exchange = Exchange(self._loop, ask, (Answer,), wall_s=self._wall_s, deadline_at=deadline_at)
        refusal = self._refusal(len(question) + len(facts))
        if refusal is None:
            self._put(exchange)
        else:
            self._fail(exchange, refusal)
        return exchange

    def _refusal(self, size_bytes: int) -> Failure | None:
        """Why a question of this size is not put; None if it is."""
        if self._closed:
            return GIVEN_UP
        if self._quarantine is not None:
            return self._quarantine
        refusal = self._breaker.refusal()
        if refusal is not None:
            return refusal
        if self._rests.resting:
            return self._rests.last_failure
        count, count_bytes = len(self._waiting), self._waiting.size_bytes
        if self._process is not None:
            count, count_bytes = count + self._process.pending, count_bytes + self._process.pending_bytes
        return too_much(self._limits, size_bytes, count, count_bytes)

    def _put(self, exchange: Exchange) -> None:
        self._breaker.asked()
        if self._process is not None and not self._paused:
            self._process.send(exchange)
        else:
            restarting = f"restarting after: {self._rests.last_failure.reason}"
            self._waiting.park(exchange, "the plugin is being replaced" if self._paused else restarting)

    def _fail(self, exchange: Exchange, failure: Failure) -> None:
        exchange.resolve(failure, time.monotonic())

    def _state_word(self) -> State:
        if self._closed:
            return "closed"
        if self._quarantine is not None:
            return "quarantined"
        if self._breaker.tripped or self._rests.due:
            return "failing"
        return "restarting" if self._process is None else "running"

    async def _drained(self) -> None:
        """Put nothing more to the process, and wait until it has replied to everything."""
        self._paused = True
        while self._process is not None and self._process.pending:  # noqa: ASYNC110  # a reload is rare, a call short
            await asyncio.sleep(DRAIN_LOOK_S)

    def _resume(self) -> None:
        self._paused = False
        if self._process is not None:
            for exchange in self._waiting.take():
                self._process.send(exchange)

    async def _open(self) -> tuple[Process, Loaded]:
        process, loaded = await opening.opened(
            self._spare, self.package, self._limits, self._process_ended, windows=self._windows, state=self._state
        )
        process.on_answer = self._answered
        return process, loaded

    def _answered(self, answer: Answer) -> None:
        if answer.logged:
            self._plugin_log.write(self.name, self.version, answer.logged)
        if answer.state is not None:
            self._state = answer.state
        if answer.status == "error" and not (self._process and self._process.calls.faulted):
            self._count(Failure("error", answer.reason))
        elif answer.status == "ok":
            self._rests.end()
            if self._breaker.answered():
                _log.warning("plugin_breaker_closed", plugin=self.name)

    def _count(self, failure: Failure) -> None:
        refusal = self._breaker.failed(failure)
        if refusal is not None:
            _log.warning("plugin_breaker_opened", plugin=self.name, status=refusal.status, reason=refusal.reason)

    def _process_ended(self, process: Process, failure: Failure, unstarted: list[Exchange]) -> None:
        violated = failure.status == "violation"
        if violated and not self._closed:
            self._quarantine = Failure("quarantined", f"quarantined until it is released, after: {failure.reason}")
            self._waiting.fail_all(self._quarantine)
        if process is not self._process:
            return  # one that was being opened; `_open` tells
        self._process = None
        if not self._closed:
            event = "plugin_quarantined" if violated else "plugin_process_ended"
            _log.warning(event, plugin=self.name, status=failure.status, reason=failure.reason)
            if not violated:
                self._rests.died(failure, answers=process.answers)
                self._count(failure)
                self._restart = self._loop.create_task(self._restarted())
        self._move(unstarted, failure)

    def _move(self, unstarted: list[Exchange], failure: Failure) -> None:
        """Keep what a dead process had not started for the next one, if there is to be one."""
        refusal = failure if self._closed else self._quarantine or self._breaker.refusal()
        for exchange in unstarted:
            if refusal is not None:
                self._fail(exchange, refusal)
            elif exchange.resent:
                reason = f"not started: twice a call before it ended the process, last by: {failure.reason}"
                self._fail(exchange, Failure("crashed", reason))
            elif not exchange.future.done():
                exchange.resent = True
                self._waiting.park(exchange, f"restarting after: {failure.reason}")

    async def _restarted(self) -> None:
        while self._quarantine is None:
            if self._rests.due:
                self._waiting.fail_all(self._rests.last_failure)
                await self._rests.rest()
            try:
                self._process, _ = await self._open()
            except (PluginError, UnavailableError, OSError) as error:
                _log.warning("plugin_not_restarted", plugin=self.name, reason=str(error))
                self._rests.died(Failure("crashed", f"it cannot be restarted: {error}"), answers=0)
                continue
            if not self._paused:
                self._resume()
            return
