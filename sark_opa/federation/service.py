"""The room's face: one member of a federation, with its budget, its peers and its statements."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from sark_opa.budget.ledger import Ledger
from sark_opa.errors import ConfigurationError, InvalidInputError, SarkError, UnknownTransferError
from sark_opa.federation.costs import Costs, Days, Difference, FederatedCosts
from sark_opa.federation.documents import Accept, Ask, Cancel, Pull, Word
from sark_opa.federation.exchange import Exchange, StatementPage
from sark_opa.federation.home import Call, Grant, Home
from sark_opa.federation.host import Host
from sark_opa.federation.link import HttpLink, Link
from sark_opa.federation.membership import Membership
from sark_opa.federation.store import FederationStore, PeerStatus, Transfer
from sark_opa.federation.voice import Voice
from sark_opa.logs import get_logger
from sark_opa.storage.pool import Pool

_log: Final = get_logger("sark_opa.federation")
_ROWS_MAX: Final = 100
_TICK_S: Final = 1.0

Job = tuple[str, float, Callable[[], Awaitable[None]]]


def _clock() -> datetime:
    return datetime.now(UTC)


class Federation:
    """One member. Made by `opened`.

    Attributes:
        membership: who we are, who the others are.
        home: calls of our principals at peers.
        host: calls of peers' principals at us.
        exchange: spend statements.
    """

    def __init__(
        self,
        membership: Membership,
        store: FederationStore,
        ledger: Ledger,
        link: Link,
        *,
        alias_key: bytes,
        ttl_s: int = 600,
        ttl_s_max: int = 86_400,
        deadline_s: float = 5.0,
        observe: Callable[[Mapping[str, Mapping[str, int]]], None] | None = None,
        now: Callable[[], datetime] = _clock,
    ) -> None:
        self.membership = membership
        self._observe = observe
        self._ttl_s = ttl_s
        self._ttl_s_max = ttl_s_max
        self._telling: set[asyncio.Task[None]] = set()
        self._store = store
        self._voice = Voice(membership, link, now)
        self.home = Home(self._voice, store, ledger, alias_key=alias_key, deadline_s=deadline_s)
        self.host = Host(self._voice, store, ledger, ttl_s_max=ttl_s_max, deadline_s=deadline_s)
        self.exchange = Exchange(self._voice, store)
        self._costs = Costs(membership, store)

    @classmethod
    @asynccontextmanager
    async def opened(
        cls,
        membership: Membership,
        pool: Pool,
        ledger: Ledger,
        *,
        ttl_s: int = 600,
        ttl_s_max: int = 86_400,
        deadline_s: float = 5.0,
        observe: Callable[[Mapping[str, Mapping[str, int]]], None] | None = None,
    ) -> AsyncIterator[Federation]:
        """The member on its database, with a way to its peers.

        Args:
            membership: who we are, who the others are.
            pool: on the database of `ledger`.
            ledger: ours.
            ttl_s: how long a call's money is set aside unless the caller says otherwise, on both sides.
            ttl_s_max: the longest a caller may ask for.
            deadline_s: for one step in the ledger.
            observe: told after each pull how every peer stands: peer to figures.

        Raises:
            ConfigurationError: the org of this database is another member already.
            DatabaseUnavailableError: the database does not answer.
        """
        store = FederationStore(pool, membership.org)
        alias_key = await joined(store, membership)
        async with HttpLink.opened(membership.timeout_s) as link:
            federation = cls(
                membership,
                store,
                ledger,
                link,
                alias_key=alias_key,
                ttl_s=ttl_s,
                ttl_s_max=ttl_s_max,
                deadline_s=deadline_s,
                observe=observe,
            )
            try:
                yield federation
            finally:
                await federation.idle()

    def ttl_s(self, asked: int | None) -> int:
        """How long a call's money is set aside.

        Raises:
            InvalidInputError: longer than may be.
        """
        if asked is not None and asked > self._ttl_s_max:
            raise InvalidInputError(f"ttl_s: at most {self._ttl_s_max} seconds", path="ttl_s")
        return asked or self._ttl_s

    async def hold(self, call: Call) -> Grant:
        """Set money aside here and at the host, or nowhere; raises as `Home.hold`."""
        return await self.home.hold(call)

    async def accepted(self, envelope: bytes) -> bytes:
        """Our signed answer to a peer that asks us to accept a call; raises as `Host.accept`, and `Voice.heard`."""
        return (await self.host.accept(self._voice.heard(envelope, Accept))).envelope

    async def cancelled(self, envelope: bytes) -> bytes:
        """Our signed answer to a peer that calls a call off; raises as `Host.cancel`, and `Voice.heard`."""
        return (await self.host.cancel(self._voice.heard(envelope, Cancel))).envelope

    async def asked(self, envelope: bytes) -> bytes:
        """Our signed answer to a peer that asks how a call stands; raises as `Host.ask`, and `Voice.heard`."""
        return (await self.host.ask(self._voice.heard(envelope, Ask))).envelope

    async def receipt(self, envelope: bytes) -> bytes:
        """Our signed answer to a host that tells how a call ended; raises as `Home.receipt`, and `Voice.heard`."""
        word = self._voice.heard(envelope, Word)
        transfer = await self.home.receipt(word)
        answer = self._voice.signed(
            Word,
            transfer.peer,
            transfer_id=transfer.transfer_id,
            state=transfer.state,
            in_reply_to=word.digest,
            code=transfer.code,
        )
        return answer.envelope

    async def page(self, envelope: bytes, after: int) -> StatementPage:
        """Statements for a peer that asks; raises as `Voice.heard`."""
        pull = self._voice.heard(envelope, Pull)
        return await self.exchange.page(pull, after)

    async def transfer(self, transfer_id: str) -> Transfer:
        """A call across organisations, from whichever side is ours.

        Raises:
            UnknownTransferError: there is none.
        """
        found = await self._store.find("consumed", transfer_id) or await self._store.find("provided", transfer_id)
        if found is None:
            raise UnknownTransferError
        return found

    async def ended(self, transfer_id: str) -> Transfer:
        """Look whether the hold of a call at us has ended, and begin to tell its home.

        Raises:
            UnknownTransferError: no such call was accepted here.
        """
        transfer = await self.host.look(transfer_id)
        if transfer.due_at is not None:
            telling = asyncio.create_task(self._attempt(self.host.deliver, transfer))
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)
        return transfer

    async def idle(self) -> None:
        """Wait until the homes of ended calls have been told, or have not answered: they are told later, then."""
        await asyncio.gather(*self._telling)

    async def aggregate_costs(
        self, principal_id: str, period_start: datetime, period_end: datetime | None = None
    ) -> Decimal:
        """What a principal of ours spent, here and at all peers, each call counted once, in USD.

        Args:
            principal_id: ours.
            period_start: its UTC day is the first that counts: statements are of whole days.
            period_end: the day it lies in is the last; now unless given.

        Raises:
            InvalidInputError: the period has no length, or a time no zone.
        """
        days = Days.touched_by(period_start, period_end or self._voice.now())
        return (await self.costs(days, principal_id)).total_usd

    async def costs(self, days: Days, principal_id: str | None = None) -> FederatedCosts:
        """The same with its parts, of one principal or of the whole org."""
        aliases = {}
        if principal_id is not None:
            aliases = {peer: self.home.alias(peer, principal_id) for peer in self.membership.peers}
        return await self._costs.merged(days, principal_id, aliases)

    async def reconcile(self, days: Days, peer: str | None = None) -> list[Difference]:
        """Where our ledger and what peers state differ; nothing is changed by it.

        Raises:
            FederationError: there is no such peer.
        """
        if peer is not None:
            self.membership.peer(peer)
        return await self._costs.differences(days, peer)

    async def status(self) -> list[PeerStatus]:
        """How each peer stands."""
        return await self._store.status(self.membership.member, sorted(self.membership.peers))

    def jobs(self) -> list[Job]:
        """What a service process repeats: its name, every how many seconds, and what."""
        return [
            ("resolve transfers", _TICK_S, self.tick),
            ("publish statements", self.membership.publish_interval_s, self.publish),
            ("pull statements", self.membership.pull_interval_s, self.pull),
        ]

    async def tick(self) -> None:
        """Bring on whatever is due: transfers without a known outcome, and ends the peers have not been told."""
        for transfer, hold_state in await self._store.ended(rows_max=_ROWS_MAX, now=self._voice.now()):
            await self.host.finish(transfer, hold_state)
        again_s = 1 + int(self.membership.timeout_s)
        due = await self._store.claim(rows_max=_ROWS_MAX, again_s=again_s, now=self._voice.now())
        steps = [
            self._attempt(self.home.resolve if transfer.direction == "consumed" else self.host.deliver, transfer)
            for transfer in due
        ]
        await asyncio.gather(*steps)

    async def publish(self) -> None:
        """State to each peer what has changed."""
        for peer in self.membership.peers.values():
            await self.exchange.publish(peer)

    async def pull(self) -> None:
        """Fetch each peer's statements; one that does not answer does not keep the others waiting."""
        for peer in self.membership.peers.values():
            try:
                await self.exchange.pull(peer)
            except SarkError as error:
                _log.warning("federation_pull_failed", peer=peer.name, code=error.code, error=error.message)
        if self._observe is not None:
            self._observe({row.peer: row.figures() for row in await self.status()})

    async def _attempt(self, step: Callable[[Transfer], Awaitable[None]], transfer: Transfer) -> None:
        try:
            await step(transfer)
        except SarkError as error:
            _log.warning(
                "federation_step_failed",
                peer=transfer.peer,
                transfer=transfer.transfer_id,
                state=transfer.state,
                code=error.code,
                error=error.message,
            )


async def joined(store: FederationStore, membership: Membership) -> bytes:
    """What makes the aliases of our principals, after making sure that the org is this member.

    Raises:
        ConfigurationError: it is another one already.
    """
    member, alias_key = await store.join(membership.member, secrets.token_bytes(32))
    if member != membership.member:
        raise ConfigurationError(f"SARK_FEDERATION_FILE: org {membership.org} is {member} in this database already")
    return alias_key
