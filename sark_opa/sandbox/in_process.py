"""A plugin that is an object of the operator's own, run in the service's event loop.

Nothing is between it and the service: it may do whatever the service may. It is awaited within a time, and its
exceptions and invalid decisions become failures like those of a plugin in the sandbox. But an `evaluate` that
blocks instead of waiting holds up the whole service, and can be neither stopped nor killed; only its answer is
refused when it comes too late. Code that is not the operator's own belongs in a file, which is sandboxed.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from sark_opa.errors import PluginError
from sark_opa.logs import get_logger
from sark_opa.plugin import Host, PolicyPlugin
from sark_opa.sandbox import protocol
from sark_opa.sandbox.contract import FACT_OF_NEED, Failure, Limits, Need, OnError, PluginInfo, Status
from sark_opa.sandbox.exchange import Exchange, late
from sark_opa.sandbox.guest.decision import InvalidDecisionError, about_itself, checked, context_of, parts_of
from sark_opa.sandbox.member import info_of
from sark_opa.sandbox.packages import requirement
from sark_opa.sandbox.protocol import Answer, Loaded

UNLOADED: Final = Failure("crashed", "it has been unloaded")

_NO_HOST: Final = Host()
_log = get_logger("sark_opa.sandbox")


class InProcess:
    """A member of the chain that asks an object. `ask` never raises, and each call has exactly one outcome.

    Attributes:
        plugin: the object.
        name: of the plugin; this and the other words of its own are read once, when it is registered.
        version: of the plugin.
        priority: lower is asked earlier.
        needs: facts it is handed.
        requires: plugins it is asked after.
        on_error: what a failure means.
        sandboxed: never.
        origin: its class.
    """

    sandboxed: Final = False

    def __init__(
        self,
        plugin: PolicyPlugin,
        limits: Limits,
        *,
        needs: Sequence[Need] = (),
        requires: Sequence[str] = (),
        on_error: OnError = "deny",
    ) -> None:
        """Look the object over; nothing of it but its properties is run.

        Raises:
            PluginError: it is no plugin, or asks for what cannot be had; the message names its class.
        """
        self.origin = _class_name(plugin)
        _check_object(plugin, self.origin)
        about = _about(plugin, self.origin)
        self.plugin = plugin
        self.name = about.name
        self.version = about.version
        self.priority = about.priority
        self.needs = tuple(needs)
        self.on_error: OnError = on_error
        self._description = about.description
        self._limits = limits
        self._running: set[asyncio.Task[None]] = set()
        self._loaded = False
        self._closed = False
        for need in self.needs:
            if need not in FACT_OF_NEED:
                known = ", ".join(FACT_OF_NEED)
                raise _refusal(self.origin, f"needs: {need!r} is nothing an object is handed; {known} are", "needs")
        try:
            self.requires = tuple(requirement.parse(text) for text in requires)
        except ValueError as error:
            raise _refusal(self.origin, f"requires: {error}", "requires") from error

    async def start(self) -> None:
        """Call `on_load`.

        Raises:
            PluginError: it raised, or took too long.
        """
        error = await _bounded(self.plugin.on_load, self._limits.wall_ms)
        if error is not None:
            raise _refusal(self.origin, f"on_load: {type(error).__name__}: {error}") from error
        self._loaded = True

    async def close(self) -> None:
        """Wait for what it was asked, as long as a call may take, then call `on_unload`, whose errors are logged."""
        self._closed = True
        if self._running:
            _, late_ones = await asyncio.wait(self._running, timeout=self._limits.wall_ms / 1000)
            for task in late_ones:
                task.cancel()
        if self._loaded:
            self._loaded = False
            error = await _bounded(self.plugin.on_unload, self._limits.unload_ms)
            if error is not None:
                _log.warning("plugin_not_unloaded", plugin=self.name, reason=type(error).__name__)

    def ask(self, question: bytes, facts: bytes, deadline_at: float) -> Exchange | Failure:
        """Put one question; the exchange's future becomes an `Answer` or a `Failure`.

        Args:
            question: an encoded `Question`.
            facts: an encoded mapping.
            deadline_at: when the caller stops waiting, on `time.monotonic`; `evaluate` is cancelled then.
        """
        if self._closed:
            return UNLOADED
        if len(self._running) >= self._limits.waiting_max:
            return Failure("overloaded", f"overloaded: {len(self._running)} calls are running already")
        loop = asyncio.get_running_loop()
        exchange = Exchange(loop, None, (Answer,), wall_s=self._limits.wall_ms / 1000, deadline_at=deadline_at)
        task = loop.create_task(self._run(exchange, question, facts))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        left_s = _due_at(exchange) - time.monotonic()
        timer = loop.call_later(max(left_s, 0.0), lambda: exchange.resolve(_too_late(exchange), time.monotonic()))
        exchange.future.add_done_callback(partial(_put_away, timer, task))
        return exchange

    def info(self) -> PluginInfo:
        """What is to be known of it from outside."""
        return info_of(self, self._description, "closed" if self._closed else "running")

    async def _run(self, exchange: Exchange, question: bytes, facts: bytes) -> None:
        outcome = await self._outcome(question, facts)
        now = time.monotonic()
        # One that blocked has kept the timer from going off.
        exchange.resolve(outcome if now < _due_at(exchange) else _too_late(exchange), now)

    async def _outcome(self, question: bytes, facts: bytes) -> Answer | Failure:
        try:
            parts = parts_of(await self.plugin.evaluate(context_of(question, facts, _NO_HOST)))
            answer = protocol.decode_reply(protocol.encode(checked(Answer(0, "ok", *parts))))
        except KeyboardInterrupt:
            raise  # it is meant for the service
        except InvalidDecisionError as error:
            return Failure("error", _sendable(f"no valid decision: {error}"))
        except BaseException as error:  # noqa: BLE001  # the plugin's edge: it may raise anything, SystemExit too
            status: Status = "memory_limit" if isinstance(error, MemoryError) else "error"
            # The exception's own text stays out of it, since it may quote a prompt.
            return Failure(status, _sendable(f"raised {type(error).__name__}{_where(error, self.plugin)}"))
        assert isinstance(answer, Answer)  # noqa: S101  # as encoded a line above
        return answer


def _due_at(exchange: Exchange) -> float:
    return min(exchange.asked_at + exchange.wall_s, exchange.deadline_at)


def _too_late(exchange: Exchange) -> Failure:
    if exchange.deadline_at <= exchange.asked_at + exchange.wall_s:
        return late(0)
    return Failure("timeout", f"time limit: no answer within {exchange.wall_s * 1000:.0f} ms")


def _put_away(timer: asyncio.TimerHandle, task: asyncio.Task[None], _: object) -> None:
    timer.cancel()
    task.cancel()  # without effect on one that has answered


def _where(error: BaseException, plugin: PolicyPlugin) -> str:
    """The innermost line of the file that `evaluate` is written in."""
    code = getattr(inspect.unwrap(plugin.evaluate), "__code__", None)
    file_name = "" if code is None else code.co_filename
    line = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file_name:
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" ({Path(file_name).name} line {line})" if line else ""


def _sendable(reason: str) -> str:
    """A reason of the length a sandboxed plugin's may have, as text that can be encoded."""
    return reason.encode("utf-8", "backslashreplace")[: protocol.REASON_BYTES_MAX].decode("utf-8", "ignore")


