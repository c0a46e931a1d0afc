"""How a call ends in its home's ledger: as the host's signed word says, once, whatever is said twice or late."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sark_opa.budget.ledger import Attribution, HoldRequest, Ledger, Settlement
from sark_opa.errors import HoldEndedError, UnknownHoldError
from sark_opa.federation.documents import Word, amount_of
from sark_opa.federation.envelope import Signed
from sark_opa.federation.store import FederationStore, Transfer
from sark_opa.federation.voice import Voice, fingerprint_of
from sark_opa.logs import get_logger

_log: Final = get_logger("sark_opa.federation")
_MARK: Final = "federation_transfer"
AFTER_EXPIRY: Final = timedelta(seconds=5)
"""How long after its time an ended transfer is looked at for the last time."""


class Endings:
    """Ends transfers at their home.

    Args:
        voice: our clock.
        store: where transfers are written down.
        ledger: ours.
        deadline_s: for one step in the ledger.
    """

    def __init__(self, voice: Voice, store: FederationStore, ledger: Ledger, *, deadline_s: float) -> None:
        self._voice = voice
        self._store = store
        self._ledger = ledger
        self._deadline_s = deadline_s

    async def take(self, transfer: Transfer, word: Signed[Word]) -> None:
        """Do here what the host's word about a transfer says was done there."""
        if transfer.state == "settled" or transfer.disputed:
            return
        said = word.document.state
        if said == "settled":
            if transfer.granted:
                await self._settle(transfer, word)
            else:
                await self._dispute(transfer, word)
        elif said in {"cancelled", "lapsed", "refused", "unknown"}:
            await self.let_go(transfer)
            state = "lapsed" if transfer.state == "accepted" else "cancelled"
            await self._store.move(
                transfer,
                ["proposed", "accepted", "cancelling"],
                state=state,
                code=word.document.code or said,
                word=word.envelope,
                due_at=self.last_look(transfer),
            )

    async def let_go(self, transfer: Transfer) -> None:
        """End our hold unused. One that expired, and was charged as if the call had run, is settled with nothing."""
        try:
            hold = await self._ledger.find_hold(transfer.org, transfer.request_id, deadline_s=self._deadline_s)
            if hold.attribution.pricing.get(_MARK) != transfer.transfer_id:
                return  # somebody else's, under the same request_id
            if hold.state == "held":
                await self._ledger.release(transfer.org, transfer.request_id, deadline_s=self._deadline_s)
                return
        except UnknownHoldError:
            return
        except HoldEndedError:
            hold = await self._ledger.find_hold(transfer.org, transfer.request_id, deadline_s=self._deadline_s)
        if hold.state == "expired" and (await self._store.booked(transfer.request_id)).actual_nanousd > 0:
            await self._ledger.settle(
                self._settlement(transfer, transfer.request_id, 0, {}), deadline_s=self._deadline_s
            )

    async def _settle(self, transfer: Transfer, word: Signed[Word]) -> None:
        said = word.document
        request_id, charged_at, booked = await self._booked(transfer, amount_of(said.actual_usd or "0"), said.tokens)
        await self._store.move(
            transfer,
            ["accepted", "cancelling", "cancelled", "lapsed"],
            state="settled",
            code="settled",
            actual_nanousd=booked,
            booked_request_id=request_id,
            charged_at=charged_at,
            word=word.envelope,
            due_at=None,
        )

    async def _booked(self, transfer: Transfer, actual: int, tokens: dict[str, int]) -> tuple[str, datetime, int]:
        """Book what the host bills: under which request, at what time, and how much is booked there."""
        org, request_id = transfer.org, transfer.request_id
        try:
            charge = await self._ledger.settle(
                self._settlement(transfer, request_id, actual, tokens), deadline_s=self._deadline_s
            )
        except (HoldEndedError, UnknownHoldError) as error:
            if isinstance(error, HoldEndedError):
                hold = await self._ledger.find_hold(org, request_id, deadline_s=self._deadline_s)
                if hold.actual_nanousd:  # settled here, with a figure of our own: reconciling shows the difference
                    return request_id, hold.created_at, hold.actual_nanousd
            # It was let go of with nothing. What the host bills after all is booked beside it.
            request_id = f"federation-{transfer.transfer_id}"
            charge = await self._ledger.charge(
                self._late_request(transfer, request_id, actual),
                self._settlement(transfer, request_id, actual, tokens),
                deadline_s=self._deadline_s,
            )
        return request_id, charge.charged_at, charge.actual_nanousd

    async def _dispute(self, transfer: Transfer, word: Signed[Word]) -> None:
        _log.error("federation_disputed", peer=transfer.peer, transfer=transfer.transfer_id, state=transfer.state)
        await self.let_go(transfer)
        await self._store.move(
            transfer,
            ["proposed", "cancelling", "cancelled", "refused"],
            state="cancelled",
            code="disputed",
            disputed=True,
            word=word.envelope,
            due_at=self.last_look(transfer),
        )

    def _settlement(self, transfer: Transfer, request_id: str, actual: int, tokens: dict[str, int]) -> Settlement:
        return Settlement(
            org=transfer.org,
            request_id=request_id,
            actual_nanousd=actual,
            usage={"federation": {"peer": transfer.peer, "transfer_id": transfer.transfer_id}},
            tokens=tokens,
            fingerprint=fingerprint_of("federation", transfer.transfer_id, actual, sorted(tokens.items())),
        )

    def _late_request(self, transfer: Transfer, request_id: str, actual: int) -> HoldRequest:
        return HoldRequest(
            org=transfer.org,
            principal_id=transfer.principal_id,
            team=None,
            request_id=request_id,
            fingerprint=fingerprint_of("federation late", transfer.transfer_id),
            expected_nanousd=actual,
            upper_nanousd=actual,
            ttl_s=60,
            attribution=attribution_of(transfer),
        )

    def last_look(self, transfer: Transfer) -> datetime:
        """When its time is up: a process that was stopped in the middle may have taken the hold after all."""
        return max(transfer.expires_at, self._voice.now()) + AFTER_EXPIRY


def attribution_of(transfer: Transfer) -> Attribution:
    """What a hold or charge at home is for; it carries the transfer's id, so that nothing else is taken for it."""
    return Attribution(
        transfer.principal_id,
        transfer.resource_id,
        transfer.capability_id,
        tags={"federation.peer": transfer.peer, "federation.direction": transfer.direction},
        pricing={_MARK: transfer.transfer_id},
    )
