"""What the service and a plugin's process say to each other, and how large it may be.

A frame is a big-endian 32-bit length and a msgpack body, on a stream socket. The service numbers its
messages 1, 2, 3, …; the process answers each exactly once, in that order. While it answers a question it may send
a `Call` for what it was granted, which is given a `Result`. Whatever else arrives is a `ProtocolError`, and its
sender is killed. Nothing here trusts the other side: the plugin runs inside it.
"""

from __future__ import annotations

import math
import mmap
import struct
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from sark_opa.sandbox.calls import Call, Result
from sark_opa.sandbox.contract import LayerReport, Need
from sark_opa.sandbox.looking import Check, Checked

REQUEST_BYTES_MAX: Final = 1 << 20
REPLY_BYTES_MAX: Final = 128 << 10
SOURCE_BYTES_MAX: Final = 256 << 10
REASON_BYTES_MAX: Final = 1 << 10
METADATA_BYTES_MAX: Final = 16 << 10
METADATA_DEPTH_MAX: Final = 32
OUTPUT_CHARS_MAX: Final = 4 << 10
STATE_BYTES_MAX: Final = 64 << 10
LOG_LINES_MAX: Final = 20
"""Of one call."""
LOG_CHARS_MAX: Final = 4 << 10
"""Of one call, altogether."""

EMPTY_MAP: Final = msgspec.Raw(b"\x80")
"""An empty mapping in msgpack."""

EXIT_OUT_OF_MEMORY: Final = 77
"""Exit code of a process that could not even say that its memory ran out."""

_HEADER: Final = struct.Struct(">I")


class ProtocolError(Exception):
    """The other side said something it may not say."""


class Load(msgspec.Struct, tag="load", array_like=True):
    """Make the one plugin of `source` with `config` as keyword arguments and call its `on_load`.

    Of its `needs` the process learns in order to say what is missing; the service does not rely on it.
    """

    source: str
    config: dict[str, Any]
    id: int = 0
    needs: tuple[Need, ...] = ()


class Ask(msgspec.Struct, tag="ask", array_like=True):
    """One question; `question` is an encoded `Question`, `facts` an encoded mapping."""

    question: msgspec.Raw
    facts: msgspec.Raw = EMPTY_MAP
    id: int = 0


class Restore(msgspec.Struct, tag="restore", array_like=True):
    """Call `restore` with what an earlier process's `snapshot` gave, as it came with an `Answer`."""

    state: bytes
    id: int = 0


class Probe(msgspec.Struct, tag="probe", array_like=True):
    """Try the forbidden acts of these names, of `guest.canary`; the service listens on `port` of its loopback."""

    acts: tuple[str, ...]
    port: int
    id: int = 0


class Unload(msgspec.Struct, tag="unload", array_like=True):
    """Call `on_unload` and end."""

    id: int = 0


Message: TypeAlias = Check | Load | Ask | Restore | Probe | Unload
"""What is replied to."""

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]


class Ready(msgspec.Struct, tag="ready", array_like=True, frozen=True):
    """The first frame of a new process: the walls around it stand as told, and no plugin is in it yet."""

    id: int
    layers: tuple[LayerReport, ...]


class Loaded(msgspec.Struct, tag="loaded", array_like=True, frozen=True):
    """The plugin is there and says this of itself; with `keeps_state` its answers carry a snapshot."""

    id: int
    name: Name
    version: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    description: Annotated[str, msgspec.Meta(max_length=512)]
    priority: Annotated[int, msgspec.Meta(ge=-1_000_000, le=1_000_000)]
    keeps_state: bool = False


class Restored(msgspec.Struct, tag="restored", array_like=True, frozen=True):
    """The plugin remembers again."""

    id: int


class Refused(msgspec.Struct, tag="refused", array_like=True, frozen=True):
    """The plugin cannot be had; `line` is one of its source, `part` what is to be looked at."""

    id: int
    part: Literal["source", "config"]
    message: Annotated[str, msgspec.Meta(max_length=2_048)]
    line: int | None


class LogLine(msgspec.Struct, array_like=True, frozen=True):
    """Something the plugin logged."""

    level: Literal["debug", "info", "warning", "error", "critical"]
    message: str


class Act(msgspec.Struct, array_like=True, frozen=True):
    """A forbidden act that was tried: whether it was prevented, and by what or how it went."""

    name: str
    prevented: bool
    detail: Annotated[str, msgspec.Meta(max_length=200)]


class Probed(msgspec.Struct, tag="probed", array_like=True, frozen=True):
    """How the acts went."""

    id: int
    acts: tuple[Act, ...]


