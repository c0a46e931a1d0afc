"""A database of an earlier version, with charges in it, brought to this one."""

from __future__ import annotations

import shutil

import pytest
from fixtures.database import hold_request, org, settlement
from fixtures.tiers import fold_all

from sark_opa import bundled
from sark_opa.storage import upkeep
from sark_opa.storage.ledger import PostgresLedger
from sark_opa.storage.migration_status import findings
from sark_opa.storage.migrations import migrate
from sark_opa.storage.pool import open_pool
from sark_opa.storage.verify import verify_url

pytestmark = pytest.mark.anyio

LAST_BEFORE = 4
"""The last migration before charges were kept by time."""
FILL = """
insert into sark.accounts (org, account, parent, path, unknown_principals) values
  ('acme', 'acme', null, '{acme}', 'create'),
  ('acme', 'acme/team/ml', 'acme', '{acme/team/ml,acme}', 'create'),
  ('acme', 'acme/principal/ada', 'acme/team/ml', '{acme/principal/ada,acme/team/ml,acme}', 'create');
insert into sark.counters
  (org, account, day_starts_at, day_ends_at, month_starts_at, month_ends_at, day_spent, month_spent)
select org, account, '2024-05-29', '2024-05-30', '2024-05-01', '2024-06-01', 0, 0 from sark.accounts;
insert into sark.holds (org, request_id, path, amounts, expected, fingerprint, attribution, state, charged_at,
  expires_at, ended_at, booked, settlement_fingerprint, expiry_booked, late)
select 'acme', 'r' || i, '{acme/principal/ada,acme/team/ml,acme}', array[100, 100, 100], 50, 'x', '{}', 'settled', h.at,
  h.at + interval '1 minute', h.at + interval '1 hour', i, 'y', i % 10 = 0, i % 10 = 0
from generate_series(1, 3000) i
cross join lateral (select timestamptz '2024-01-01 00:30 UTC' + i * interval '70 minutes' as at) h;
insert into sark.cost_tracking (time, org, request_id, entry, kind, account, path, principal_id, resource_id,
  capability_id, provider, model, tokens, usage, estimated_nanousd, held_nanousd, actual_nanousd, price_revision,
  late, hold_exceeded, estimated, tags, metadata, budget_day)
select h.charged_at, h.org, h.request_id, e.entry, e.kind, h.path[1], h.path, 'ada', 'openai', 'chat',
  case when h.booked % 7 > 0 then 'openai' end, case when h.booked % 7 > 0 then 'gpt-4o' end,
  jsonb_build_object('input_tokens', h.booked), '{"prompt_tokens": 1}', 50, 100, e.actual, 'rev', e.entry > 1, false,
  e.kind = 'expiry', '{"env": "prod", "schlüssel": "a=b"}', '{}', (h.charged_at at time zone 'UTC')::date
from sark.holds h
cross join lateral (
  select 1 as entry, 'expiry' as kind, 100 as actual where h.expiry_booked
  union all select 2, 'reversal', -100 where h.expiry_booked
  union all select case when h.expiry_booked then 3 else 1 end, 'charge', h.booked
) e;
insert into sark.period_history
select h.org, a.account, p.period, date_trunc(p.period, h.charged_at, 'UTC'),
  date_trunc(p.period, h.charged_at, 'UTC') + ('1 ' || p.period)::interval, sum(h.booked), 0
from sark.holds h cross join lateral unnest(h.path) a(account) cross join (values ('day'), ('month')) p(period)
where h.charged_at < case p.period when 'day' then '2024-05-29' else '2024-05-01' end::timestamptz
group by 1, 2, 3, 4, 5;
update sark.counters c set
  day_spent = (select coalesce(sum(booked), 0) from sark.holds where charged_at >= c.day_starts_at),
  month_spent = (select coalesce(sum(booked), 0) from sark.holds where charged_at >= c.month_starts_at);
insert into sark.access_tokens (name, role, sha256) values ('gateway', 'settle', sha256('x'));
insert into sark.audit_events (actor, role, action, subject, outcome)
values ('admin', 'admin', 'account.put', 'acme', 'ok');
"""
SAME = {
    "sark.cost_tracking": "time, org, request_id, entry, kind, account, path, principal_id, resource_id, capability_id,"
    " provider, model, tokens, usage, estimated_nanousd, held_nanousd, actual_nanousd, currency, price_revision, late,"
    " hold_exceeded, estimated, tags, metadata, budget_day, recorded_at, xid::text",
    "sark.holds": "org, request_id, path, amounts, expected, fingerprint, attribution, state, charged_at, expires_at,"
    " ended_at, asked, direct, booked, expiry_booked, settlement_fingerprint, late",
    "sark.counters": "org, account, enforcement, timezone, day_limit, day_spent, day_held, month_spent, month_held",
    "sark.period_history": "*",
    "sark.access_tokens": "name, role, sha256, created_at, expires_at, revoked_at",
    "sark.audit_events": "*",
}


async def rows(pool):
    """All that has to come through as it is."""
    order = "order by 1, 2, 3, 4"
    return {table: await pool.rows(f"select {columns} from {table} {order}") for table, columns in SAME.items()}


@pytest.fixture
async def earlier(anyio_backend, tier_url, tmp_path):
    """A pool on a database of the earlier version, with three thousand requests in it."""
    sql = shutil.copytree(bundled.folder("sql"), tmp_path / "sql")
    for file in [*(sql / "migrations").glob("*.sql"), *(sql / "functions").glob("*.sql")]:
        if file.parent.name == "functions" or int(file.name[:4]) > LAST_BEFORE:
            file.unlink()
    async with open_pool(tier_url, statement_timeout_ms=60_000) as pool:
        await migrate(pool, sql, tier="plain")
        async with pool.connection() as connection, connection.transaction():
            await connection.execute(FILL)
        yield pool


