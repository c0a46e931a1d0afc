"""Summaries, partitions, retention: what the database needs now and then."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest
from fixtures.database import hold_request, org, settlement

from sark_opa.budget.ledger import Account, Attribution
from sark_opa.errors import MigrationError
from sark_opa.storage import upkeep
from sark_opa.storage.pool import open_pool

pytestmark = pytest.mark.anyio

SUMS = """
select org, dimension, key, day, charges, actual_nanousd, estimated_nanousd, input_tokens from sark.daily_costs
order by 1, 2, 3, 4
"""


def attribution(principal="ada", **changes):
    """What a request of `ada` is for."""
    fields = {"provider": "openai", "model": "gpt-4o"}
    return Attribution(principal, "openai", "chat.completions", **(fields | changes))


async def charged(ledger, request_id, actual, **changes):
    """Hold and settle."""
    await ledger.hold(hold_request(request_id, 10, **changes))
    return await ledger.settle(
        settlement(request_id, actual, tokens={"input_tokens": 5, "output_tokens": 2}, fingerprint=b"x")
    )


async def test_each_dimension_has_its_sums(pool, timed, execute):
    """Org, principal, resource, capability, model, the accounts between, and tags: each by day."""
    await timed.put_account(org())
    await timed.put_account(Account("acme/team/ml", "acme"))
    tagged = attribution(tags={"env": "prod"})
    await charged(timed, "r1", 7, team="ml", attribution=tagged)
    await charged(timed, "r2", 3, team="ml")
    assert await upkeep.fold(pool) == 2
    day = datetime(2024, 5, 15, tzinfo=UTC).date()
    both = (day, 2, 10, 20, 10)
    assert execute(SUMS) == [
        ("acme", "account", "acme/team/ml", *both),
        ("acme", "capability", "chat.completions", *both),
        ("acme", "model", "openai/gpt-4o", *both),
        ("acme", "org", "", *both),
        ("acme", "principal", "ada", *both),
        ("acme", "resource", "openai", *both),
        ("acme", "tag", "env=prod", day, 1, 7, 10, 5),
    ]
    assert execute("select date, principal_id, invocation_count, total_cost from sark.mv_daily_cost_summary") == [
        (day, "ada", 2, Decimal("1e-8"))
    ]


async def test_folding_again_adds_nothing_and_new_charges_are_added(pool, timed, execute):
    """The mark moves; nothing is counted twice."""
    await timed.put_account(org())
    await charged(timed, "r1", 7)
    assert [await upkeep.fold(pool), await upkeep.fold(pool)] == [1, 0]
    await charged(timed, "r2", 2)
    assert await upkeep.fold(pool) == 1
    assert execute("select charges, actual_nanousd from sark.daily_costs where dimension = 'org'") == [(2, 9)]


async def test_an_expired_hold_that_is_settled_late_counts_once(pool, timed, clock, execute):
    """The estimate charged at expiry is taken back by its reversal, in every column."""
    await timed.put_account(org())
    await timed.hold(hold_request("r1", 10))
    clock.move(minutes=5)
    assert await timed.expire() == 1
    assert await upkeep.fold(pool) == 1
    await timed.settle(settlement("r1", 4, tokens={"input_tokens": 5}))
    assert await upkeep.fold(pool) == 2
    query = (
        "select charges, actual_nanousd, estimated_nanousd, input_tokens from sark.daily_costs where dimension = 'org'"
    )
    assert execute(query) == [(1, 4, 10, 5)]


async def test_a_transaction_that_is_open_is_not_skipped(pool, timed, database_url, execute):
    """What commits after a later transaction was seen is picked up by the next fold."""
    await timed.put_account(org())
    await charged(timed, "r1", 7)
    with psycopg.connect(database_url) as slow:
        slow.execute("create table other (i integer)")  # it has its transaction id now
        await charged(timed, "r2", 2)
        assert await upkeep.fold(pool) == 1  # r1: the slow one began before r2
        slow.commit()
    assert await upkeep.fold(pool) == 1
    assert execute("select charges, actual_nanousd from sark.daily_costs where dimension = 'org'") == [(2, 9)]


async def test_folders_that_race_add_each_charge_once(timed, database_url, execute):
    """Many schedulers at once, small parts: the sums are those of the charges."""
    await timed.put_account(org())
    async with open_pool(database_url, size_max=6) as pool:
        for turn in range(4):
            await asyncio.gather(
                *(charged(timed, f"{turn}-{i}", i) for i in range(30)),
                *(upkeep.fold(pool, rows_max=7) for _ in range(5)),
            )
        while await upkeep.fold(pool, rows_max=7):
            pass
    assert execute("select charges, actual_nanousd from sark.daily_costs where dimension = 'org'") == [
        (120, 4 * sum(range(30)))
    ]


async def test_a_tag_with_too_many_values_is_kept_as_other(pool, timed, execute):
    """The first thousand have a line each; the sum over the tag stays right."""
    await timed.put_account(org())
    execute("insert into sark.tags values ('acme', 'trace', 999)")
    for i in range(4):
        await charged(timed, f"r{i}", 2, attribution=attribution(tags={"trace": f"t{i}"}))
        await upkeep.fold(pool)
    keys = "select key, charges from sark.daily_costs where dimension = 'tag' order by 1"
    assert execute(keys) == [("trace=(other)", 3), ("trace=t0", 1)]


async def test_how_far_estimates_were_off(pool, timed, execute):
    """In steps of 5 %, clamped at nothing and at three times the estimate."""
    await timed.put_account(org())
    for number, actual in enumerate((0, 94, 95, 100, 104, 105, 1_000)):
        await timed.hold(hold_request(f"r{number}", 100))
        await timed.settle(settlement(f"r{number}", actual))
    await upkeep.fold(pool)
    rows = execute("select bucket, charges from sark.daily_estimate_errors where key = 'openai/gpt-4o' order by 1")
    assert rows == [(-20, 1), (-2, 1), (-1, 1), (0, 2), (1, 1), (40, 1)]


async def test_a_database_that_was_restored_is_noticed_and_rebuilt(pool, timed, execute):
    """Its transaction ids begin anew, so the mark is good for nothing; what comes afterwards is folded as ever."""
    await timed.put_account(org())
    await charged(timed, "r1", 7)
    await upkeep.fold(pool)
    await charged(timed, "r2", 2)
    execute("update sark.fold_mark set server = 'another', xid = 9000000000000")
    for work in (upkeep.fold, upkeep.require_own_summaries):  # the latter at the start of each service
        with pytest.raises(MigrationError, match="restored on another server"):
            await work(pool)
    assert await upkeep.rebuild_summaries(pool) == 2
    await upkeep.require_own_summaries(pool)
    await charged(timed, "r3", 1)
    assert await upkeep.fold(pool) == 1
    assert execute("select charges, actual_nanousd from sark.daily_costs where dimension = 'org'") == [(3, 10)]


def partitions(execute):
    """The partitions there are; none where TimescaleDB makes chunks."""
    query = "select count(*) from pg_inherits where inhparent = 'sark.cost_tracking'::regclass"
    return execute(query)[0][0]


@pytest.fixture
def plain(execute):
    """Skip where TimescaleDB makes chunks by itself."""
    if execute("select tier from sark.storage") != [("plain",)]:
        pytest.skip("TimescaleDB makes chunks as they are needed")


async def test_partitions_are_made_ahead_and_strays_moved(plain, pool, timed, execute):
    """What fell into the default partition goes to its week, with everything about it as it was; only once folded."""
    await timed.put_account(org())
    await charged(timed, "r1", 7)
    await upkeep.fold(pool)
    await charged(timed, "r2", 2)
    before = execute("select * from sark.cost_tracking order by request_id")
    assert execute("select count(*) from sark.cost_tracking_default") == [(2,)]
    now = datetime(2024, 5, 20, tzinfo=UTC)
    assert await upkeep.keep_partitions(pool, now=now) == 7
    assert await upkeep.keep_partitions(pool, now=now) == 0
    assert partitions(execute) == 8
    assert execute("select count(*) from sark.cost_tracking_20240513") == [(2,)]
    assert execute("select * from sark.cost_tracking order by request_id") == before
    await charged(timed, "r3", 1)
    assert await upkeep.fold(pool) == 2
    assert execute("select charges, actual_nanousd from sark.daily_costs where dimension = 'org'") == [(3, 10)]
    assert execute("select count(*) from sark.cost_tracking_20240513") == [(3,)]


async def test_no_partition_may_be_edited(plain, pool, timed, execute):
    """The triggers guard each partition too, by whatever name rows are reached."""
    await timed.put_account(org())
    await charged(timed, "r1", 7)
    await upkeep.keep_partitions(pool, now=datetime(2024, 5, 15, tzinfo=UTC))
    for table in ("sark.cost_tracking", "sark.cost_tracking_20240513", "sark.cost_tracking_default"):
        for statement in (f"truncate {table}", f"update {table} set late = true where true", f"delete from {table}"):
            if table.endswith("default") and not statement.startswith("truncate"):
                continue  # it is empty
            with pytest.raises(psycopg.Error, match="append-only"):
                execute(statement)


async def test_schedulers_that_race_make_each_partition_once(plain, database_url):
    """One works, the others find it being done or done."""
    async with open_pool(database_url, size_max=8) as pool:
        made = await asyncio.gather(*(upkeep.keep_partitions(pool) for _ in range(8)))
    assert sorted(made) == [0] * 7 + [7]


async def test_old_charges_and_their_holds_are_dropped_and_summaries_stay(pool, timed, clock, execute):
    """Only what is in the summaries is dropped, whole weeks of it; open holds and what came later stay."""
    await timed.put_account(org())
    await charged(timed, "old", 7)
    await timed.hold(hold_request("open", 1, ttl_s=86_400))
    clock.move(days=100)
    await upkeep.keep_partitions(pool, now=clock.at - timedelta(days=100))
    await charged(timed, "new", 2)
    await upkeep.keep_charges(pool, 62)
    assert await upkeep.drop_old(pool, now=clock.at) == 0  # not in the summaries yet
    assert execute("select count(*) from sark.cost_tracking") == [(2,)]
    await upkeep.fold(pool)
    assert await upkeep.drop_old(pool, now=clock.at) == 1
    assert execute("select request_id from sark.cost_tracking") == [("new",)]
    assert execute("select request_id from sark.holds order by 1") == [("new",), ("open",)]
    assert execute("select sum(actual_nanousd) from sark.daily_costs where dimension = 'org'") == [(9,)]
    assert (await upkeep.storage(pool)).charges_kept_from == datetime(2024, 6, 17, tzinfo=UTC)


async def test_charges_are_kept_for_two_months_at_least(pool):
    """The running windows and the last ones are still booked into."""
    with pytest.raises(Exception, match="storage_keeps_two_months"):
        await upkeep.keep_charges(pool, 61)
