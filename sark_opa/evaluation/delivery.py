"""Delivering the spool: what was kept is booked, in order of arrival, a trickle first.

Booking is idempotent by the fingerprint of what is settled, so an entry may be sent again after a crash between the
ledger's answer and the spool's; its effect is one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import ClassVar, Final, Protocol, TypeVar

import msgspec
from pydantic import ValidationError

from sark_opa.budget import hold_id as hold_ids
from sark_opa.errors import (
    DeadlineExceededError,
    InvalidInputError,
    MigrationError,
    SarkError,
    SpoolError,
    UnavailableError,
)
from sark_opa.evaluation.hold_bodies import ChargeAnswer, ChargeBody, SettleBody
from sark_opa.logs import get_logger
from sark_opa.metrics import Metrics
from sark_opa.storage.spool import Refusal, Spool, Spooled

Body = TypeVar("Body", bound=SettleBody)

_log: Final = get_logger("sark_opa.spool")
_decode: Final = msgspec.json.Decoder(float_hook=Decimal).decode
_ROUND_MAX: Final = 32
"""Entries on their way at once: they leave most of the connections to calls that run."""
_PAUSE_S, _PAUSE_S_MAX = 0.25, 5.0
_LATER_S, _LATER_S_MAX = 5.0, 60.0
_UNWRITTEN_MAX: Final = 10_000
_SERVER_FAULT: Final = 500


class Booking(Protocol):
    """The part of `Holds` that books."""

    async def settle(self, hold_id: str, body: SettleBody) -> ChargeAnswer:
        """End a hold with what was billed."""
        ...

    async def charge(self, body: ChargeBody, at: datetime | None = None) -> ChargeAnswer:
        """Book a cost that never had a hold."""
        ...


class DamagedEntryError(SarkError):
    """The entry is not what was written: the disk has changed it."""

    code: ClassVar[str] = "spool_damaged"
    status: ClassVar[int] = 422


class Delivery:
    """Books what waits.

    Args:
        holds: what books.
        spool: what is to be booked.
        metrics: where entries are counted.
        answered: told whenever the ledger has answered, so the database is there.
    """

    def __init__(self, holds: Booking, spool: Spool, metrics: Metrics, *, answered: Callable[[], None]) -> None:
        self._holds = holds
        self._spool = spool
        self._metrics = metrics
        self._answered = answered
        self._round_size = 1
        self._pause_s = _PAUSE_S
        self._not_before_s = 0.0
        self._later: dict[int, tuple[float, float]] = {}
        """Entries that failed for a reason of their own: not before when, and after how long a pause."""
        self._delivered: list[int] = []
        self._refused: list[tuple[int, Refusal]] = []
        """What the ledger has answered and the spool has not noted yet, as when its disk is full."""

    async def turn(self) -> None:
        """Book what waits, oldest first, until nothing does or the database cannot take it.

        After a failure it begins with one entry, so that a database that recovers meets a trickle first.

        Raises:
            SpoolError: the spool cannot be read.
        """
        await self._spool.look()
        self._tell()
        await self._finish()
        waited = self._spool.waiting
        while self._spool.waiting and time.monotonic() >= self._not_before_s and await self._round():
            self._tell()
        self._tell()
        if waited and self._spool.waiting < waited:
            _log.info("spool_delivered", waiting=self._spool.waiting, refused=self._spool.refused)
        if not self._spool.waiting:
            self._round_size = 1

    async def _round(self) -> bool:
        """Send the next entries; whether there may be more to send at once."""
        entries = await self._spool.oldest(self._round_size, skipped=self._skipped())
        outcomes = await asyncio.gather(*(self._book(kept) for kept in entries), return_exceptions=True)
        paused: SarkError | None = None
        answers = 0
        for kept, outcome in zip(entries, outcomes, strict=True):
            match outcome:
                case None:
                    self._delivered.append(kept.number)
                    self._metrics.delivered(1)
                    answers += 1
                case UnavailableError() if "org" in outcome.details:
                    self._postpone(kept)  # one org's database is away, or the org is being moved: not the others'
                case UnavailableError() | MigrationError():
                    paused = outcome
                    if isinstance(outcome, DeadlineExceededError):
                        self._postpone(kept)  # it may be this one alone, as when its org is locked
                case SarkError() if outcome.status < _SERVER_FAULT:
                    self._refuse(kept, outcome)
                    answers += not isinstance(outcome, DamagedEntryError)
                case Exception():
                    again = {"again_in_s": self._postpone(kept)}
                    _log.error("spool_entry_failed", error=repr(outcome), exc_info=outcome, **again, **_names(kept))
                case _:
                    raise outcome
        if entries:
            await self._finish()
        if answers:
            self._answered()
        self._pace(paused, answers)
        return paused is None and bool(entries) and len(self._delivered) + len(self._refused) < _UNWRITTEN_MAX

    def _pace(self, paused: SarkError | None, answers: int) -> None:
        """Send one entry after a pause next time, or more than this time."""
        if paused is not None:
            self._round_size = 1
            self._not_before_s = time.monotonic() + self._pause_s
            self._pause_s = min(self._pause_s * 2, _PAUSE_S_MAX)
            _log.info("spool_not_delivered", code=paused.code, error=paused.message, waiting=self._spool.waiting)
        elif answers:
            self._round_size = min(self._round_size * 2, _ROUND_MAX)
            self._pause_s = _PAUSE_S

    async def _book(self, kept: Spooled) -> None:
        entry = kept.entry
        if entry is None:
            raise DamagedEntryError
        if entry.kind == "settle":
            await self._holds.settle(hold_ids.encode(entry.org, entry.request_id), _read(SettleBody, entry.body))
        else:
            await self._holds.charge(_read(ChargeBody, entry.body), entry.received_at)

    async def _finish(self) -> None:
        """Note what was answered. What cannot be noted now is not sent again, unless the process ends before it is."""
        if not self._delivered and not self._refused:
            return
        try:
            await self._spool.finish(self._delivered, self._refused)
        except SpoolError as error:
            answered = len(self._delivered) + len(self._refused)
            _log.error("spool_not_written", code=error.code, error=error.message, answered=answered)
            return
        for number in self._delivered:
            self._later.pop(number, None)
        self._delivered, self._refused = [], []

    def _skipped(self) -> Sequence[int]:
        now_s = time.monotonic()
        later = [number for number, (not_before_s, _) in self._later.items() if not_before_s > now_s]
        return [*later, *self._delivered, *(number for number, _ in self._refused)]

    def _tell(self) -> None:
        self._metrics.spool(self._spool.waiting, self._spool.refused, self._spool.oldest_s)

    def _refuse(self, kept: Spooled, error: SarkError) -> None:
        self._later.pop(kept.number, None)
        self._metrics.spool_refused(error.code)
        _log.error("spool_refused", code=error.code, error=error.message, **_names(kept))
        self._refused.append((kept.number, Refusal(error.code, error.message, datetime.now(UTC))))

    def _postpone(self, kept: Spooled) -> float:
        """Let an entry that fails for a reason of its own wait, and the others pass; for how many seconds."""
        _, before_s = self._later.get(kept.number, (0.0, _LATER_S / 2))
        later_s = min(before_s * 2, _LATER_S_MAX)
        self._later[kept.number] = (time.monotonic() + later_s, later_s)
        return later_s


def _read(model: type[Body], raw: bytes) -> Body:
    try:
        return model.model_validate(_decode(raw))
    except (msgspec.DecodeError, ValidationError, RecursionError, InvalidOperation) as error:
        # It could be read when it came, by another version.
        raise InvalidInputError(f"this version cannot read what was spooled: {error}") from error


def _names(kept: Spooled) -> Mapping[str, str]:
    names = {"spool_id": kept.spool_id}
    if kept.entry is not None:
        names |= {"org": kept.entry.org, "request_id": kept.entry.request_id, "kind": kept.entry.kind}
    return names