async def test_an_upgrade_keeps_every_row(earlier, tier, tier_url):
    """Charges, holds, windows, tokens and events as they were; then all is as on a new database, and works."""
    before = await rows(earlier)
    applied = await migrate(earlier, tier=tier)
    assert applied[0].startswith(f"{LAST_BEFORE + 1:04}_")
    assert len(before["sark.cost_tracking"]) == 3_600
    assert await rows(earlier) == before
    assert await findings(earlier) == []
    assert await verify_url(tier_url) == []
    await upkeep.keep_partitions(earlier)
    assert await rows(earlier) == before
    assert await fold_all(earlier) == 3_600
    (summed,) = await earlier.rows(
        "select sum(charges), sum(actual_nanousd), count(*) from sark.daily_costs where dimension = 'account'"
    )
    assert summed == (3_000, sum(range(1, 3_001)), 146)
    ledger = PostgresLedger(earlier)
    assert (await ledger.hold(hold_request("new", 1))).status == "held"
    await ledger.settle(settlement("new", 1))
    await ledger.close()
    assert await fold_all(earlier) == 1
    assert await verify_url(tier_url) == []


async def test_charges_of_before_are_grouped_by_several_dimensions(tier_pool, tier, tier_url):
    """Those that were in the summaries already, by upkeep, and those that were not, by the next fold; each once."""
    await upkeep.keep_partitions(tier_pool)
    async with tier_pool.connection() as connection, connection.transaction():
        await connection.execute(FILL)
    await fold_all(tier_pool)
    lines = "select * from sark.daily_groups order by day, path, grain, principal_id, resource_id, provider, model"
    grouped = await tier_pool.rows(lines)
    await tier_pool.rows("drop table sark.daily_groups, sark.daily_groups_from")
    await tier_pool.rows("delete from sark.migrations where number = 13")
    assert await migrate(tier_pool, tier=tier) == ["0013_rollups"]
    ledger = PostgresLedger(tier_pool)
    await ledger.charge(hold_request("new", 1), settlement("new", 1))
    await ledger.close()
    assert await tier_pool.rows("select org, day::text from sark.daily_groups_from") == [("acme", "infinity")]
    while await tier_pool.rows("select from sark.daily_groups_from"):
        await upkeep.fold(tier_pool)
    await fold_all(tier_pool)
    assert (await tier_pool.rows(lines))[: len(grouped)] == grouped
    assert await tier_pool.rows("select sum(charges) from sark.daily_groups") == [(2 * 3_001,)]
    assert await findings(tier_pool) == []
    assert await verify_url(tier_url) == []


BEFORE_QUOTAS = 10
OPEN = """
insert into sark.accounts (org, account, parent, path, unknown_principals) values
  ('acme', 'acme', null, '{acme}', 'create'),
  ('acme', 'acme/principal/ada', 'acme', '{acme/principal/ada,acme}', 'deny');
insert into sark.counters
  (org, account, day_starts_at, day_ends_at, month_starts_at, month_ends_at, day_held, month_held)
select org, account, date_trunc('day', now(), 'UTC'), date_trunc('day', now(), 'UTC') + interval '1 day',
  date_trunc('month', now(), 'UTC'), date_trunc('month', now(), 'UTC') + interval '1 month', 30, 30 from sark.accounts;
insert into sark.holds (org, request_id, path, amounts, expected, fingerprint, attribution, charged_at, expires_at)
select 'acme', r, '{acme/principal/ada,acme}', array[10, 10], 10, 'x',
  '{"principal_id": "ada", "resource_id": "r", "capability_id": "c"}', now(), now() + interval '1 hour'
from unnest(array['settled', 'released', 'expired']) r;
"""


@pytest.fixture
async def before_quotas(anyio_backend, tier_url, tmp_path, tier):
    """A pool on a database of the version before quotas, with three open holds."""
    sql = shutil.copytree(bundled.folder("sql"), tmp_path / "sql")
    for file in [*(sql / "migrations").glob("*.sql"), *(sql / "functions").glob("*.sql")]:
        if file.parent.name == "functions" or int(file.name[:4]) > BEFORE_QUOTAS:
            file.unlink()
    async with open_pool(tier_url, statement_timeout_ms=60_000) as pool:
        await migrate(pool, sql, tier=tier)
        async with pool.connection() as connection, connection.transaction():
            await connection.execute(OPEN)
        yield pool


async def test_holds_of_before_end_in_no_quota(before_quotas, tier, tier_url):
    """Holds that were open when quotas came end as they would have; what is held since then counts."""
    await migrate(before_quotas, tier=tier)
    assert await findings(before_quotas) == []
    ledger = PostgresLedger(before_quotas)
    await ledger.put_account(org(calls_daily_limit=1))
    await ledger.settle(settlement("settled", 4))
    await ledger.release("acme", "released")
    await before_quotas.rows("update sark.holds set expires_at = now() where request_id = 'expired' returning 1")
    assert await ledger.expire() == 1
    statuses = [(await ledger.hold(hold_request(request_id, 1))).status for request_id in ("new", "newer")]
    assert statuses == ["held", "blocked"]
    standing = await ledger.account_standing("acme")
    assert [(quota.used, quota.held) for quota in standing.quotas] == [(0, 1)]
    assert standing.windows[0].spent_nanousd == 14
    await ledger.close()
    assert await verify_url(tier_url) == []
