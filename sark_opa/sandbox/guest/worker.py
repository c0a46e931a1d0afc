"""The inside of a plugin's process: reads questions, lets the plugin answer, writes the answers.

Descriptor 3 is its only way out. The walls stand before the source arrives, and the source arrives as text.
Everything here runs beside the plugin's code and may be tampered with by it, so the service believes nothing
of what comes out but a well-formed decision.
"""

from __future__ import annotations

import os
import socket
import sys
import traceback
from typing import Final, Literal, NoReturn

import msgspec

from sark_opa.plugin import CapabilityError, Host, PolicyPlugin
from sark_opa.sandbox import protocol
from sark_opa.sandbox.calls import Result
from sark_opa.sandbox.contract import LayerReport, Limits
from sark_opa.sandbox.guest import canary
from sark_opa.sandbox.guest.calls import CODES, Calls, GrantedHost
from sark_opa.sandbox.guest.check import SourceError, looked_over
from sark_opa.sandbox.guest.decision import InvalidDecisionError, about_itself, checked, context_of, parts_of
from sark_opa.sandbox.guest.eventloop import PluginLoop, StuckError
from sark_opa.sandbox.guest.loading import ConfigError, keeps_state, line_of, plugin_of
from sark_opa.sandbox.guest.output import CapturedLog, CapturedOutput
from sark_opa.sandbox.looking import Check
from sark_opa.sandbox.protocol import (
    Answer,
    Ask,
    Load,
    Loaded,
    Probe,
    Probed,
    Ready,
    Refused,
    Reply,
    Restore,
    Restored,
    Unload,
    Unloaded,
)

_decode_state: Final = msgspec.msgpack.Decoder().decode


class Worker:
    """Serves one connection with one plugin until the connection closes."""

    def __init__(self, connection: socket.socket, limits: Limits, *, source_check: bool) -> None:
        self._connection = connection
        self._source_check = source_check
        self._frames = protocol.FrameBuffer(protocol.REQUEST_BYTES_MAX)
        self._calls = Calls(connection, self._frames)
        self._host: Host = Host()
        self._loop = PluginLoop(self._calls)
        self._output = CapturedOutput()
        self._log = CapturedLog()
        self._plugin: PolicyPlugin | None = None
        self._keeps_state = False
        # Worded now: at the limit there is no memory to word anything.
        self._memory_limit = f"memory limit: more than {limits.memory_bytes_max >> 20} MiB"

    def serve(self, layers: tuple[LayerReport, ...]) -> NoReturn:
        """Say that the walls stand, then answer whatever is asked. Ends the process, never returns."""
        sys.stdout = sys.stderr = self._output
        self._log.install()
        self._send(Ready(0, layers))
        while True:
            count = self._connection.recv_into(self._frames.space())
            if count == 0:
                os._exit(0)
            self._frames.received(count)
            while (body := self._frames.take()) is not None:
                self._handle(protocol.decode_message(body))

    def _handle(self, message: protocol.Message | Result) -> None:
        if isinstance(message, Ask):
            answer = self._answer(message)
            self._send(answer)
            if answer.status == "memory_limit":
                os._exit(protocol.EXIT_OUT_OF_MEMORY)
        elif isinstance(message, Probe):
            self._send(Probed(message.id, tuple(canary.tried(act, message.port) for act in message.acts)))
        elif isinstance(message, Check):
            self._send(looked_over(message))
        elif isinstance(message, Load):
            self._send(self._load(message))
        elif isinstance(message, Restore):
            self._send(self._restore(message))
        elif isinstance(message, Unload):
            self._unload(message)
        # What is left is a `Result` the plugin has not waited for.

    def _send(self, reply: Reply) -> None:
        # One reply at a time and before the next question starts: a plugin that dies takes no answer with it.
        self._connection.sendall(protocol.frame(reply))

    def _answer(self, ask: Ask) -> Answer:
        try:
            return self._decision(ask)
        except MemoryError:
            return Answer(ask.id, "memory_limit", allowed=False, reason=self._memory_limit)
        except BaseException as error:  # noqa: BLE001  # the process edge: a plugin may raise anything, SystemExit too
            # A traceback holds frames, and frames what filled them; the reason needs neither.
            reason = _reason(error)
            self._print_traceback(error)
            output, logged = self._output.take(), self._log.take()
            return Answer(ask.id, "error", allowed=False, reason=reason, output=output, logged=logged)

    def _decision(self, ask: Ask) -> Answer:
        assert self._plugin is not None  # noqa: S101  # the service asks after Loaded only
        context = context_of(ask.question, ask.facts, self._host)
        self._calls.begin(ask.id)
        allowed, reason, metadata = parts_of(self._loop.run(self._plugin.evaluate(context)))
        state = self._snapshot(self._plugin) if self._keeps_state else None
        return checked(Answer(ask.id, "ok", allowed, reason, metadata, self._output.take(), self._log.take(), state))

    @staticmethod
    def _snapshot(plugin: PolicyPlugin) -> bytes:
        """Taken with every decision: one that the service cannot have a snapshot of is not given."""
        state = plugin.snapshot()
        try:
            return protocol.encoded_state(state)
        except (ValueError, TypeError, RecursionError, OverflowError) as error:
            raise InvalidDecisionError(f"snapshot cannot be kept: {error}") from error

    def _restore(self, restore: Restore) -> Restored | Refused:
        assert self._plugin is not None  # noqa: S101  # the service hands it over after Loaded only
        try:
            self._plugin.restore(_decode_state(restore.state))
        except BaseException as error:  # noqa: BLE001  # the process edge: a plugin may raise anything
            message = f"restore does not take what snapshot gave: {_described(error)}"
            return _refused(restore, "source", message, line_of(error))
        return Restored(restore.id)

    def _load(self, load: Load) -> Loaded | Refused:
        try:
            plugin = self._plugin = plugin_of(load.source, load.config, lenient=not self._source_check)
            self._loop.run(plugin.on_load())
            self._keeps_state = keeps_state(plugin)
            self._host = GrantedHost(self._calls, load.needs)
            loaded = Loaded(
                load.id, plugin.name, plugin.version, plugin.description, plugin.priority, self._keeps_state
            )
            # Through the decoder, since only that looks at the types.
            protocol.decode_reply(protocol.encode(loaded))
        except SourceError as error:
            return _refused(load, "source", str(error), error.line)
        except ConfigError as error:
            return _refused(load, "config", str(error), None)
        except msgspec.ValidationError as error:
            return _refused(load, "source", about_itself(error), None)
        except BaseException as error:  # noqa: BLE001  # the process edge: a plugin may raise anything
            return _refused(load, "source", _described(error), line_of(error))
        return loaded

    def _unload(self, unload: Unload) -> NoReturn:
        try:
            if self._plugin is not None:
                self._loop.run(self._plugin.on_unload())
        finally:
            self._send(Unloaded(unload.id))
            os._exit(0)

    def _print_traceback(self, error: BaseException) -> None:
        try:
            traceback.print_exception(error, file=self._output)
        except BaseException:  # noqa: BLE001  # the plugin's exception may break its own printing
            self._output.write("(the exception cannot be printed)")


