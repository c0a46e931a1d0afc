"""The host's side of a call across organisations: its acceptance limit, and telling the home how the call ended.

What a peer's calls may cost here is the ordinary account `{org}/peer/{member}`: its limits are the acceptance limits.
Below it each of the peer's principals has an account under its alias, whose holds are released when they expire: the
call ran here, so whether it ran is ours to know, and a late settlement still books.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, timedelta
from typing import Any

from sark_opa.budget.ledger import Ledger
from sark_opa.errors import (
    FederationError,
    HoldEndedError,
    InvalidInputError,
    RequestIdConflictError,
    UnknownHoldError,
    UnknownTransferError,
)
from sark_opa.federation.acceptance import Acceptance
from sark_opa.federation.documents import Accept, Ask, Cancel, State, Word, amount_of, text_of
from sark_opa.federation.envelope import Signed
from sark_opa.federation.store import Booked, FederationStore, Transfer
from sark_opa.federation.voice import Voice, fingerprint_of

_NOBODY = "-"


class Host:
    """Calls of peers' principals at us.

    Args:
        voice: our signature, the peers, our clock.
        store: where transfers are written down.
        ledger: ours.
        ttl_s_max: the longest a peer may have us set money aside.
        deadline_s: for one step in the ledger.
    """

    def __init__(
        self, voice: Voice, store: FederationStore, ledger: Ledger, *, ttl_s_max: int, deadline_s: float
    ) -> None:
        self._voice = voice
        self._store = store
        self._ledger = ledger
        self._ttl_s_max = ttl_s_max
        self._deadline_s = deadline_s
        self._acceptance = Acceptance(voice.membership.member, store, ledger, deadline_s=deadline_s)

    async def accept(self, message: Signed[Accept]) -> Signed[Word]:
        """Set our acceptance limit aside for a call, or refuse. The same message again has the same answer.

        Raises:
            FederationError: the transfer is another member's.
        """
        said, why = message.document, None
        if said.ttl_s > self._ttl_s_max:
            why = f"ttl_s: at most {self._ttl_s_max} seconds here"
            return self._refusal(message, InvalidInputError.code, why)
        transfer = await self._opened(said)
        if transfer.state != "cancelled" and transfer.fingerprint != _fingerprint(said):
            return self._refusal(message, RequestIdConflictError.code, "this transfer is another call")
        if transfer.state == "proposed":
            accepted, why = await self._acceptance.hold(transfer, ttl_s=said.ttl_s, today=self._today())
            transfer = accepted or await self.look(transfer.transfer_id)
        return await self._word(transfer, message.digest, why)

    def _refusal(self, message: Signed[Accept], code: str, why: str) -> Signed[Word]:
        said = message.document
        return self._voice.signed(
            Word,
            said.issuer,
            transfer_id=said.transfer_id,
            state="refused",
            in_reply_to=message.digest,
            code=code,
            message=why,
        )

    async def cancel(self, message: Signed[Cancel]) -> Signed[Word]:
        """Let go of a call, and remember so, also of one that was never heard of: its acceptance may be on its way.

        Raises:
            FederationError: the transfer is another member's.
        """
        said = message.document
        transfer = await self._of_peer(said.transfer_id, said.issuer) or await self._tombstone(said)
        if transfer.state in {"proposed", "accepted"}:
            try:
                await self._ledger.release(transfer.org, transfer.request_id, deadline_s=self._deadline_s)
            except UnknownHoldError:
                pass  # not held yet; who is about to hold it will find it cancelled
            except HoldEndedError:
                hold = await self._ledger.find_hold(transfer.org, transfer.request_id, deadline_s=self._deadline_s)
                transfer = await self.finish(transfer, hold.state)
            if transfer.state in {"proposed", "accepted"}:
                transfer = await self._moved(transfer, ["proposed", "accepted"], state="cancelled", code="cancelled")
        return await self._word(transfer, message.digest)

    async def ask(self, message: Signed[Ask]) -> Signed[Word]:
        """How a call stands.

        Raises:
            FederationError: the transfer is another member's.
        """
        said = message.document
        transfer = await self._of_peer(said.transfer_id, said.issuer)
        if transfer is None:
            return self._voice.signed(
                Word, said.issuer, transfer_id=said.transfer_id, state="unknown", in_reply_to=message.digest
            )
        if transfer.state in {"proposed", "accepted", "lapsed"}:
            transfer = await self.look(transfer.transfer_id)
        return await self._word(transfer, message.digest)

    async def look(self, transfer_id: str) -> Transfer:
        """See whether the hold of a call has ended, and write down how.

        Raises:
            UnknownTransferError: no such call was accepted here.
        """
        transfer = await self._store.find("provided", transfer_id)
        if transfer is None:
            raise UnknownTransferError
        try:
            hold = await self._ledger.find_hold(transfer.org, transfer.request_id, deadline_s=self._deadline_s)
        except UnknownHoldError:
            return transfer
        return transfer if hold.state == "held" else await self.finish(transfer, hold.state)

    async def finish(self, transfer: Transfer, hold_state: str) -> Transfer:
        """Write down how a call ended whose hold has ended; its home is told next."""
        booked = await self._store.booked(transfer.request_id)
        if hold_state != "settled" and not (hold_state == "expired" and booked.actual_nanousd):
            return await self._moved(
                transfer, ["proposed", "accepted"], state="lapsed", code=hold_state, due_at=self._voice.now()
            )
        period = transfer.period or self._today()
        ended = self._settled_word(transfer, booked, period, None)
        return await self._moved(
            transfer,
            ["proposed", "accepted", "lapsed", "cancelled"],
            state="settled",
            code="settled",
            period=period,
            actual_nanousd=booked.actual_nanousd,
            booked_request_id=transfer.request_id,
            charged_at=booked.charged_at,
            word=ended.envelope,
            due_at=self._voice.now(),
        )

    async def deliver(self, transfer: Transfer) -> None:
        """Tell the home how a call ended.

        Raises:
            FederationUnavailableError: it does not answer; it is told later.
        """
        peer = self._voice.membership.peer(transfer.peer)
        await self._voice.ask(peer, "receipts", await self._word(transfer, None))
        await self._store.move(transfer, [transfer.state], due_at=None)

    async def _opened(self, said: Accept) -> Transfer:
        return await self._written(
            said,
            principal_id=f"{said.alias}@{said.issuer}",
            alias=said.alias,
            resource_id=said.resource_id,
            capability_id=said.capability_id,
            amount_nanousd=amount_of(said.amount_usd),
            fingerprint=_fingerprint(said),
            state="proposed",
            ttl_s=said.ttl_s,
        )

    async def _tombstone(self, said: Cancel) -> Transfer:
        return await self._written(
            said,
            principal_id=_NOBODY,
            alias=_NOBODY,
            resource_id=_NOBODY,
            capability_id=_NOBODY,
            amount_nanousd=0,
            fingerprint=b"",
            state="cancelled",
            code="cancelled",
            ttl_s=0,
        )

    async def _written(self, said: Accept | Cancel, *, ttl_s: int, **fields: Any) -> Transfer:
        now = self._voice.now()
        _, transfer = await self._store.open(
            Transfer(
                org=self._voice.membership.org,
                direction="provided",
                request_id=said.transfer_id,
                transfer_id=said.transfer_id,
                peer=said.issuer,
                created_at=now,
                expires_at=now + timedelta(seconds=ttl_s),
                **fields,
            )
        )
        return _of(transfer, said.issuer)

    async def _of_peer(self, transfer_id: str, peer: str) -> Transfer | None:
        found = await self._store.find("provided", transfer_id)
        return None if found is None else _of(found, peer)

    async def _moved(self, transfer: Transfer, states: Sequence[State], **change: Any) -> Transfer:
        _, now = await self._store.move(transfer, states, **change)
        if now is None:
            raise UnknownTransferError
        return now

    async def _word(self, transfer: Transfer, in_reply_to: str | None, message: str | None = None) -> Signed[Word]:
        if transfer.state == "settled":
            booked = await self._store.booked(transfer.request_id)
            return self._settled_word(transfer, booked, transfer.period or self._today(), in_reply_to)
        return self._voice.signed(
            Word,
            transfer.peer,
            transfer_id=transfer.transfer_id,
            state=transfer.state,
            in_reply_to=in_reply_to,
            period=transfer.period,
            code=transfer.code,
            message=message,
        )

    def _settled_word(self, transfer: Transfer, booked: Booked, period: date, in_reply_to: str | None) -> Signed[Word]:
        return self._voice.signed(
            Word,
            transfer.peer,
            transfer_id=transfer.transfer_id,
            state="settled",
            in_reply_to=in_reply_to,
            period=period,
            actual_usd=text_of(booked.actual_nanousd),
            tokens=booked.tokens,
        )

    def _today(self) -> date:
        return self._voice.now().astimezone(UTC).date()


def _of(transfer: Transfer, peer: str) -> Transfer:
    if transfer.peer != peer:
        raise FederationError(f"this transfer is not one of {peer}")
    return transfer


def _fingerprint(said: Accept) -> bytes:
    return fingerprint_of(
        "federation", said.issuer, said.transfer_id, said.alias, said.resource_id, said.capability_id,
        amount_of(said.amount_usd),
    )  # fmt: skip