class Answer(msgspec.Struct, tag="answer", array_like=True, frozen=True):
    """The plugin's decision, or how it failed to make one; `state` is its snapshot in msgpack, if it keeps one."""

    id: int
    status: Literal["ok", "error", "memory_limit"]
    allowed: bool
    reason: str
    metadata: dict[str, Any] = {}
    output: Annotated[str, msgspec.Meta(max_length=OUTPUT_CHARS_MAX)] = ""
    logged: Annotated[tuple[LogLine, ...], msgspec.Meta(max_length=LOG_LINES_MAX)] = ()
    state: Annotated[bytes, msgspec.Meta(max_length=STATE_BYTES_MAX)] | None = None


class Unloaded(msgspec.Struct, tag="unloaded", array_like=True, frozen=True):
    """`on_unload` is done; the process ends now."""

    id: int


Reply: TypeAlias = Ready | Checked | Loaded | Refused | Restored | Probed | Answer | Call | Unloaded


encode: Final = msgspec.msgpack.Encoder().encode
decode_message: Final = msgspec.msgpack.Decoder(Message | Result).decode
decode_reply: Final = msgspec.msgpack.Decoder(Reply).decode


def frame(message: Message | Result | Reply) -> bytes:
    """A message as it goes over the socket."""
    body = encode(message)
    return _HEADER.pack(len(body)) + body


class FrameBuffer:
    """Takes in what a socket gives and hands out whole frames, in memory reserved once.

    Reserved at the start because a process at its memory limit must still be able to read; mapped, so that
    pages no frame has needed yet cost nothing.
    """

    def __init__(self, body_bytes_max: int) -> None:
        self._body_bytes_max = body_bytes_max
        self._view = memoryview(mmap.mmap(-1, _HEADER.size + body_bytes_max))
        self._start = 0
        self._end = 0

    def space(self) -> memoryview:
        """Where to receive into, never empty; frames handed out before are void from here on."""
        if self._start:
            left = self._end - self._start
            self._view[:left] = self._view[self._start : self._end]
            self._start, self._end = 0, left
        return self._view[self._end :]

    def received(self, count: int) -> None:
        """Note that `count` bytes were put into `space()`."""
        self._end += count

    def take(self) -> memoryview | None:
        """The body of the next whole frame, None if there is none yet.

        Raises:
            ProtocolError: the frame is longer than allowed.
        """
        body_start = self._start + _HEADER.size
        if body_start > self._end:
            return None
        (length,) = _HEADER.unpack_from(self._view, self._start)
        if length > self._body_bytes_max:
            raise ProtocolError(f"a frame of {length} bytes, {self._body_bytes_max} are allowed")
        if body_start + length > self._end:
            return None
        self._start = body_start + length
        return self._view[body_start : self._start]


def check_answer(answer: Answer) -> None:
    """Refuse a decision that is too large, that JSON cannot say, or that permits in spite of a failure.

    The process checks before it sends, for a clear message; the service checks what arrives.

    Raises:
        ValueError: says what is wrong, and where.
    """
    if answer.allowed and answer.status != "ok":
        raise ValueError("it permits although the plugin failed")
    reason_bytes = len(answer.reason.encode())
    if reason_bytes > REASON_BYTES_MAX:
        raise ValueError(f"reason takes {reason_bytes} bytes, {REASON_BYTES_MAX} are allowed")
    if answer.metadata:
        _check_json(answer.metadata, "metadata", METADATA_DEPTH_MAX)
        metadata_bytes = len(encode(answer.metadata))
        if metadata_bytes > METADATA_BYTES_MAX:
            raise ValueError(f"metadata takes {metadata_bytes} bytes, {METADATA_BYTES_MAX} are allowed")
    if answer.logged and sum(len(line.message) for line in answer.logged) > LOG_CHARS_MAX:
        raise ValueError(f"it logged more than {LOG_CHARS_MAX} characters")


def encoded_state(state: object) -> bytes:
    """A snapshot as it travels.

    Raises:
        ValueError, TypeError, OverflowError, RecursionError: it is too large, or nothing JSON can say; says where.
    """
    _check_json(state, "it", METADATA_DEPTH_MAX)
    encoded = encode(state)
    if len(encoded) > STATE_BYTES_MAX:
        raise ValueError(f"it takes {len(encoded)} bytes, {STATE_BYTES_MAX} are allowed")
    return encoded


def _check_json(value: object, where: str, levels_left: int) -> None:
    kind = type(value)
    if kind is str or kind is bool or kind is int or value is None:
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where} is {value}, which JSON cannot say")
    elif levels_left == 0:
        raise ValueError(f"{where.split('.', 1)[0]} is nested deeper than {METADATA_DEPTH_MAX} levels")
    elif isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str:
                raise ValueError(f"{where} has the key {key!r}, which is no string")
            _check_json(item, f"{where}.{key}", levels_left - 1)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_json(item, where, levels_left - 1)
    else:
        raise ValueError(f"{where} is a {kind.__name__}, which JSON cannot say")
