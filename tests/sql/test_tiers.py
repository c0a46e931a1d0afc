"""What differs between servers: chunks, columnstore, retention. The figures are the same on each."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from fixtures.database import Clock, hold_request, org, settlement
from fixtures.tiers import fold_all

from sark_opa.budget.ledger import Account
from sark_opa.storage import sizes, upkeep
from sark_opa.storage.ledger import PostgresLedger
from sark_opa.storage.migration_status import findings
from sark_opa.storage.migrations import migrate
from sark_opa.storage.pool import open_pool
from sark_opa.storage.verify import verify_url

pytestmark = pytest.mark.anyio

WEEKS = 14
EXPECTED = (294, "f087c13ee099e2f1")
"""Lines of the summaries, and a digest of them, for the traffic of these tests."""
SUMS = (
    "select dimension, key, day, charges, actual_nanousd, estimated_nanousd, input_tokens from sark.daily_costs"
    " order by 1, 2, 3"
)
CHARGES = (
    "select time, request_id, entry, kind, actual_nanousd, tokens, usage, tags, budget_day from sark.cost_tracking"
    " order by 2, 3"
)
COMPRESS = """
select compress_chunk(format('%%I.%%I', chunk_schema, chunk_name)::regclass) from timescaledb_information.chunks
where hypertable_schema = 'sark' and not is_compressed and range_end <= %(before)s
"""


async def traffic(pool, clock, *, before=None):
    """A request every other day for fourteen weeks; two in ten expire and are settled later, by which time is told.

    With `before` the first part alone: all but the late settlements, whose ids are given back.
    """
    ledger = PostgresLedger(pool, now=clock)
    await ledger.put_account(org(on_expiry="charge"))
    await ledger.put_account(Account("acme/team/ml", "acme", timezone="Asia/Kathmandu"))
    late = []
    for number in range(WEEKS * 7 // 2):
        request = f"r{number:02}"
        await ledger.hold(hold_request(request, 100, team="ml"))
        if number % 10 < 2:
            clock.move(hours=1)
            await ledger.expire()
            late.append((request, number))
        else:
            await ledger.settle(settlement(request, number, tokens={"input_tokens": number}))
        clock.move(days=2)
    if before is not None:
        await before()
    for request, number in late:
        await ledger.settle(settlement(request, number, tokens={"input_tokens": number}))
    await ledger.close()


def start():
    """Fourteen weeks before now, so that most of it is old."""
    return Clock(datetime.now(UTC).replace(hour=12) - timedelta(weeks=WEEKS))


async def weeks_ready(pool, clock):
    """On plain PostgreSQL: partitions for the past, as if the service had run."""
    await upkeep.keep_partitions(pool, now=clock.at, weeks_ahead=WEEKS + 1)


async def test_charges_of_fourteen_weeks_lie_in_so_many_parts(tier_pool, tier, tier_url):
    """Sums are those of the charges, booked in order or not; nothing lies outside its week; verify finds nothing."""
    clock = start()
    await weeks_ready(tier_pool, clock)
    await traffic(tier_pool, clock, before=lambda: fold_all(tier_pool))
    await fold_all(tier_pool)
    weeks = await sizes.weeks(tier_pool, tier)
    assert WEEKS <= len([week for week in weeks if week.starts_at and week.starts_at < datetime.now(UTC)]) <= WEEKS + 2
    if tier == "plain":
        assert await tier_pool.rows("select count(*) from sark.cost_tracking_default") == [(0,)]
    summed = await tier_pool.rows(SUMS)
    assert [row for row in summed if row[0] == "org"] == [
        ("org", "", *row)
        for row in await tier_pool.rows(
            "select budget_day, sum(case kind when 'reversal' then -1 else 1 end), sum(actual_nanousd),"
            " sum(case kind when 'reversal' then -estimated_nanousd else estimated_nanousd end),"
            " coalesce(sum((tokens ->> 'input_tokens')::bigint), 0) from sark.cost_tracking group by 1 order by 1"
        )
    ]
    await upkeep.rebuild_summaries(tier_pool)
    assert await tier_pool.rows(SUMS) == summed
    assert await verify_url(tier_url) == []
    assert await findings(tier_pool) == []


async def test_compressed_chunks_take_late_entries_and_nothing_else(tsl, empty_database_url):
    """Rows as they were; a late settlement books into its compressed week, once; edits are refused there, too."""
    async with open_pool(empty_database_url, statement_timeout_ms=60_000) as pool:
        await migrate(pool, tier="tsl")
        before: list[object] = []

        async def compress():
            await fold_all(pool)
            before.extend(await pool.rows(CHARGES))
            compressed = await pool.rows(COMPRESS, {"before": datetime.now(UTC) - timedelta(weeks=2)})
            assert len(compressed) >= WEEKS - 3
            assert await pool.rows(CHARGES) == before

        await traffic(pool, start(), before=compress)
        plan = "explain select from sark.cost_tracking where xid >= (select xid from sark.fold_mark)"
        assert "_ts_meta_max" in str(await pool.rows(plan))  # old rows are passed by, not unpacked
        weeks = await sizes.weeks(pool, "tsl")
        assert sum(week.compressed for week in weeks) >= WEEKS - 3
        after = await pool.rows(CHARGES)
        assert [row for row in after if row in before] == before
        assert len(after) == len(before) + 2 * 10
        assert await fold_all(pool) == 20
        assert await fold_all(pool) == 0
        with pytest.raises(Exception, match="refuses this"):
            await pool.rows("insert into sark.cost_tracking select * from sark.cost_tracking order by time limit 1")
        for statement in ("delete from sark.cost_tracking", "update sark.cost_tracking set actual_nanousd = 0"):
            with pytest.raises(Exception, match="refuses this"):
                await pool.rows(statement)
        assert await verify_url(empty_database_url) == []
        assert await findings(pool) == []


async def test_retention_drops_whole_weeks_on_each_tier(tier_pool, tier, tier_url):
    """Charges and their holds; summaries stay, and working them out anew leaves the dropped days alone."""
    clock = start()
    await weeks_ready(tier_pool, clock)
    await traffic(tier_pool, clock)
    await fold_all(tier_pool)
    if tier == "tsl":
        await tier_pool.rows(COMPRESS, {"before": datetime.now(UTC) - timedelta(weeks=2)})
    summed = await tier_pool.rows(SUMS)
    await upkeep.keep_charges(tier_pool, 62)
    assert await upkeep.drop_old(tier_pool) > 10
    kept_from = (await upkeep.storage(tier_pool)).charges_kept_from
    assert kept_from is not None
    assert 62 <= (datetime.now(UTC) - kept_from).days <= 62 + (7 if tier == "plain" else 14)
    ((oldest,),) = await tier_pool.rows("select min(time) from sark.cost_tracking")
    assert oldest >= kept_from
    old_holds = "select count(*) from sark.holds where charged_at < %(at)s"
    assert await tier_pool.rows(old_holds, {"at": kept_from}) == [(0,)]
    assert await tier_pool.rows(SUMS) == summed
    await upkeep.rebuild_summaries(tier_pool)
    assert await tier_pool.rows(SUMS) == summed
    assert await upkeep.drop_old(tier_pool) == 0
    assert await verify_url(tier_url) == []


async def test_a_compression_policy_is_there(tsl, empty_database_url):
    """TimescaleDB compresses by itself, segmented by org."""
    async with open_pool(empty_database_url) as pool:
        await migrate(pool, tier="tsl")
        jobs = "select count(*) from timescaledb_information.jobs where hypertable_name = 'cost_tracking'"
        assert await pool.rows(f"{jobs} and proc_name in ('policy_compression', 'policy_columnstore')") == [(1,)]


async def test_figures_are_the_same_on_each_tier(tier_pool, tier):
    """The same traffic gives the same summaries, whatever the server is."""
    clock = Clock(datetime(2024, 1, 1, 12, tzinfo=UTC))
    await weeks_ready(tier_pool, clock)
    await traffic(tier_pool, clock)
    await fold_all(tier_pool)
    summed = sorted(await tier_pool.rows(SUMS))
    assert (len(summed), hashlib.sha256(repr(summed).encode()).hexdigest()[:16]) == EXPECTED
