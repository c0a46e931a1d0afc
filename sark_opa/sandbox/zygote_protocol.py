"""What the service and the zygote say to each other: one message a packet, over a socket no plugin has."""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from sark_opa.sandbox.contract import Limits


class Configure(msgspec.Struct, tag="configure", array_like=True, frozen=True):
    """To the zygote, first of all: which walls to put up, and the seccomp filter, or why there is none."""

    walls: tuple[str, ...]
    filter: bytes
    filter_trouble: str = ""
    inside: bool = False
    """Whether the zygote was started in namespaces already."""
    source_check: bool = True
    """Whether plugins' sources are looked over; the walls must hold without."""


class Spawn(msgspec.Struct, tag="spawn", array_like=True, frozen=True):
    """To the zygote, with one end of a socket pair attached: fork a process that serves it."""

    serial: int
    limits: Limits
    walls: tuple[str, ...] | None = None
    """Of those that stand, only these: for proving each by itself. All when None."""


class Configured(msgspec.Struct, tag="configured", array_like=True, frozen=True):
    """From the zygote, first of all: it serves; why it is in no namespaces of its own, empty if it is."""

    serial: int
    namespaces_trouble: str


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


ToZygote: TypeAlias = Configure | Spawn | Ping
FromZygote: TypeAlias = Configured | Ping | Spawned | NotSpawned | Died

encode: Final = msgspec.msgpack.Encoder().encode
decode_to_zygote: Final = msgspec.msgpack.Decoder(ToZygote).decode
decode_from_zygote: Final = msgspec.msgpack.Decoder(FromZygote).decode
