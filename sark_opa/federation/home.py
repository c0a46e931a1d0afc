"""The caller's side of a call across organisations: its budget here and the host's acceptance there, or neither.

Each step is written down before the next is taken, and every step may be taken twice. Granted is a call only when the
host's signed acceptance is written down; docs/explanation/federation.md argues why that is enough.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sark_opa.budget.ledger import Hold, HoldOutcome, HoldRequest, Ledger
from sark_opa.errors import (
    BudgetExceededError,
    FederationRefusedError,
    FederationUnavailableError,
    HoldEndedError,
    RequestIdConflictError,
    UnknownAccountError,
    UnknownTransferError,
)
from sark_opa.federation.documents import Accept, Ask, Cancel, Word, text_of
from sark_opa.federation.ending import AFTER_EXPIRY, Endings, attribution_of
from sark_opa.federation.envelope import Signed
from sark_opa.federation.store import FederationStore, Transfer
from sark_opa.federation.voice import Voice, alias_of, fingerprint_of


@dataclass(frozen=True, slots=True)
class Call:
    """A call somebody wants to make at another member.

    `amount_nanousd` is the most it may cost, as the host quotes it; `ttl_s` how long both sides set it aside.
    """

    request_id: str
    principal_id: str
    team: str | None
    host: str
    resource_id: str
    capability_id: str
    amount_nanousd: int
    ttl_s: int


@dataclass(frozen=True, slots=True)
class Grant:
    """Both sides hold: the transfer, whose id the caller shows the host, and the hold in our ledger."""

    transfer: Transfer
    hold: Hold


class Home:
    """Calls of our principals at other members.

    Args:
        voice: our signature, the peers, our clock.
        store: where transfers are written down.
        ledger: ours.
        alias_key: what makes aliases.
        deadline_s: for one step in the ledger.
    """

    def __init__(
        self, voice: Voice, store: FederationStore, ledger: Ledger, *, alias_key: bytes, deadline_s: float
    ) -> None:
        self._voice = voice
        self._store = store
        self._ledger = ledger
        self._alias_key = alias_key
        self._deadline_s = deadline_s
        self._endings = Endings(voice, store, ledger, deadline_s=deadline_s)

    def alias(self, peer: str, principal_id: str) -> str:
        """What `peer` knows a principal as."""
        return alias_of(self._alias_key, peer, self._voice.membership.org, principal_id)

    async def hold(self, call: Call) -> Grant:
        """Set money aside here and at the host. The same request again finds the same transfer.

        Raises:
            BudgetExceededError: it does not fit here; the host was not asked.
            FederationRefusedError: it does not fit there, or is not accepted; nothing is held here any more.
            FederationUnavailableError: the outcome is not known, so nothing was granted; ask again, or let it be.
            HoldEndedError: this request was granted or called off before, and that has ended.
            RequestIdConflictError: the `request_id` belongs to a different request.
            UnknownAccountError: the principal may not spend here.
        """
        peer = self._voice.membership.peer(call.host)
        transfer = await self._opened(call)
        if transfer.state == "accepted":
            return await self._grant(transfer)
        if transfer.state != "proposed":
            raise HoldEndedError(f"this call was {transfer.state} before; a new one takes a new request_id")
        outcome = await self._ledger.hold(self._hold_request(call, transfer), deadline_s=self._deadline_s)
        if outcome.status not in {"held", "duplicate"}:
            await self._not_held(transfer, outcome)
        accept = self._voice.signed(
            Accept,
            call.host,
            transfer_id=transfer.transfer_id,
            alias=transfer.alias,
            resource_id=call.resource_id,
            capability_id=call.capability_id,
            amount_usd=text_of(call.amount_nanousd),
            ttl_s=call.ttl_s,
        )
        return await self._answered(transfer, await self._voice.ask(peer, "accept", accept))

    async def cancel(self, transfer_id: str) -> Transfer:
        """Give a call up that was granted and will not be made.

        Raises:
            UnknownTransferError: there is none.
            FederationUnavailableError: the host does not answer; it is told later.
        """
        transfer = await self._known(transfer_id)
        _, found = await self._store.move(
            transfer, ["proposed", "accepted"], state="cancelling", code="cancelled", due_at=self._later()
        )
        if found is not None and found.state == "cancelling":
            await self._call_off(found)
        return await self._known(transfer_id)

    async def resolve(self, transfer: Transfer) -> None:
        """Bring a transfer that is due to its end, as far as that can be done now.

        Raises:
            FederationUnavailableError: the host does not answer; it is due again later.
        """
        match transfer.state:
            case "proposed":
                _, found = await self._store.move(
                    transfer, ["proposed"], state="cancelling", code="federation_unavailable", due_at=self._later()
                )
                if found is not None and found.state == "cancelling":
                    await self._call_off(found)
            case "cancelling":
                await self._call_off(transfer)
            case "accepted":
                peer = self._voice.membership.peer(transfer.peer)
                ask = self._voice.signed(Ask, transfer.peer, transfer_id=transfer.transfer_id)
                await self._endings.take(transfer, await self._voice.ask(peer, "ask", ask))
            case _:
                await self._endings.let_go(transfer)
                await self._store.move(transfer, [transfer.state], due_at=None)

    async def receipt(self, word: Signed[Word]) -> Transfer:
        """Take what a host says of its own accord when a call has ended.

        Raises:
            UnknownTransferError: it is none of ours with this host.
        """
        transfer = await self._known(word.document.transfer_id)
        if transfer.peer != word.document.issuer:
            raise UnknownTransferError
        await self._endings.take(transfer, word)
        return await self._known(transfer.transfer_id)

    async def _opened(self, call: Call) -> Transfer:
        member, now = self._voice.membership, self._voice.now()
        fingerprint = fingerprint_of(
            "federation", call.host, call.principal_id, call.team, call.resource_id, call.capability_id,
            call.amount_nanousd,
        )  # fmt: skip
        _, transfer = await self._store.open(
            Transfer(
                org=member.org,
                direction="consumed",
                request_id=call.request_id,
                transfer_id=uuid.uuid4().hex,
                peer=call.host,
                principal_id=call.principal_id,
                alias=self.alias(call.host, call.principal_id),
                resource_id=call.resource_id,
                capability_id=call.capability_id,
                amount_nanousd=call.amount_nanousd,
                fingerprint=fingerprint,
                state="proposed",
                created_at=now,
                expires_at=now + timedelta(seconds=call.ttl_s),
                due_at=self._later(),
            )
        )
        if transfer.fingerprint != fingerprint:
            raise RequestIdConflictError
        return transfer

    def _hold_request(self, call: Call, transfer: Transfer) -> HoldRequest:
        return HoldRequest(
            org=transfer.org,
            principal_id=call.principal_id,
            team=call.team,
            request_id=call.request_id,
            fingerprint=transfer.fingerprint,
            expected_nanousd=call.amount_nanousd,
            upper_nanousd=call.amount_nanousd,
            ttl_s=call.ttl_s,
            attribution=attribution_of(transfer),
        )

    async def _not_held(self, transfer: Transfer, outcome: HoldOutcome) -> None:
        """Write down that we refuse it ourselves, or that it was called off meanwhile, and raise."""
        if outcome.status == "ended":
            await self._store.move(transfer, ["proposed"], state="cancelling", code="hold_ended", due_at=self._later())
            raise HoldEndedError
        code = BudgetExceededError.code if outcome.status == "blocked" else outcome.status
        await self._store.move(transfer, ["proposed"], state="refused", code=code, due_at=None)
        if outcome.status == "conflict":
            raise RequestIdConflictError
        if outcome.status == "unknown_account":
            raise UnknownAccountError(f"no account {outcome.unknown} is registered", account=outcome.unknown)
        blocked = outcome.blocked
        assert blocked is not None  # noqa: S101  # the ledger's contract
        raise BudgetExceededError(
            f"the {blocked.window} budget of {blocked.account} has too little left",
            account=blocked.account,
            window=blocked.window,
        )

    async def _answered(self, transfer: Transfer, word: Signed[Word]) -> Grant:
        said = word.document
        if said.state == "accepted" and said.period is not None:
            _, found = await self._store.move(
                transfer,
                ["proposed"],
                state="accepted",
                period=said.period,
                word=word.envelope,
                due_at=transfer.expires_at + AFTER_EXPIRY,
            )
            if found is not None and found.state == "accepted":
                return await self._grant(found)
            await self._store.move(transfer, ["refused"], state="cancelling", due_at=self._later())
            raise FederationUnavailableError("the call was called off before the host's acceptance came")
        if said.state == "refused":
            await self._store.move(
                transfer,
                ["proposed"],
                state="refused",
                code=said.code or "refused",
                word=word.envelope,
                due_at=self._endings.last_look(transfer),
            )
            await self._endings.let_go(transfer)
            raise FederationRefusedError(
                f"{transfer.peer} does not accept this call: {said.message or said.code}",
                peer=transfer.peer,
                peer_code=said.code,
            )
        await self._endings.take(transfer, word)
        raise HoldEndedError(f"at {transfer.peer} this call is {said.state}")

    async def _grant(self, transfer: Transfer) -> Grant:
        hold = await self._ledger.find_hold(transfer.org, transfer.request_id, deadline_s=self._deadline_s)
        if hold.state != "held":
            raise HoldEndedError(f"the hold is {hold.state} already; a hold ends exactly once")
        if self._voice.now() >= transfer.expires_at:  # the host's may have ended, also where ours was extended
            raise HoldEndedError(f"the time {transfer.peer} has accepted this call for is over")
        return Grant(transfer, hold)

    async def _call_off(self, transfer: Transfer) -> None:
        peer = self._voice.membership.peer(transfer.peer)
        cancel = self._voice.signed(Cancel, transfer.peer, transfer_id=transfer.transfer_id)
        try:
            word = await self._voice.ask(peer, "cancel", cancel)
        except FederationUnavailableError:
            # Whatever the host holds ends with its time, and an acceptance this old is not taken any more.
            tolerance = timedelta(seconds=2 * self._voice.membership.clock_tolerance_s)
            if transfer.granted or self._voice.now() < transfer.expires_at + tolerance:
                raise
            await self._endings.let_go(transfer)
            await self._store.move(transfer, ["cancelling"], state="cancelled", due_at=None)
            return
        await self._endings.take(transfer, word)

    async def _known(self, transfer_id: str) -> Transfer:
        found = await self._store.find("consumed", transfer_id)
        if found is None:
            raise UnknownTransferError
        return found

    def _later(self) -> datetime:
        return self._voice.now() + timedelta(seconds=self._voice.membership.resolve_after_s)
