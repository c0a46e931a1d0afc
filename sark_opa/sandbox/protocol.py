"""What the service and a plugin's process say to each other, and how large it may be.

A frame is a big-endian 32-bit length and a msgpack body, on a stream socket. The service numbers its
messages 1, 2, 3, …; the process answers each exactly once, in that order. Whatever else arrives is a
`ProtocolError`, and its sender is killed. Nothing here trusts the other side: the plugin runs inside it.
"""

from __future__ import annotations

import math
import mmap
import struct
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from sark_opa.sandbox.contract import LayerReport, Limits

REQUEST_BYTES_MAX: Final = 1 << 20
REPLY_BYTES_MAX: Final = 64 << 10
SOURCE_BYTES_MAX: Final = 256 << 10
REASON_BYTES_MAX: Final = 1 << 10
METADATA_BYTES_MAX: Final = 16 << 10
METADATA_DEPTH_MAX: Final = 32
OUTPUT_CHARS_MAX: Final = 4 << 10

EMPTY_MAP: Final = msgspec.Raw(b"\x80")
"""An empty mapping in msgpack."""

EXIT_OUT_OF_MEMORY: Final = 77
"""Exit code of a process that could not even say that its memory ran out."""

_HEADER: Final = struct.Struct(">I")


class ProtocolError(Exception):
    """The other side said something it may not say."""


class Load(msgspec.Struct, tag="load", array_like=True):
    """Make the one plugin of `source` with `config` as keyword arguments and call its `on_load`."""

    source: str
    config: dict[str, Any]
    id: int = 0


class Ask(msgspec.Struct, tag="ask", array_like=True):
    """One question; `question` is an encoded `Question`, `facts` an encoded mapping."""

    question: msgspec.Raw
    facts: msgspec.Raw = EMPTY_MAP
    id: int = 0


class Unload(msgspec.Struct, tag="unload", array_like=True):
    """Call `on_unload` and end."""

    id: int = 0


Message: TypeAlias = Load | Ask | Unload

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]


class Ready(msgspec.Struct, tag="ready", array_like=True, frozen=True):
    """The first frame of a new process: the walls around it stand as told, and no plugin is in it yet."""

    id: int
    layers: tuple[LayerReport, ...]


class Loaded(msgspec.Struct, tag="loaded", array_like=True, frozen=True):
    """The plugin is there and says this of itself."""

    id: int
    name: Name
    version: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    description: Annotated[str, msgspec.Meta(max_length=512)]
    priority: Annotated[int, msgspec.Meta(ge=-1_000_000, le=1_000_000)]


class Refused(msgspec.Struct, tag="refused", array_like=True, frozen=True):
    """The plugin cannot be had; `line` is one of its source, `part` what is to be looked at."""

    id: int
    part: Literal["source", "config"]
    message: Annotated[str, msgspec.Meta(max_length=2_048)]
    line: int | None


class Answer(msgspec.Struct, tag="answer", array_like=True, frozen=True):
    """The plugin's decision, or how it failed to make one."""

    id: int
    status: Literal["ok", "error", "memory_limit"]
    allowed: bool
    reason: str
    metadata: dict[str, Any] = {}
    output: Annotated[str, msgspec.Meta(max_length=OUTPUT_CHARS_MAX)] = ""


class Unloaded(msgspec.Struct, tag="unloaded", array_like=True, frozen=True):
    """`on_unload` is done; the process ends now."""

    id: int


Reply: TypeAlias = Ready | Loaded | Refused | Answer | Unloaded


class Spawn(msgspec.Struct, tag="spawn", array_like=True, frozen=True):
    """To the zygote, with one end of a socket pair attached: fork a process that serves it."""

    serial: int
    limits: Limits


class Ping(msgspec.Struct, tag="ping", array_like=True, frozen=True):
    """To the zygote and back."""

    serial: int


class Spawned(msgspec.Struct, tag="spawned", array_like=True, frozen=True):
    """From the zygote, with a descriptor of the new process attached where the kernel has them."""

    serial: int
    pid: int


class NotSpawned(msgspec.Struct, tag="not_spawned", array_like=True, frozen=True):
    """From the zygote: fork failed."""

    serial: int
    reason: str


class Died(msgspec.Struct, tag="died", array_like=True, frozen=True):
    """From the zygote: a process is gone; `wait_status` as `os.waitpid` gives it."""

    serial: int
    wait_status: int


ToZygote: TypeAlias = Spawn | Ping
FromZygote: TypeAlias = Ping | Spawned | NotSpawned | Died

encode: Final = msgspec.msgpack.Encoder().encode
decode_message: Final = msgspec.msgpack.Decoder(Message).decode
decode_reply: Final = msgspec.msgpack.Decoder(Reply).decode
decode_to_zygote: Final = msgspec.msgpack.Decoder(ToZygote).decode
decode_from_zygote: Final = msgspec.msgpack.Decoder(FromZygote).decode


def frame(message: Message | Reply) -> bytes:
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


def _check_json(value: object, where: str, levels_left: int) -> None:
    kind = type(value)
    if kind is str or kind is bool or kind is int or value is None:
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where} is {value}, which JSON cannot say")
    elif levels_left == 0:
        raise ValueError(f"metadata is nested deeper than {METADATA_DEPTH_MAX} levels")
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
