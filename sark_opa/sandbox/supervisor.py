"""One plugin for as long as it is loaded: keeps a process for it, and gives every call an outcome.

A process that dies is replaced at once. The call it worked on fails; the calls behind it are moved to the
new process, once. A plugin that dies several times in a row without an answer in between rests for a while,
and its calls fail at once meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import ExitStack
from typing import Final

import msgspec

from sark_opa.errors import PluginError, UnavailableError
from sark_opa.logs import get_logger
from sark_opa.sandbox import protocol
from sark_opa.sandbox.contract import Failure, Limits, Need, OnError, PluginInfo, State
from sark_opa.sandbox.exchange import Exchange
from sark_opa.sandbox.packages.manifest import FILE_NAME, Package
from sark_opa.sandbox.process import GIVEN_UP, Process
from sark_opa.sandbox.protocol import Answer, Ask, Load, Loaded, Refused, Unload, Unloaded
from sark_opa.sandbox.spawner import Spawner

DEATHS_IN_A_ROW_MAX: Final = 2
REST_S_MIN: Final = 0.25
REST_S_MAX: Final = 30.0

ENVELOPE_BYTES: Final = 64
"""More than an `Ask` takes beside its question and facts."""

_log = get_logger("sark_opa.sandbox")


class Supervisor:
    """A loaded plugin. `ask` never raises, and each call has exactly one outcome.

    Attributes (known once started):
        name: of the plugin.
        version: of the plugin.
        priority: lower is asked earlier.
        needs: facts it is handed.
        on_error: what a failure means.
    """

    def __init__(self, spawner: Spawner, package: Package, limits: Limits) -> None:
        manifest = package.manifest
        self.package = package
        self.name = ""
        self.version = ""
        self.priority = 0
        self.needs: tuple[Need, ...] = () if manifest is None else tuple(manifest.needs)
        self.on_error: OnError = "deny" if manifest is None else manifest.on_error
        self._description = ""
        self._spawner = spawner
        self._limits = limits
        self._wall_s = (limits.wall_ms if manifest is None else min(manifest.timeout_ms, limits.wall_ms)) / 1000
        self._loop = asyncio.get_running_loop()
        self._process: Process | None = None
        self._waiting: deque[Exchange] = deque()
        self._waiting_bytes = 0
        self._restart: asyncio.Task[None] | None = None
        self._deaths_in_a_row = 0
        self._last_failure = GIVEN_UP
        self._resting = False
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
        if manifest is not None:
            self.priority = loaded.priority if manifest.priority is None else manifest.priority
            self._description = manifest.description

    async def close(self) -> None:
        """Let the plugin unload, then end its process."""
        self._closed = True
        if self._restart is not None:
            self._restart.cancel()
        self._fail_waiting(GIVEN_UP)
        process = self._process
        if process is not None and not process.ended:
            unload_s = self._limits.unload_ms / 1000
            patience_at = time.monotonic() + self._wall_s + unload_s
            unload = Exchange(self._loop, Unload(), (Unloaded,), wall_s=unload_s, deadline_at=patience_at)
            process.send(unload)
            await unload.future
            process.end(GIVEN_UP)

    def info(self) -> PluginInfo:
        """What is to be known of it from outside."""
        return PluginInfo(
            name=self.name,
            version=self.version,
            description=self._description,
            priority=self.priority,
            needs=self.needs,
            on_error=self.on_error,
            state=self._state(),
            source_digest=self.package.source_digest,
            path=str(self.package.path),
        )

    def ask(self, question: bytes, facts: bytes, deadline_at: float) -> Exchange:
        """Put one question; the exchange's future becomes an `Answer` or a `Failure`.

        Args:
            question: an encoded `Question`.
            facts: an encoded mapping.
            deadline_at: when the caller stops waiting, on `time.monotonic`. It ends the wait, not the
                process: otherwise a caller in a hurry could wipe out what a plugin remembers.
        """
        ask = Ask(msgspec.Raw(question), msgspec.Raw(facts))
        exchange = Exchange(self._loop, ask, (Answer,), wall_s=self._wall_s, deadline_at=deadline_at)
        size_bytes = len(question) + len(facts) + ENVELOPE_BYTES
        process = self._process
        count, count_bytes = len(self._waiting), self._waiting_bytes
        if process is not None:
            count, count_bytes = process.pending, process.pending_bytes
        if size_bytes > protocol.REQUEST_BYTES_MAX:
            self._fail(
                exchange,
                Failure(
                    "error",
                    f"the question takes {size_bytes} bytes, a plugin is handed at most {protocol.REQUEST_BYTES_MAX}",
                ),
            )
        elif count >= self._limits.waiting_max or count_bytes + size_bytes > self._limits.waiting_bytes_max:
            self._fail(exchange, Failure("overloaded", f"overloaded: {count} calls wait already"))
        elif process is not None:
            process.send(exchange)
        elif self._resting or self._closed:
            self._fail(exchange, self._last_failure)
        else:
            self._park(exchange)
        return exchange

    def _state(self) -> State:
        if self._closed:
            return "closed"
        if self._process is not None:
            return "running"
        return "failing" if self._deaths_in_a_row > DEATHS_IN_A_ROW_MAX else "restarting"

    def _fail(self, exchange: Exchange, failure: Failure) -> None:
        exchange.resolve(failure, time.monotonic())

    def _fail_waiting(self, failure: Failure) -> None:
        while self._waiting:
            self._fail(self._waiting.popleft(), failure)
        self._waiting_bytes = 0

    def _park(self, exchange: Exchange) -> None:
        """Keep it until there is a process again, or its deadline has come."""
        self._waiting.append(exchange)
        if isinstance(exchange.message, Ask):
            self._waiting_bytes += len(memoryview(exchange.message.question))
        late = Failure(
            "overloaded", f"not started before the caller's deadline: restarting after: {self._last_failure.reason}"
        )
        self._loop.call_later(exchange.deadline_at - time.monotonic(), self._fail, exchange, late)

    async def _open(self) -> tuple[Process, Loaded]:
        process, _ = await Process.opened(self._spawner, self._limits, self._process_ended)
        with ExitStack() as on_failure:
            on_failure.callback(process.end, GIVEN_UP)
            load = Load(self.package.source, dict(self.package.config))
            exchange = Exchange(self._loop, load, (Loaded, Refused), wall_s=self._limits.wall_ms / 1000)
            process.send(exchange)
            outcome = await exchange.future
            loaded = self._accepted(process, outcome)
            on_failure.pop_all()
        return process, loaded

    def _accepted(self, process: Process, outcome: object) -> Loaded:
        if not isinstance(outcome, Loaded) or process.ended:
            raise self._refusal(outcome)
        manifest = self.package.manifest
        if manifest is None:
            return outcome
        for field, written, said in (
            ("name", manifest.name, outcome.name),
            ("version", manifest.version, outcome.version),
        ):
            if written != said:
                raise PluginError(
                    f"{self.package.path / FILE_NAME}: {field}: it says {written!r}, the plugin itself {said!r}",
                    path=str(self.package.path),
                    field=field,
                )
        return outcome

    def _refusal(self, outcome: object) -> PluginError:
        path, line = self.package.source_path, None
        message = "its process ended right after loading"
        if isinstance(outcome, Failure):
            message = f"it cannot be loaded: {outcome.reason}"
        elif isinstance(outcome, Refused):
            message, line = outcome.message, outcome.line
            if outcome.part == "config":
                message = f"config.{message}"
        return PluginError(f"{path}{f':{line}' if line else ''}: {message}", path=str(path), line=line)

    def _process_ended(self, process: Process, failure: Failure, unstarted: list[Exchange]) -> None:
        if process is not self._process:
            return  # one that was being opened; `_open` tells
        self._process = None
        if self._closed:
            for exchange in unstarted:
                self._fail(exchange, failure)
            return
        _log.warning("plugin_process_ended", plugin=self.name, status=failure.status, reason=failure.reason)
        self._died(failure, answers=process.answers)
        for exchange in unstarted:
            if exchange.resent:
                self._fail(
                    exchange,
                    Failure(
                        "crashed", f"not started: twice a call before it ended the process, last by: {failure.reason}"
                    ),
                )
            elif not exchange.future.done():
                exchange.resent = True
                self._park(exchange)
        self._restart = self._loop.create_task(self._restarted())

    def _died(self, failure: Failure, *, answers: int) -> None:
        self._deaths_in_a_row = 1 if answers else self._deaths_in_a_row + 1
        self._last_failure = failure

    async def _restarted(self) -> None:
        while True:
            rests = self._deaths_in_a_row - DEATHS_IN_A_ROW_MAX
            if rests > 0:
                await self._rest(_rest_s(rests))
            try:
                process, _ = await self._open()
            except (PluginError, UnavailableError, OSError) as error:
                _log.warning("plugin_not_restarted", plugin=self.name, reason=str(error))
                self._died(Failure("crashed", f"it cannot be restarted: {error}"), answers=0)
                continue
            self._process = process
            self._waiting_bytes = 0
            while self._waiting:
                exchange = self._waiting.popleft()
                if not exchange.future.done():
                    process.send(exchange)
            return

    async def _rest(self, rest_s: float) -> None:
        self._resting = True
        self._fail_waiting(self._last_failure)
        try:
            await asyncio.sleep(rest_s)
        finally:
            self._resting = False


def _rest_s(rests: int) -> float:
    """Twice as long each time. The exponent is capped first: a plugin that rests for days must not overflow it."""
    return min(REST_S_MIN * 2.0 ** min(rests - 1, 16), REST_S_MAX)