async def _bounded(call: Callable[[], Coroutine[Any, Any, None]], patience_ms: int) -> BaseException | None:
    """Await a call for so long; what it raised, if it did. One that ignores its cancellation is left behind."""
    task = asyncio.get_running_loop().create_task(_error_of(call))
    try:
        done, _ = await asyncio.wait([task], timeout=patience_ms / 1000)
    finally:
        task.cancel()
    return task.result() if done else TimeoutError(f"not done within {patience_ms} ms")


async def _error_of(call: Callable[[], Coroutine[Any, Any, None]]) -> BaseException | None:
    try:
        await call()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # same: a task that ends with SystemExit would end the service
        return error
    return None


def _check_object(plugin: object, origin: str) -> None:
    if isinstance(plugin, type):
        if issubclass(plugin, PolicyPlugin) and inspect.isabstract(plugin):
            raise _refusal(origin, f"it does not implement {', '.join(sorted(plugin.__abstractmethods__))}")
        raise _refusal(origin, f"it is a class; register an object of it, such as {plugin.__name__}()")
    if not isinstance(plugin, PolicyPlugin):
        raise _refusal(origin, "it is no PolicyPlugin; its class must subclass sark_opa.plugin.PolicyPlugin")
    for name, arguments in (("evaluate", ("context",)), ("on_load", ()), ("on_unload", ())):
        method = getattr(plugin, name)
        if not inspect.iscoroutinefunction(method):
            raise _refusal(origin, f"{name} must be `async def`")
        try:
            inspect.signature(method).bind(*arguments)
        except TypeError as error:
            called = f"{name}({', '.join(arguments)})"
            raise _refusal(origin, f"{name}: it cannot be called as {called}: {error}") from error


def _about(plugin: PolicyPlugin, origin: str) -> Loaded:
    """What it says of itself, held against the same bounds as what a sandboxed one says."""
    try:
        said = Loaded(0, plugin.name, plugin.version, plugin.description, plugin.priority)
        about = protocol.decode_reply(protocol.encode(said))
    except msgspec.ValidationError as error:
        raise _refusal(origin, about_itself(error)) from error
    except Exception as error:
        raise _refusal(origin, f"name, version, description and priority cannot be had: {error!r}") from error
    assert isinstance(about, Loaded)  # noqa: S101  # as encoded above
    return about


def _class_name(plugin: object) -> str:
    kind = plugin if isinstance(plugin, type) else type(plugin)
    return f"{kind.__module__}.{kind.__qualname__}"


def _refusal(origin: str, message: str, field: str | None = None) -> PluginError:
    return PluginError(f"{origin}: {message}", path=origin, field=field)
