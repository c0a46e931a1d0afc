"""Reports at the database: exact while charges are folded, tags with too many values, plans of the hot statements."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from fixtures.database import hold_request, org, replicas, settlement

from sark_opa.budget.ledger import Account, Attribution
from sark_opa.reports.costs import Costs
from sark_opa.reports.request import LIMIT_MAX, Period, cost_request, filters_of
from sark_opa.storage import upkeep
from sark_opa.storage.pool import open_pool

pytestmark = pytest.mark.anyio

MANY = """
insert into sark.cost_tracking (
  time, org, request_id, entry, kind, account, path, principal_id, resource_id, capability_id, provider, model, tokens,
  estimated_nanousd, held_nanousd, actual_nanousd, late, hold_exceeded, estimated, tags, budget_day
)
select at, o, 'r' || i, 1, 'charge', o || '/principal/p' || i % 300,
  array[o || '/principal/p' || i % 300, o || '/team/t' || i % 300 % 7, o], 'p' || i % 300, 'r' || i % 9, 'c' || i % 11,
  'v', 'm' || i % 13, '{"input_tokens": 7}', 10, 10, 9, false, false, false, '{}', (at at time zone 'UTC')::date
from generate_series(1, 50000) i
cross join lateral (select 'org' || i % 5 as o, now() - i * interval '50 seconds' as at) x
"""


def request_of(org_name, *groups, **filters):
    """A report of all groups."""
    return cost_request(
        org=org_name, period=Period(), group_by=groups, filters=filters_of(org_name, filters), limit=LIMIT_MAX
    )


async def test_reports_are_exact_while_charges_are_folded(database_url):
    """Each holds every charge that was booked before it was asked for, none twice, whatever folds meanwhile."""
    async with replicas(database_url, 2) as ledgers, open_pool(database_url, size_max=8) as pool:
        await ledgers[0].put_account(org())
        costs, begun, booked, seen = Costs(pool, at_once=4), 0, 0, []

        async def charge(lane):
            nonlocal begun, booked
            for number in range(40):
                begun += 1
                request_id = f"{lane}-{number}"
                await ledgers[lane % 2].charge(
                    hold_request(request_id, 1, principal_id=f"p{lane}"), settlement(request_id, 1)
                )
                booked += 1

        async def fold():
            while booked < 160:
                await upkeep.fold(pool, rows_max=9)

        async def look(*groups):
            while booked < 160:
                least = booked
                answer = await costs.summary(request_of("acme", *groups))
                seen.append(answer.source)
                assert least <= answer.totals.charges <= begun
                assert sum(row.charges for row in answer.rows) == answer.totals.charges

        await asyncio.gather(
            *(charge(lane) for lane in range(4)), fold(), fold(), look("principal"), look("model", "day"), look("team")
        )
        assert len(seen) > 10
        assert set(seen) == {"summaries"}
        assert (await costs.summary(request_of("acme", "principal"))).totals.charges == 160


async def test_a_tag_with_too_many_values_is_told_as_in_the_summaries(pool, timed, execute):
    """Later ones are `(other)`, before they are folded as afterwards; a filter finds each all the same."""
    costs = Costs(pool)
    await timed.put_account(org())
    execute("insert into sark.tags values ('acme', 'trace', 999)")
    period = Period(datetime(2024, 5, 1, tzinfo=UTC), datetime(2024, 6, 1, tzinfo=UTC))
    by_trace = cost_request(org="acme", period=period, group_by=["tag:trace"], filters=filters_of("acme", {}))
    of_two = cost_request(
        org="acme", period=period, group_by=[], filters=filters_of("acme", {}, ["trace=t2", "trace=t3"])
    )

    async def charge(number):
        tags = {"trace": f"t{number}"} if number else {}
        attribution = Attribution("ada", "openai", "chat", tags=tags)
        await timed.hold(hold_request(f"r{number}", 5, attribution=attribution))
        await timed.settle(settlement(f"r{number}", 5))

    await charge(1)
    await upkeep.fold(pool)
    for number in (0, 2, 3):
        await charge(number)
    for _ in range(2):
        answer = await costs.summary(by_trace)
        assert answer.source == "summaries"
        assert {row.key["tag:trace"]: row.charges for row in answer.rows} == {"(other)": 2, "t1": 1, None: 1}
        found = await costs.summary(of_two)
        assert (found.source, found.totals.charges) == ("charges", 2)
        await upkeep.fold(pool)


async def test_teams_below_teams_are_noticed_for_good(pool, timed, execute):
    """Once a team lay below another one, its charges are told by the nearest team; moved away again, too."""
    costs = Costs(pool)
    await timed.put_account(org())
    await timed.put_account(Account("acme/team/a", "acme"))
    await timed.put_account(Account("acme/team/b", "acme/team/a"))
    await timed.hold(hold_request("r1", 5, team="b"))
    await timed.settle(settlement("r1", 5))
    await timed.put_account(Account("acme/team/b", "acme"))
    await upkeep.fold(pool)
    request = cost_request(
        org="acme", period=Period(datetime(2024, 5, 1, tzinfo=UTC)), group_by=["team"], filters=filters_of("acme", {})
    )
    answer = await costs.summary(request)
    assert [(row.key["team"], row.charges) for row in answer.rows] == [("b", 1)]
    assert (answer.source, execute("select org from sark.nested_teams")) == ("summaries", [("acme",)])
    grouped = "select grain, path from sark.daily_groups order by 1"
    assert execute(grouped)[0] == ("team_model", "\nacme/team/b\nacme/team/a\nacme")


async def test_unpriced_calls_add_up(pool, execute):
    """Over turns and processes, by org, day and model."""
    costs = Costs(pool)
    now = datetime.now(UTC)
    row = '{"org": "acme", "provider": "p", "model": "m", "status": "unpriced", "calls": %d, "last_at": "%s"}'
    for calls, at in ((2, now), (3, now - timedelta(minutes=1)), (1, now - timedelta(days=400))):
        await costs.count_unpriced(f"[{row % (calls, at.isoformat())}]".encode())
    execute(
        "insert into sark.accounts (org, account, path) values ('acme', 'acme', '{acme}');"
        "insert into sark.counters (org, account, day_starts_at, day_ends_at, month_starts_at, month_ends_at)"
        " select 'acme', 'acme', now(), now(), now(), now()"
    )
    answer = await costs.unpriced("acme", Period(), limit=10)
    assert [(found.model, found.calls) for found in answer.rows] in ([("m", 5)], [("m", 2)], [("m", 3)])
    assert answer.calls == sum(
        execute("select calls from sark.unpriced_calls where day > now() - interval '30 days'")[0]
    )


ONE = """
select sark.cost_summary_v1('org1', %s, %s, %s, %s, current_date - 29, current_date + 1, null, null, 'UTC', true, '{}',
  'actual_usd', 100, null)
