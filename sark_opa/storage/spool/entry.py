"""What the spool keeps of a settlement or charge: the request as it came, and when."""

from __future__ import annotations

import hashlib
import time
import uuid
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final, Literal

import msgspec

Kind = Literal["settle", "charge"]
"""settle: `POST /v1/holds/{id}/settle` · charge: `POST /v1/charges`."""

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_encode: Final = msgspec.msgpack.Encoder().encode


class Entry(msgspec.Struct, frozen=True):
    """One request to settle or charge.

    `body` is the request's body, byte for byte: it is priced when it is delivered. `fingerprint` tells it from another
    request of the same key. `received_at` is wall time, which may step; `boot` and `clock_s` tell the age of an entry
    as long as the machine is not started again.
    """

    kind: Kind
    org: str
    request_id: str
    fingerprint: bytes
    body: bytes
    received_at: datetime
    boot: str
    clock_s: float

    @classmethod
    def received(cls, kind: Kind, org: str, request_id: str, *, fingerprint: bytes, body: bytes) -> Entry:
        """An entry for a request that has come just now."""
        return cls(kind, org, request_id, fingerprint, body, datetime.now(UTC), _boot(), time.monotonic())

    def age_s(self) -> float:
        """Seconds since it came: by a clock that does not step, or after a restart of the machine by wall time."""
        if self.boot == _boot():
            return max(0.0, time.monotonic() - self.clock_s)
        return max(0.0, (datetime.now(UTC) - self.received_at).total_seconds())

    def record(self) -> bytes:
        """The entry as it is written down."""
        return _encode(self)


class Refusal(msgspec.Struct, frozen=True):
    """Why the ledger will not take an entry: the code and message of its error, and when it was asked."""

    code: str
    message: str
    at: datetime


class Spooled(msgspec.Struct, frozen=True):
    """An entry that is kept.

    `entry` is None when its record is not what was written: the disk has changed it.
    """

    number: int
    spool_id: str
    entry: Entry | None
    refusal: Refusal | None


def digest_of(record: bytes) -> bytes:
    """16 bytes by which a record that changed on disk is recognised."""
    return hashlib.blake2b(record, digest_size=16).digest()


@cache
def _boot() -> str:
    # Since when the clock runs. Where no such id is told, no other process's clock is trusted.
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return uuid.uuid4().hex
