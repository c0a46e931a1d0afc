"""Setting a host's acceptance limit aside for a call of a peer's principal."""

from __future__ import annotations

from datetime import date

from sark_opa.budget.ledger import Account, Attribution, HoldOutcome, HoldRequest, Ledger
from sark_opa.errors import BudgetExceededError, UnknownAccountError
from sark_opa.federation.store import FederationStore, Transfer


class Acceptance:
    """Holds of peers' calls in our ledger.

    Args:
        member: what we are called.
        store: where transfers are written down.
        ledger: ours.
        deadline_s: for one step in the ledger.
    """

    def __init__(self, member: str, store: FederationStore, ledger: Ledger, *, deadline_s: float) -> None:
        self._member = member
        self._store = store
        self._ledger = ledger
        self._deadline_s = deadline_s
        self._known_principals: set[str] = set()

    async def hold(self, transfer: Transfer, *, ttl_s: int, today: date) -> tuple[Transfer | None, str | None]:
        """Hold for a call and write down that it is accepted; or that it is refused, and why.

        Returns:
            The transfer as it stands then, and what its home is told beside that. None for the transfer when its hold
            has ended already.
        """
        try:
            await self._principal(transfer)
        except UnknownAccountError:
            _, now = await self._store.move(transfer, ["proposed"], state="refused", code=UnknownAccountError.code)
            return now, f"{self._member} accepts no calls of {transfer.peer}"
        outcome = await self._held(transfer, ttl_s)
        if outcome.status in {"held", "duplicate"}:
            _, now = await self._store.move(transfer, ["proposed"], state="accepted", period=today)
            if now is not None and now.state not in {"accepted", "settled"}:  # called off while we held
                await self._ledger.release(transfer.org, transfer.request_id, deadline_s=self._deadline_s)
            return now, None
        if outcome.status == "ended":
            return None, None
        blocked = outcome.status == "blocked"
        code = BudgetExceededError.code if blocked else outcome.status
        _, now = await self._store.move(transfer, ["proposed"], state="refused", code=code)
        # Which of our limits, and how much is left of it, is nobody else's business.
        return now, f"this is more than {self._member} still accepts" if blocked else None

    async def _held(self, transfer: Transfer, ttl_s: int) -> HoldOutcome:
        return await self._ledger.hold(
            HoldRequest(
                org=transfer.org,
                principal_id=transfer.principal_id,
                team=None,
                request_id=transfer.request_id,
                fingerprint=transfer.fingerprint,
                expected_nanousd=transfer.amount_nanousd,
                upper_nanousd=transfer.amount_nanousd,
                ttl_s=ttl_s,
                attribution=Attribution(
                    transfer.principal_id,
                    transfer.resource_id,
                    transfer.capability_id,
                    tags={"federation.peer": transfer.peer, "federation.direction": "provided"},
                ),
            ),
            deadline_s=self._deadline_s,
        )

    async def _principal(self, transfer: Transfer) -> None:
        """Have an account for the peer's principal below the peer's own, which somebody has to have made.

        Raises:
            UnknownAccountError: nobody has.
        """
        account = f"{transfer.org}/principal/{transfer.principal_id}"
        if account in self._known_principals:
            return
        try:
            await self._ledger.get_account(account)
        except UnknownAccountError:
            parent = await self._ledger.get_account(f"{transfer.org}/peer/{transfer.peer}")
            await self._ledger.put_account(Account(account, parent.name, timezone=parent.timezone, on_expiry="release"))
        self._known_principals.add(account)
