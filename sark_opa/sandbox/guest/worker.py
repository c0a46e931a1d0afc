"""The inside of a plugin's process: reads questions, lets the plugin answer, writes the answers.

Descriptor 3 is its only way out. The walls stand before the source arrives, and the source arrives as text.
Everything here runs beside the plugin's code and may be tampered with by it, so the service believes nothing
of what comes out but a well-formed decision.
"""

from __future__ import annotations

import io
import os
import resource
import socket
import sys
import traceback
from typing import Final, Literal, NoReturn

import msgspec

from sark_opa.plugin import PolicyContext, PolicyDecision, PolicyPlugin
from sark_opa.sandbox import protocol
from sark_opa.sandbox.contract import LayerReport, Question
from sark_opa.sandbox.guest.check import SourceError
from sark_opa.sandbox.guest.eventloop import PluginLoop, StuckError
from sark_opa.sandbox.guest.loading import ConfigError, line_of, plugin_of
from sark_opa.sandbox.protocol import Answer, Ask, Load, Loaded, Ready, Refused, Reply, Unload, Unloaded

_decode_question: Final = msgspec.msgpack.Decoder(Question).decode
_decode_facts: Final = msgspec.msgpack.Decoder(dict[str, object]).decode


class InvalidDecisionError(Exception):
    """What `evaluate` returned is no decision; the message says what is wrong."""


class CapturedOutput(io.TextIOBase):
    """Stands in for standard output and error: keeps the first few thousand characters of a call."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._left = protocol.OUTPUT_CHARS_MAX

    def write(self, text: str, /) -> int:
        """Keep what fits, drop the rest."""
        if self._left > 0:
            kept = str(text)[: self._left]
            self._parts.append(kept)
            self._left -= len(kept)
        return len(text)

    def take(self) -> str:
        """What was written since the last time, as text that can be encoded."""
        if not self._parts:
            return ""
        text = "".join(self._parts).encode("utf-8", "backslashreplace").decode()[: protocol.OUTPUT_CHARS_MAX]
        self._parts.clear()
        self._left = protocol.OUTPUT_CHARS_MAX
        return text


class Worker:
    """Serves one connection with one plugin until the connection closes."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._frames = protocol.FrameBuffer(protocol.REQUEST_BYTES_MAX)
        self._loop = PluginLoop()
        self._output = CapturedOutput()
        self._plugin: PolicyPlugin | None = None
        # Worded now: at the limit there is no memory to word anything.
        self._memory_limit = f"memory limit: more than {resource.getrlimit(resource.RLIMIT_AS)[0] >> 20} MiB"

    def serve(self, layers: tuple[LayerReport, ...]) -> NoReturn:
        """Say that the walls stand, then answer whatever is asked. Ends the process, never returns."""
        sys.stdout = sys.stderr = self._output
        self._send(Ready(0, layers))
        while True:
            count = self._connection.recv_into(self._frames.space())
            if count == 0:
                os._exit(0)
            self._frames.received(count)
            while (body := self._frames.take()) is not None:
                self._handle(protocol.decode_message(body))

    def _handle(self, message: protocol.Message) -> None:
        if isinstance(message, Ask):
            answer = self._answer(message)
            self._send(answer)
            if answer.status == "memory_limit":
                os._exit(protocol.EXIT_OUT_OF_MEMORY)
        elif isinstance(message, Load):
            self._send(self._load(message))
        else:
            self._unload(message)

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
            return Answer(ask.id, "error", allowed=False, reason=reason, output=self._output.take())

    def _decision(self, ask: Ask) -> Answer:
        assert self._plugin is not None  # noqa: S101  # the service asks after Loaded only
        question = _decode_question(ask.question)
        context = PolicyContext(
            question.principal_id,
            question.resource_id,
            question.capability_id,
            question.action,
            question.arguments,  # type: ignore[arg-type]  # decoded as a dict
            question.environment,  # type: ignore[arg-type]  # same
            question.timestamp,
            _decode_facts(ask.facts),
            question.org,
        )
        decision = self._loop.run(self._plugin.evaluate(context))
        if not isinstance(decision, PolicyDecision):
            raise InvalidDecisionError(f"evaluate returned a {type(decision).__name__}, not a PolicyDecision")
        allowed, reason, metadata = decision.allowed, decision.reason, decision.metadata
        for field, value, kind in (("allowed", allowed, bool), ("reason", reason, str), ("metadata", metadata, dict)):
            if type(value) is not kind:
                raise InvalidDecisionError(f"{field} is a {type(value).__name__}, not exactly a {kind.__name__}")
        answer = Answer(ask.id, "ok", allowed, reason, metadata, self._output.take())
        try:
            protocol.check_answer(answer)
        except (ValueError, RecursionError, OverflowError) as error:
            raise InvalidDecisionError(str(error)) from error
        return answer

    def _load(self, load: Load) -> Loaded | Refused:
        try:
            plugin = self._plugin = plugin_of(load.source, load.config)
            self._loop.run(plugin.on_load())
            loaded = Loaded(load.id, plugin.name, plugin.version, plugin.description, plugin.priority)
            # Through the decoder, since only that looks at the types.
            protocol.decode_reply(protocol.encode(loaded))
        except SourceError as error:
            return _refused(load, "source", str(error), error.line)
        except ConfigError as error:
            return _refused(load, "config", str(error), None)
        except msgspec.ValidationError as error:
            return _refused(load, "source", _about_itself(error), None)
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


def serve_forever(connection: socket.socket, layers: tuple[LayerReport, ...]) -> NoReturn:
    """Serve `connection` as a plugin's process; ends the process."""
    try:
        Worker(connection).serve(layers)
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
    return _encodable(f"raised {type(error).__name__}{where}", protocol.REASON_BYTES_MAX)


def _described(error: BaseException) -> str:
    if isinstance(error, StuckError):
        return "on_load waits for something that can never happen"
    try:
        text = str(error)
    except BaseException as inner:  # noqa: BLE001  # an exception of the plugin's own making
        text = f"its text cannot be had: {type(inner).__name__}"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _refused(load: Load, part: Literal["source", "config"], message: str, line: int | None) -> Refused:
    return Refused(load.id, part, _encodable(message, 2_048), line)


def _encodable(text: str, bytes_max: int) -> str:
    return text.encode("utf-8", "backslashreplace")[:bytes_max].decode("utf-8", "ignore")


def _about_itself(error: msgspec.ValidationError) -> str:
    message = str(error)
    for index, field in enumerate(Loaded.__struct_fields__, start=1):
        message = message.replace(f"at `$[{index}]`", f"in the plugin's `{field}`")
    return message
