"""Re-ratings among all else the ledger does: windows, holds and summaries follow, and answers stay what they were."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test
from property.test_ledger_property import LedgerMachine, amounts

from sark_opa.storage.audit import Actor, Event
from sark_opa.storage.pool import open_pool
from sark_opa.storage.price_books import register
from sark_opa.storage.rerating import NewPrice, Reratings, Selection

_serial = itertools.count()
ALL = Selection(datetime(2020, 1, 1, tzinfo=UTC))
END = datetime(2100, 1, 1, tzinfo=UTC)
BOOKS = ("cheap", "dear")
SUMMARIES_THAT_DIFFER = """
with charged as (
  select org, budget_day as day, sum(actual_nanousd)::bigint as actual,
    sum(case when kind = 'reversal' then -1 else 1 end) as charges
  from sark.cost_tracking group by org, budget_day
)
select * from charged c full join sark.daily_costs d on d.org = c.org and d.day = c.day and d.dimension = 'org'
where (d.dimension = 'org' or d.org is null) and (c.actual, c.charges) is distinct from (d.actual_nanousd, d.charges)
"""


class RatingMachine(LedgerMachine):
    """The ledger's machine, with books that change."""

    @initialize()
    def open_store(self):
        """Two books."""
        self.store = Reratings(self.pool)
        for revision in BOOKS:
            self.runner.run(register(self.pool, revision, price_list="genai-prices-0", overlay=None))

    async def present(self):
        """What the ledger says can be priced anew."""
        found = []
        async for charges in self.store.present_charges(self.org, ALL, END):
            found += charges
        return found

    @rule(
        book=st.sampled_from(BOOKS), amount=amounts, share=st.integers(1, 3), finished=st.booleans(),
        entry_before=st.booleans(),
    )  # fmt: skip
    def rerate(self, *, book, amount, share, finished, entry_before):
        """Book another amount for some charges; what is not the present charge, or costs that already, is left."""
        charges = self.runner.run(self.present())
        assert all(c.actual_nanousd == self.model.holds[c.request_id].booked for c in charges)
        settled = {name for name, hold in self.model.holds.items() if hold.state == "settled"}
        assert {c.request_id for c in charges if c.kind == "charge"} == settled
        chosen = charges[::share]
        event = Event(Actor("ada", "owner"), "rerating.begin", self.org)
        rerating_id = f"rr-{next(_serial)}"
        begun = self.runner.run(self.store.begin(self.org, rerating_id, book, ALL, reason="a test", event=event))
        prices = [NewPrice(c.request_id, c.charged_at, c.entry - entry_before, amount) for c in chosen]
        if prices:
            told = self.runner.run(self.store.book(self.org, begun, book, prices))
            for charge in chosen:
                hold = self.model.holds[charge.request_id]
                booked = charge.kind == "charge" and not entry_before and hold.booked != amount
                assert told[charge.request_id] == ("booked" if booked else "changed")
                if booked:
                    self.model.rerate(charge.request_id, amount)
        if finished:
            self.runner.run(self.store.finish(self.org, begun, event))

    def compare_charge(self, told, charge, request_id):
        """A charge is answered as it was when it was settled."""
        if told != "settled":
            assert charge == told
            return
        known = self.model.holds[request_id]
        assert (charge.actual_nanousd, charge.held_nanousd, charge.charged_at, charge.late, charge.hold_exceeded) == (
            known.settlement.actual_nanousd, max(known.amounts), known.charged_at, *known.flags,
        )  # fmt: skip

    def teardown(self):
        """And the summaries say what the charges say."""
        super().teardown()
        self.runner.run(self.summed())

    async def summed(self):
        """Fold until they do; whoever has a transaction open on the server holds it back."""
        async with asyncio.timeout(60):
            while await self.pool.rows(SUMMARIES_THAT_DIFFER):  # what others do sets no event
                await self.pool.rows("select sark.fold_v1(100000)")
                await asyncio.sleep(0.05)


def test_re_ratings_in_any_order_keep_everything_equal(database_url):
    """After any sequence of holds, settlements, expiries, charges and re-ratings the sums agree at every level."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        pool = runner.run(stack.enter_async_context(open_pool(database_url)))
        try:
            run_state_machine_as_test(
                partial(RatingMachine, pool, runner),
                settings=settings(max_examples=25, stateful_step_count=25, deadline=None),
            )
        finally:
            runner.run(stack.aclose())
