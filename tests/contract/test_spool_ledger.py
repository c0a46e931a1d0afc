"""The spool in front of a real ledger: delivered twice it books once, at the prices of the time it came."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fixtures.database import hold_request, org

from sark_opa.budget.hold_id import encode
from sark_opa.cost import ActualCost, Costing
from sark_opa.errors import DatabaseUnavailableError, SpoolError
from sark_opa.evaluation.hold_bodies import ChargeBody, SettleBody
from sark_opa.evaluation.holds import Holds
from sark_opa.evaluation.spooling import SpooledAnswer, Spooling
from sark_opa.metrics import Metrics
from sark_opa.storage.ledger import PostgresLedger
from sark_opa.storage.pool import Pool
from sark_opa.storage.spool import Spool, open_spool

pytestmark = pytest.mark.anyio

USAGE = b'{"usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100, "ratio": 1.50}}'
CHARGE = (
    b'{"request_id": "c", "principal": {"id": "ada", "org": "acme"}, "resource": {"id": "openai"}, "model": "gpt-4o",'
    b' "capability": {"id": "chat"}, ' + USAGE[1:]
)
decoded = msgspec.json.Decoder(float_hook=Decimal).decode


class DatedCosting(Costing):
    """Real prices; remembers as of when each usage was priced."""

    def __init__(self) -> None:
        super().__init__()
        self.priced_at: list[datetime] = []

    def actual(self, *arguments: Any, at: datetime, **named: Any) -> ActualCost:
        """As ever."""
        self.priced_at.append(at)
        return super().actual(*arguments, at=at, **named)


class Away:
    """A ledger whose database is away while `away` is set."""

    def __init__(self, ledger: PostgresLedger) -> None:
        self.ledger = ledger
        self.away = False

    def __getattr__(self, name: str) -> Any:
        if self.away:
            raise DatabaseUnavailableError
        return getattr(self.ledger, name)


@pytest.fixture
async def spool(anyio_backend: str, tmp_path: Path) -> AsyncIterator[Spool]:
    """An empty spool."""
    async with open_spool(tmp_path, bytes_max=2**20) as opened:
        yield opened


async def test_delivered_twice_it_is_booked_once_as_of_when_it_came(
    ledger: PostgresLedger, pool: Pool, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process dies after the ledger answered and before the spool noted it: the next sends all of it again."""
    await ledger.put_account(org())
    held = await ledger.hold(hold_request("h", 10**8))
    costing, away = DatedCosting(), Away(ledger)
    holds = Holds(costing=costing, ledger=away, metrics=Metrics(), ttl_s=60, ttl_s_max=60, deadline_s=5)  # type: ignore[arg-type]  # it is one, while it is there
    first = Spooling(holds, spool, Metrics())
    away.away = True
    before = datetime.now(UTC)
    kept = await first.settle(encode("acme", "h"), SettleBody.model_validate(decoded(USAGE)), USAGE)
    charged = await first.charge(ChargeBody.model_validate(decoded(CHARGE)), CHARGE)
    assert isinstance(kept, SpooledAnswer)
    assert isinstance(charged, SpooledAnswer)
    away.away = False
    costing.priced_at.clear()

    async def dies(*_: Any) -> None:
        raise SpoolError

    with monkeypatch.context() as broken:
        broken.setattr(spool, "finish", dies)
        await first.deliver()
    await Spooling(holds, spool, Metrics()).deliver()
    assert spool.waiting == 0
    rows = await pool.rows("select request_id, actual_nanousd, usage->>'ratio' from sark.cost_tracking order by 1")
    assert rows == [("c", 3_500_000, "1.50"), ("h", 3_500_000, "1.50")]
    assert held.hold is not None
    assert costing.priced_at == [held.hold.created_at, charged.received_at] * 2
    assert before <= charged.received_at <= datetime.now(UTC)
    again = await first.settle(encode("acme", "h"), SettleBody.model_validate(decoded(USAGE)), USAGE)
    assert not isinstance(again, SpooledAnswer)
    assert again.actual_usd == Decimal("0.0035")
