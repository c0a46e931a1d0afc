"""Holds, settlements and releases in groups: each kind has a queue, a statement and a connection of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, Literal

import msgspec

from sark_opa.budget.ledger import HoldRequest, Settlement
from sark_opa.errors import InvalidInputError, SarkError
from sark_opa.logs import get_logger
from sark_opa.storage import queries
from sark_opa.storage.batch import Batcher, Key
from sark_opa.storage.counters import Counters
from sark_opa.storage.pool import Pool
from sark_opa.storage.records import (
    HeldAnswer,
    HoldAnswer,
    HoldAnswers,
    HoldRow,
    SettleAnswer,
    SettledColumns,
    decoded,
)

HoldAnswered = tuple[HoldAnswer | HeldAnswer, Counters]
ReleaseAnswer = tuple[Literal["released", "ended", "unknown"], HoldRow | None]

_log: Final = get_logger("sark_opa.storage")
_queries: Final = queries.load("ledger")
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode
_held: Final = msgspec.json.Decoder(HoldAnswers)
_settled: Final = msgspec.json.Decoder(SettledColumns)
_released: Final = msgspec.json.Decoder(list[ReleaseAnswer])


class Release(msgspec.Struct, frozen=True):
    """A hold to release; with `only_if_asked_once`, one to take back, unless it was asked for again."""

    org: str
    request_id: str
    only_if_asked_once: bool = False


def payload(record: HoldRequest | Settlement | Release) -> bytes:
    """A record as the JSON its SQL function reads. Each is checked alone, before it shares a statement.

    Raises:
        InvalidInputError: an empty org or request_id or one with a line break, or text that is no Unicode.
    """
    if not record.org or not record.request_id or "\n" in record.org or "\n" in record.request_id:
        raise InvalidInputError("org and request_id: not empty, and without line breaks", path="request_id")
    try:
        return _encode(record)
    except (UnicodeEncodeError, OverflowError, TypeError, RecursionError) as error:
        raise InvalidInputError(f"the request cannot be written down as JSON: {error}") from error


class Grouped:
    """The three statements that take arrays, each behind its queue.

    Args:
        pool: where the three connections come from.
        size_max: requests in one statement at most.
        queue_max: requests that may wait at most, of each kind.
        create_orgs: whether a call of an unknown org creates it.
        now: the time to go by, None for the database's clock.
    """

    def __init__(
        self, pool: Pool, *, size_max: int, queue_max: int, create_orgs: bool, now: Callable[[], datetime | None]
    ) -> None:
        self._create_orgs = create_orgs
        self._now = now
        self._hold_lane, self._settle_lane, self._release_lane = pool.lane(), pool.lane(), pool.lane()
        self._holds: Batcher[HoldAnswered] = Batcher(
            self._send_holds, size_max=size_max, queue_max=queue_max, abandoned=self._give_back
        )
        self._settlements: Batcher[SettleAnswer] = Batcher(
            self._send_settlements, size_max=size_max, queue_max=queue_max
        )
        self._releases: Batcher[ReleaseAnswer] = Batcher(self._send_releases, size_max=size_max, queue_max=queue_max)
        self._given_back: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Wait for what has been asked, and give the connections back."""
        await self._holds.close()
        await asyncio.gather(*self._given_back)
        await self._settlements.close()
        await self._releases.close()
        for lane in (self._hold_lane, self._settle_lane, self._release_lane):
            await lane.close()

    async def hold(self, request: HoldRequest, deadline_s: float | None) -> HoldAnswered:
        """The answer to a request for money, and the windows of all accounts of its batch."""
        return await self._holds.ask((request.org, request.request_id), payload(request), deadline_s)

    async def settle(self, settlement: Settlement, deadline_s: float | None) -> SettleAnswer:
        """The answer to a settlement."""
        key = (settlement.org, settlement.request_id)
        return await self._settlements.ask(key, payload(settlement), deadline_s)

    async def release(self, release: Release, deadline_s: float | None) -> ReleaseAnswer:
        """The answer to a release."""
        return await self._releases.ask((release.org, release.request_id), payload(release), deadline_s)

    async def _send_holds(self, keys: Sequence[Key], payloads: Sequence[bytes]) -> Sequence[HoldAnswered]:
        requests, now = self._parameters(payloads)
        create_orgs = b"t" if self._create_orgs else b"f"
        text = await self._hold_lane.call(_queries["hold_batch"], (requests, create_orgs, now))
        answers, counters = decoded(_held, text).by_request(keys)
        return [(answer, counters) for answer in answers]

    async def _send_settlements(self, _keys: Sequence[Key], payloads: Sequence[bytes]) -> Sequence[SettleAnswer]:
        text = await self._settle_lane.call(_queries["settle_batch"], self._parameters(payloads))
        return decoded(_settled, text).rows()

    async def _send_releases(self, _keys: Sequence[Key], payloads: Sequence[bytes]) -> Sequence[ReleaseAnswer]:
        text = await self._release_lane.call(_queries["release_batch"], self._parameters(payloads))
        return decoded(_released, text)

    def _parameters(self, payloads: Sequence[bytes]) -> tuple[bytes, bytes | None]:
        now = self._now()
        return b"[" + b",".join(payloads) + b"]", None if now is None else str(now).encode()

    def _give_back(self, key: Key, granted: HoldAnswered) -> None:
        # Its asker has been told that nothing was granted. Were the hold left to expire, it might be charged.
        if granted[0].status == "held":
            task = asyncio.create_task(self._release_unclaimed(*key), name="give back an abandoned hold")
            self._given_back.add(task)
            task.add_done_callback(self._given_back.discard)

    async def _release_unclaimed(self, org: str, request_id: str) -> None:
        try:
            await self.release(Release(org, request_id, only_if_asked_once=True), None)
        except SarkError as error:
            _log.warning("abandoned_hold_kept", org=org, request_id=request_id, code=error.code)
