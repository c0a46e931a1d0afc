"""Settlements and charges that the database cannot take now: kept on local disk, and answered as kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any, Final, Literal

import msgspec

from sark_opa.budget import hold_id as hold_ids
from sark_opa.errors import (
    DatabaseUnavailableError,
    HoldEndedError,
    RequestIdConflictError,
    SpoolError,
    UnavailableError,
)
from sark_opa.evaluation.delivery import Booking, Delivery
from sark_opa.evaluation.hold_bodies import ChargeAnswer, ChargeBody, SettleBody
from sark_opa.logs import get_logger
from sark_opa.metrics import Metrics
from sark_opa.storage.spool import Entry, Spool, Spooled

_log: Final = get_logger("sark_opa.spool")


class SpooledAnswer(msgspec.Struct, frozen=True):
    """What a caller is told whose settlement is kept, but not booked yet."""

    spool_id: str
    hold_id: str
    received_at: datetime
    code: Literal["settlement_spooled"] = "settlement_spooled"


class Spooling:
    """Settling and charging, with the spool behind it.

    Args:
        holds: what books.
        spool: where to keep what cannot be booked now; None: nowhere, the caller is told to send it again.
        metrics: where entries are counted.
    """

    def __init__(self, holds: Booking, spool: Spool | None, metrics: Metrics) -> None:
        self._holds = holds
        self._spool = spool
        self._metrics = metrics
        self._away = False
        self._delivery = None if spool is None else Delivery(holds, spool, metrics, answered=self._back)

    async def settle(self, hold_id: str, body: SettleBody, raw: bytes) -> ChargeAnswer | SpooledAnswer:
        """End a hold with what was billed, now or later.

        Args:
            hold_id: as the hold was answered.
            body: what to settle.
            raw: the same, byte for byte as it was sent.

        Raises:
            UnknownHoldError: no such hold.
            HoldEndedError: released, or settled with another figure; that one may wait in the spool.
            UsageError: the usage payload cannot be read; the hold stays as it is.
            SpoolFullError: the database cannot take it now, and it does not fit into the spool.
        """
        book = partial(self._holds.settle, hold_id, body)
        if self._spool is None:
            return await book()
        org, request_id = hold_ids.decode(hold_id)
        entry = Entry.received("settle", org, request_id, fingerprint=body.digest(), body=raw)
        return await self._now_or_later(self._spool, entry, book)

    async def charge(self, body: ChargeBody, raw: bytes) -> ChargeAnswer | SpooledAnswer:
        """Book a cost that never had a hold, now or later, at the prices of now.

        Raises:
            UnknownAccountError: not registered.
            RequestIdConflictError: the `request_id` belongs to a different request; that one may wait in the spool.
            UsageError: the usage payload cannot be read.
            SpoolFullError: the database cannot take it now, and it does not fit into the spool.
        """
        if self._spool is None:
            return await self._holds.charge(body)
        org, request_id = body.principal.org, body.request_id
        entry = Entry.received("charge", org, request_id, fingerprint=body.fingerprint(), body=raw)
        return await self._now_or_later(self._spool, entry, partial(self._holds.charge, body, entry.received_at))

    async def deliver(self) -> None:
        """Book what waits, as far as it can be now; a job to be repeated.

        Raises:
            SpoolError: the spool cannot be read.
        """
        if self._spool is not None and self._delivery is not None:
            await self._delivery.turn()
            if not self._spool.waiting:
                self._away = False  # nothing is left that would find out

    def about(self) -> dict[str, Any] | None:
        """Entries that wait, that were refused, and the age of the oldest in seconds; None without a spool."""
        if self._spool is None:
            return None
        return {
            "waiting": self._spool.waiting,
            "refused": self._spool.refused,
            "oldest_s": round(self._spool.oldest_s, 1),
        }

    async def _now_or_later(
        self, spool: Spool, entry: Entry, book: Callable[[], Awaitable[ChargeAnswer]]
    ) -> ChargeAnswer | SpooledAnswer:
        if spool.waiting and (known := await _find(spool, entry)) is not None:
            return _same(entry, known)
        cause = DatabaseUnavailableError.code
        if not self._away:
            try:
                return await book()
            except UnavailableError as error:
                cause = error.code
                # One org's database alone: the settlements of others need not go the long way.
                away = isinstance(error, DatabaseUnavailableError) and "org" not in error.details
        else:
            away = True
        answer = _same(entry, await spool.put(entry))
        if away and not self._away:
            # Until an entry gets through, the next ones need not wait for a connection to find out the same.
            self._away = True
            _log.warning("spooling", cause=cause)
        self._metrics.spooled()
        return answer

    def _back(self) -> None:
        if self._away:
            self._away = False
            _log.warning("spooling_ended")


async def _find(spool: Spool, entry: Entry) -> Spooled | None:
    try:
        return await spool.find(entry.org, entry.request_id)
    except SpoolError as error:
        _log.warning("spool_not_read", code=error.code, error=error.message)
        return None  # the ledger knows better, if it can be asked


def _same(entry: Entry, kept: Spooled) -> SpooledAnswer:
    """The answer to a request of whose key `kept` waits: the same one, or one it contradicts."""
    stored = kept.entry
    if stored is None or (stored.kind, stored.fingerprint) != (entry.kind, entry.fingerprint):
        if entry.kind == "settle":
            raise HoldEndedError("the hold was settled before, with another figure, which is still to be booked")
        raise RequestIdConflictError
    hold_id = hold_ids.encode(entry.org, entry.request_id)
    return SpooledAnswer(kept.spool_id, hold_id, stored.received_at)