"""
READ = """
select coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::bigint from pg_stat_xact_all_tables
where relname like 'cost_tracking%' or relname like '_hyper_%_chunk'
"""


async def test_a_report_of_sums_reads_no_charge_that_is_folded(execute, database_url):
    """At 50,000 charges: of them only what is behind the mark, by index."""
    execute(MANY)
    async with open_pool(database_url, statement_timeout_ms=60_000) as pool:
        await upkeep.fold(pool, rows_max=100_000)
    execute("vacuum analyze sark.daily_costs")
    execute("vacuum analyze sark.daily_groups")
    execute("vacuum analyze sark.cost_tracking")  # as autovacuum would
    with psycopg.connect(database_url) as connection:
        read = connection.execute(READ).fetchone()[0]
        for dimension, unit, kinds in (
            ("principal", None, ["principal"]),
            ("account", "day", ["team"]),
            ("model", "month", ["provider", "model"]),
            ("org", "day", []),
            ("team_model", "day", ["team", "model"]),
            ("team_principal", None, ["team", "principal"]),
        ):
            parameters = (dimension, unit, kinds, [None] * len(kinds))
            ((answer,),) = connection.execute(ONE, parameters).fetchall()
            assert answer[2][0] == 10_000
            read, before = connection.execute(READ).fetchone()[0], read
            assert read - before < 2_000, dimension
        connection.execute(ONE, (None, None, ["principal"], [None]))
        assert connection.execute(READ).fetchone()[0] - read >= 10_000, "what is counted is not what is read"