def serve_forever(
    connection: socket.socket, limits: Limits, layers: tuple[LayerReport, ...], *, source_check: bool
) -> NoReturn:
    """Serve `connection` as a plugin's process; ends the process."""
    try:
        Worker(connection, limits, source_check=source_check).serve(layers)
    except MemoryError:
        os._exit(protocol.EXIT_OUT_OF_MEMORY)
    except BaseException:  # noqa: BLE001  # the process edge: nobody is left to tell but the exit code
        os._exit(os.EX_SOFTWARE)


def _reason(error: BaseException) -> str:
    """What callers read; the exception's own text stays out of it, since it may quote a prompt."""
    if isinstance(error, InvalidDecisionError):
        return _encodable(f"no valid decision: {error}", protocol.REASON_BYTES_MAX)
    if isinstance(error, StuckError):
        return "evaluate waits for something that can never happen"
    line = line_of(error)
    where = f" (plugin.py line {line})" if line else ""
    if type(error) is CapabilityError and getattr(error, "code", None) in CODES:
        where = f": {error.code}{where}"
    return _encodable(f"raised {type(error).__name__}{where}", protocol.REASON_BYTES_MAX)


def _described(error: BaseException) -> str:
    if isinstance(error, StuckError):
        return "on_load waits for something that can never happen"
    try:
        text = str(error)
    except BaseException as inner:  # noqa: BLE001  # an exception of the plugin's own making
        text = f"its text cannot be had: {type(inner).__name__}"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _refused(load: Load | Restore, part: Literal["source", "config"], message: str, line: int | None) -> Refused:
    return Refused(load.id, part, _encodable(message, 2_048), line)


def _encodable(text: str, bytes_max: int) -> str:
    return text.encode("utf-8", "backslashreplace")[:bytes_max].decode("utf-8", "ignore")
