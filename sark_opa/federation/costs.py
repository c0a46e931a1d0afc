"""What calls across organisations cost, each counted once, and where the two sides' figures differ.

Of a call the home says whether it was granted, the host what it cost. So per day and principal alias the host's stated
figure counts when it states as many charges as we granted; else ours does, and reconciling lists the difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

import msgspec

from sark_opa.errors import InvalidInputError
from sark_opa.federation.documents import Direction
from sark_opa.federation.membership import Membership
from sark_opa.federation.store import FederationStore, Figure
from sark_opa.money import to_usd

_OTHER: Final[Mapping[Direction, Direction]] = {"consumed": "provided", "provided": "consumed"}
_DAYS_MAX: Final = 3_700

Key = tuple[str, date, Direction, str]
"""Peer, day, direction as we see it, alias."""


class PeerCosts(msgspec.Struct, frozen=True):
    """Calls with one peer, one way: as our ledger has them, as the peer states them, and what counts."""

    peer: str
    direction: Direction
    charges: int
    ours_usd: Decimal
    theirs_usd: Decimal | None
    counted_usd: Decimal


class FederatedCosts(msgspec.Struct, frozen=True):
    """What an org or one principal of it spent, here and at other members.

    `total_usd` is `local_usd` plus what is counted as consumed. What peers' principals spent here is told beside it: it
    is the peers' spending, and in their totals.
    """

    member: str
    principal_id: str | None
    from_day: date
    to_day: date
    total_usd: Decimal
    local_usd: Decimal
    consumed_usd: Decimal
    provided_usd: Decimal
    peers: tuple[PeerCosts, ...]


class Difference(msgspec.Struct, frozen=True):
    """A day's calls of one alias that the two sides do not agree about. `principal_id` is told for our own."""

    peer: str
    period: date
    direction: Direction
    alias: str
    principal_id: str | None
    what: Literal["missing_here", "missing_there", "differs"]
    our_charges: int
    their_charges: int
    ours_usd: Decimal
    theirs_usd: Decimal
    difference_usd: Decimal


@dataclass(frozen=True, slots=True)
class Days:
    """Days of UTC from one to before another.

    Raises:
        InvalidInputError: none lies between them, or more than ten years.
    """

    first: date
    after: date

    def __post_init__(self) -> None:
        if self.after <= self.first:
            raise InvalidInputError(f"the period from {self.first} to {self.after} has no length", path="to")
        if (self.after - self.first).days > _DAYS_MAX:
            raise InvalidInputError("the period is longer than ten years", path="from")

    @classmethod
    def touched_by(cls, start: datetime, end: datetime) -> Days:
        """The days an interval lies in; statements are of whole days.

        Raises:
            InvalidInputError: the interval has no length, or a time has no zone.
        """
        if start.tzinfo is None or end.tzinfo is None:
            raise InvalidInputError("a time without its zone", path="period_start")
        if end <= start:
            raise InvalidInputError(f"the period from {start} to {end} has no length", path="period_end")
        last = (end - timedelta(microseconds=1)).astimezone(UTC).date()
        return cls(start.astimezone(UTC).date(), last + timedelta(days=1))


class Costs:
    """Merging and comparing.

    Args:
        membership: who we are, who they are.
        store: transfers and statements.
    """

    def __init__(self, membership: Membership, store: FederationStore) -> None:
        self._membership = membership
        self._store = store

    async def merged(self, days: Days, principal_id: str | None, aliases: Mapping[str, str]) -> FederatedCosts:
        """What was spent on `days`.

        Args:
            days: whole days: of UTC for calls across organisations, of the org's time zone for those within.
            principal_id: only this principal's, None for the org's.
            aliases: peer to what it calls that principal.
        """
        ours, theirs = await self._both(days, None)
        if principal_id is not None:
            ours = {key: f for key, f in ours.items() if key[2] == "consumed" and key[3] == aliases.get(key[0])}
            theirs = {key: f for key, f in theirs.items() if key[2] == "consumed" and key[3] == aliases.get(key[0])}
        _, booked = await self._store.ledger_total(principal_id, days.first, days.after)
        federated = await self._store.transfers_in_ledger(principal_id, days.first, days.after)
        local = booked - sum(federated.values())
        groups = sorted({(key[0], key[2]) for key in ours | theirs})
        peers = tuple(_peer_costs(peer, direction, ours, theirs) for peer, direction in groups)
        consumed = sum((row.counted_usd for row in peers if row.direction == "consumed"), Decimal(0))
        provided = sum((row.counted_usd for row in peers if row.direction == "provided"), Decimal(0))
        return FederatedCosts(
            member=self._membership.member,
            principal_id=principal_id,
            from_day=days.first,
            to_day=days.after,
            total_usd=to_usd(local) + consumed,
            local_usd=to_usd(local),
            consumed_usd=consumed,
            provided_usd=provided,
            peers=peers,
        )

    async def differences(self, days: Days, peer: str | None = None) -> list[Difference]:
        """Where our ledger and the peers' statements differ."""
        ours, theirs = await self._both(days, peer)
        found = []
        for key in sorted(ours.keys() | theirs.keys()):
            here, there = ours.get(key), theirs.get(key)
            if here is not None and there is not None and here[5:7] == there[5:7]:
                continue
            found.append(_difference(key, here, there))
        return found

    async def _both(self, days: Days, peer: str | None) -> tuple[dict[Key, Figure], dict[Key, Figure]]:
        peers = [peer] if peer is not None else sorted(self._membership.peers)
        ours = {_key(f): f for f in await self._store.figures(days.first, days.after, peer)}
        stated = await self._store.stated(peers, [self._membership.member], days.first, days.after)
        # What the peer provided is what we consumed.
        theirs = {(f.peer, f.period, _OTHER[f.direction], f.alias): f for f in stated}
        return ours, theirs


def _key(figure: Figure) -> Key:
    return figure.peer, figure.period, figure.direction, figure.alias


def _peer_costs(peer: str, direction: Direction, ours: Mapping[Key, Figure], theirs: Mapping[Key, Figure]) -> PeerCosts:
    mine = {key: figure for key, figure in ours.items() if (key[0], key[2]) == (peer, direction)}
    said = {key: figure for key, figure in theirs.items() if (key[0], key[2]) == (peer, direction)}
    counted = sum(_counted(direction, figure, said.get(key)) for key, figure in mine.items())
    return PeerCosts(
        peer,
        direction,
        sum(figure.charges for figure in mine.values()),
        to_usd(sum(figure.amount_nanousd for figure in mine.values())),
        to_usd(sum(figure.amount_nanousd for figure in said.values())) if said else None,
        to_usd(counted),
    )


def _counted(direction: Direction, ours: Figure, theirs: Figure | None) -> int:
    if direction == "consumed" and theirs is not None and theirs.charges == ours.charges:
        return theirs.amount_nanousd
    return ours.amount_nanousd


def _difference(key: Key, here: Figure | None, there: Figure | None) -> Difference:
    peer, period, direction, alias = key
    mine, said = (here.amount_nanousd if here else 0), (there.amount_nanousd if there else 0)
    return Difference(
        peer=peer,
        period=period,
        direction=direction,
        alias=alias,
        principal_id=here.principal_id if here is not None and direction == "consumed" else None,
        what="missing_here" if here is None else "missing_there" if there is None else "differs",
        our_charges=here.charges if here else 0,
        their_charges=there.charges if there else 0,
        ours_usd=to_usd(mine),
        theirs_usd=to_usd(said),
        difference_usd=to_usd(said - mine),
    )
