"""Calls across organisations and statements in the database. Each step is one statement."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final, Literal, NamedTuple

import msgspec

from sark_opa.errors import DatabaseUnavailableError
from sark_opa.federation.documents import Direction, State
from sark_opa.storage import queries
from sark_opa.storage.pool import Pool

_queries: Final = queries.load("federation")
_encode: Final = msgspec.json.Encoder(order="sorted").encode


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """A call across organisations, as one side knows it; the columns of `sark.federation_transfers`."""

    org: str
    direction: Direction
    request_id: str
    transfer_id: str
    peer: str
    principal_id: str
    alias: str
    resource_id: str
    capability_id: str
    amount_nanousd: int
    fingerprint: bytes
    state: State
    created_at: datetime
    expires_at: datetime
    due_at: datetime | None = None
    code: str | None = None
    period: date | None = None
    booked_request_id: str | None = None
    charged_at: datetime | None = None
    actual_nanousd: int | None = None
    word: bytes | None = None
    disputed: bool = False

    @property
    def granted(self) -> bool:
        """Whether both sides were known to hold, so that the call may have been made."""
        return self.period is not None


class Booked(msgspec.Struct, frozen=True):
    """What a request is charged by now."""

    charged_at: datetime | None
    actual_nanousd: int
    tokens: dict[str, int]


class Figure(NamedTuple):
    """A day's calls of one alias, one way; `peer` is whose statement it is from, or whom it was with."""

    peer: str
    period: date
    direction: Direction
    alias: str
    principal_id: str | None
    charges: int
    amount_nanousd: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int


class Chain(NamedTuple):
    """Where an issuer's statements for an audience stand."""

    sequence: int = 0
    digest: str | None = None
    seen: int = 0
    looked_at_xid: int = 0


class Touched(msgspec.Struct, frozen=True, array_like=True):
    """Days that may have to be stated anew, up to which transaction was looked, and new totals of days, to be kept."""

    xid: int
    days: list[date]
    totals: list[tuple[date, int, int]]


class PeerStatus(NamedTuple):
    """One peer: what was taken of it, what it has, what is wrong."""

    peer: str
    sequence: int
    seen: int
    pulled_at: datetime | None
    problem: str | None
    problem_at: datetime | None
    published: int
    waiting: int
    evidence: int
    open_transfers: int
    disputed: int

    def figures(self) -> dict[str, int]:
        """What of it is worth watching."""
        return {
            "missing": max(0, self.seen - self.sequence),
            "problem": int(self.problem is not None),
            "evidence": self.evidence,
            "open": self.open_transfers,
            "disputed": self.disputed,
        }


Appended = Literal["applied", "duplicate", "waiting", "changed_past", "wrong_revision", "too_far", "stale"]

_opened: Final = msgspec.json.Decoder(tuple[bool, Transfer])
_moved: Final = msgspec.json.Decoder(tuple[bool, Transfer | None])
_transfers: Final = msgspec.json.Decoder(list[Transfer])
_transfer: Final = msgspec.json.Decoder(Transfer)
_ended: Final = msgspec.json.Decoder(list[tuple[Transfer, str]])
_booked: Final = msgspec.json.Decoder(Booked)
_touched: Final = msgspec.json.Decoder(Touched)


class FederationStore:
    """The tables `sark.federation_*` of one org. Every method raises `DatabaseUnavailableError` without a database."""

    def __init__(self, pool: Pool, org: str) -> None:
        self._pool = pool
        self._org = org

    async def join(self, member: str, alias_key: bytes) -> tuple[str, bytes]:
        """The member this org is, and what makes its aliases: as given the first time, as stored afterwards."""
        rows = await self._rows("join", member=member, alias_key=alias_key)
        if not rows:  # somebody else's row, not visible yet to this statement
            rows = await self._rows("join", member=member, alias_key=alias_key)
        return rows[0][0], bytes(rows[0][1])

    async def open(self, transfer: Transfer) -> tuple[bool, Transfer]:
        """Write a transfer down; the flag is False when its request has one already, which is then given."""
        return _opened.decode(await self._value("open", transfer=_encode(transfer).decode()))

    async def move(self, transfer: Transfer, states: Sequence[State], **change: Any) -> tuple[bool, Transfer | None]:
        """Change a transfer if it is in one of `states`; whether it was, and how it stands now."""
        value = await self._value(
            "move",
            direction=transfer.direction,
            transfer_id=transfer.transfer_id,
            states=list(states),
            change=_encode({name: _plain(value) for name, value in change.items()}).decode(),
        )
        return _moved.decode(value)

    async def claim(self, *, rows_max: int, again_s: int, now: datetime) -> list[Transfer]:
        """Transfers that are due, put off for others."""
        return _transfers.decode(await self._value("claim", rows_max=rows_max, again_s=again_s, now=now))

    async def find(self, direction: Direction, transfer_id: str) -> Transfer | None:
        """A transfer."""
        value = await self._pool.call(
            _queries["find"], {"org": self._org, "direction": direction, "transfer_id": transfer_id}
        )
        return None if value is None else _transfer.decode(value)

    async def ended(self, *, rows_max: int, now: datetime) -> list[tuple[Transfer, str]]:
        """Provided transfers whose hold has ended otherwise than their home was told, and how it has."""
        return _ended.decode(await self._value("ended", rows_max=rows_max, now=now))

    async def booked(self, request_id: str) -> Booked:
        """What a request is charged by now."""
        return _booked.decode(await self._value("booked", request_id=request_id))

    async def figures(self, from_day: date, to_day: date, peer: str | None = None) -> list[Figure]:
        """What settled transfers cost by our ledger, from a day to before another."""
        return [Figure(*row) for row in await self._rows("figures", from_day=from_day, to_day=to_day, peer=peer)]

    async def stated(
        self, issuers: Sequence[str], audiences: Sequence[str], from_day: date, to_day: date
    ) -> list[Figure]:
        """What statements say; `peer` is the issuer."""
        rows = await self._rows(
            "stated", issuers=list(issuers), audiences=list(audiences), from_day=from_day, to_day=to_day
        )
        return [Figure(*row) for row in rows]

    async def ledger_total(self, principal: str | None, from_day: date, to_day: date) -> tuple[int, int]:
        """Charges and nano-dollars of an org or one principal, by days of the org's time zone."""
        ((charges, nanousd),) = await self._rows("ledger_total", principal=principal, from_day=from_day, to_day=to_day)
        return charges, nanousd

    async def transfers_in_ledger(self, principal: str | None, from_day: date, to_day: date) -> dict[str, int]:
        """What of `ledger_total` were transfers, by direction."""
        rows = await self._rows("transfers_in_ledger", principal=principal, from_day=from_day, to_day=to_day)
        return dict(rows)

    async def chain(self, issuer: str, audience: str) -> Chain:
        """Where a chain stands."""
        rows = await self._rows("chain", issuer=issuer, audience=audience)
        return Chain(*rows[0]) if rows else Chain()

    async def touched(self, peer: str, since: int) -> Touched:
        """What changed since a transaction number."""
        return _touched.decode(await self._value("touched", peer=peer, since=since))

    async def looked(self, issuer: str, audience: str, touched: Touched) -> None:
        """Remember up to where `touched` has looked, and what it saw."""
        totals = _encode(touched.totals).decode()
        await self._rows("looked", issuer=issuer, audience=audience, xid=touched.xid, totals=totals)

    async def pulled(
        self, issuer: str, audience: str, *, seen: int, pulled_at: datetime | None, problem: str | None, now: datetime
    ) -> None:
        """Remember how a pull went."""
        await self._rows(
            "pulled", issuer=issuer, audience=audience, seen=seen, pulled_at=pulled_at, problem=problem, now=now
        )

    async def append(self, statement: dict[str, Any], envelope: bytes, *, own: bool) -> Appended:
        """Take a statement into its chain."""
        value = await self._value("append", statement=_encode(statement).decode(), envelope=envelope, own=own)
        answer: Appended = value.decode()  # type: ignore[assignment]  # the function's contract
        return answer

    async def page(self, issuer: str, audience: str, *, after: int, limit: int) -> list[bytes]:
        """Envelopes of statements that follow one, in order."""
        rows = await self._rows("page", issuer=issuer, audience=audience, after=after, limit=limit)
        return [bytes(row[0]) for row in rows]

    async def revision(self, issuer: str, audience: str, period: date) -> int:
        """The last revision of a day, 0 for none."""
        ((revision,),) = await self._rows("revision", issuer=issuer, audience=audience, period=period)
        return int(revision)

    async def status(self, member: str, peers: Sequence[str]) -> list[PeerStatus]:
        """How each peer stands."""
        return [PeerStatus(*row) for row in await self._rows("status", member=member, peers=list(peers))]

    async def _rows(self, name: str, **parameters: Any) -> list[tuple[Any, ...]]:
        return await self._pool.rows(_queries[name], {"org": self._org, **parameters})

    async def _value(self, name: str, **parameters: Any) -> bytes:
        value = await self._pool.call(_queries[name], {"org": self._org, **parameters})
        if value is None:
            raise DatabaseUnavailableError(f"the database answers nothing to {name}")
        return value


def _plain(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
