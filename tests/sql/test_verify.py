"""The check of a live ledger: nothing to say about a sound one, and a word for each way it can be broken."""

from __future__ import annotations

import psycopg
import pytest
from fixtures.database import hold_request, org, settlement

from sark_opa.budget.ledger import Account, Attribution
from sark_opa.errors import DatabaseUnavailableError
from sark_opa.storage import queries, upkeep
from sark_opa.storage.verify import verify, verify_url

pytestmark = pytest.mark.anyio

# With triggers, foreign keys and all else that is checked row by row out of the way, as a hand that goes past the
# functions would have it. The statements run one by one in one session.
UNGUARDED = "set session_replication_role = replica"
CALLS, TOKENS = "E'acme\\x1fcalls'", "E'acme\\x1ftokens'"
LOST_AMOUNT = "alter table sark.holds drop constraint holds_amount_each_level"

BROKEN = {
    "I1_admissions_within_limit": [
        # A hold of 10 that only a limit of 1000 let in, where 9 was the most.
        ("update sark.counters set day_limit_enforced = 9 where account = 'acme'", "the day window admitted"),
        ("update sark.counters set month_limit_enforced = 9 where account = 'acme'", "the month window admitted"),
        (f"update sark.counters set month_limit_enforced = 1 where account = {CALLS}", "acme calls: the month window"),
        (f"update sark.counters set day_limit_enforced = 1 where account = {TOKENS}", "acme tokens: the day window"),
    ],
    "I2_held_at_every_level": [
        ("update sark.counters set day_held = day_held + 1 where account = 'acme/team/ml'", "acme/team/ml: the day"),
        ("update sark.counters set month_held = 0 where account = 'acme'", "acme: the month window"),
        ("update sark.period_history set held = held + 1 where account = 'acme'", "acme: the day window"),
        ("delete from sark.holds where state = 'held'", "its holds sum up to 0"),
        (f"update sark.counters set day_held = 0 where account = {TOKENS}", "acme tokens: the day window"),
    ],
    "I2_all_ancestors": [
        (
            "update sark.holds set path = path[:2], amounts = amounts[:2] where state = 'held'",
            "does not lead to the org",
        ),
        (f"{LOST_AMOUNT}; update sark.holds set amounts = amounts[:2] where state = 'held'", "one amount a level"),
        ("update sark.holds set meter_amounts = meter_amounts[:1] where state = 'held'", "have not one amount each"),
        (f"update sark.holds set meters[1] = 'x' || {CALLS} where state = 'held'", "are not of its path"),
    ],
    "I3_ends_once": [
        ("delete from sark.cost_tracking where kind = 'charge' and request_id = 'settled'", "settled: settled, with 0"),
        ("delete from sark.cost_tracking where kind = 'reversal'", "1 expiry entries and 0 reversals"),
        ("delete from sark.cost_tracking where request_id = 'expired'", "expired: expired, with 0 charges, 0 expiry"),
        (
            "insert into sark.cost_tracking select * from sark.cost_tracking where request_id = 'settled'",
            "settled: settled, with 2 charges",
        ),
    ],
    "I4_one_effect": [
        ("update sark.holds set booked = booked + 1 where request_id = 'settled'", "settled: charges sum up to 7"),
        ("update sark.cost_tracking set time = time + interval '1 s' where request_id = 'settled'", "booked is 7"),
        ("delete from sark.holds where request_id = 'settled'", "booked is unknown"),
        ("delete from sark.cost_tracking where request_id = 'settled'", "charges sum up to 0, booked is 7"),
    ],
    "I5_spent_is_charged": [
        ("update sark.counters set day_spent = day_spent + 1 where account = 'acme/team/ml'", "acme/team/ml: the day"),
        ("update sark.counters set month_spent = 0 where account = 'acme'", "acme: the month window"),
        ("update sark.period_history set spent = spent + 1 where account = 'acme'", "acme: the day window"),
        ("update sark.cost_tracking set actual_nanousd = 8 where request_id = 'settled'", "its charges sum up to"),
    ],
    "I5_used_is_charged": [
        (f"update sark.counters set month_spent = 0 where account = {CALLS}", "acme calls: the month window"),
        (f"update sark.counters set day_spent = day_spent + 1 where account = {TOKENS}", "acme tokens: the day window"),
        (f"update sark.period_history set spent = 0 where account = {TOKENS}", "acme tokens: the day window"),
        (
            """update sark.cost_tracking set tokens = '{"input_tokens": 99}' where request_id = 'settled'""",
            "acme tokens",
        ),
        ("delete from sark.cost_tracking where kind = 'reversal'", "acme calls: the month window"),
        ("update sark.holds set meter_amounts = '{1, 99}' where request_id = 'expired'", "acme tokens: the day"),
    ],
    "I6_integers": [
        ("alter table sark.period_history alter spent type numeric", "period_history.spent is numeric"),
        ("alter table sark.cost_tracking alter actual_nanousd type double precision", "is double precision"),
    ],
    "I7_one_window": [
        (
            "update sark.period_history set ends_at = ends_at + interval '1 hour' where period = 'day'",
            "begins before the one before it ends",
        ),
        ("delete from sark.period_history where account = 'acme/team/ml'", "acme/team/ml: a hold taken at 2024-"),
        (f"delete from sark.period_history where account = {TOKENS}", "acme tokens: a hold taken at 2024-"),
        (
            "update sark.counters set month_starts_at = day_starts_at where account = 'acme'",
            "is in no month window of it",
        ),
    ],
    "I5_summed_is_charged": [
        (
            "update sark.daily_costs set actual_nanousd = 3 where dimension = 'principal'",
            "principal ada on 2024-05-15: the summary has 3 charges of 3, there are 3 of 29",
        ),
        ("delete from sark.daily_costs where dimension = 'tag'", "tag env on 2024-05-15: the summary has 0 charges"),
        ("update sark.daily_costs set output_tokens = 1 where dimension = 'model'", "model openai/gpt-4o on"),
        (
            "insert into sark.daily_costs select 'acme', 'resource', 'x', '2024-05-15', 0, 0, 0, 0, 0, 0, 0",
            "resource x on",
        ),
        ("delete from sark.cost_tracking where request_id = 'direct'", "org  on 2024-05-16: the summary has"),
    ],
    "I5_groups_are_summed": [
        (
            "update sark.daily_groups set charges = 9 where grain = 'team_principal'",
            "ada on 2024-05-15: groups of grain team_principal sum up to 9 charges of 29, the summary has 3 of 29",
        ),
        ("delete from sark.daily_groups where grain = 'team_model'", "sum up to 0 charges"),
        ("update sark.daily_groups set model = 'x' where grain = 'team_model'", "model openai/x on 2024-05-15"),
        ("update sark.daily_groups set path = principal_id", "account acme/team/ml on 2024-05-15: groups of grain"),
        ("update sark.daily_costs set output_tokens = 1 where dimension = 'resource'", "resource openai on"),
    ],
    "I5_errors_are_counted": [
        ("update sark.daily_estimate_errors set charges = 5", "counted 5 times, charged 1 times"),
        ("delete from sark.daily_estimate_errors", "counted 0 times"),
    ],
    "I9_never_edited": [
        ("update sark.cost_tracking set actual_nanousd = -9 where kind = 'reversal'", "the reversal of 9"),
        ("update sark.cost_tracking set kind = 'charge' where kind = 'expiry'", "has no expiry entry of that amount"),
    ],
    "I9_guarded": [
        (
            "alter table sark.cost_tracking disable trigger cost_tracking_append_only",
            "append_only on sark.cost_tracking",
        ),
        ("drop trigger cost_tracking_no_truncate on sark.cost_tracking", "cost_tracking_no_truncate"),
        ("alter table sark.cost_tracking enable replica trigger cost_tracking_append_only", "missing or disabled"),
    ],
}


@pytest.fixture
async def busy(timed, clock, pool):
    """Yesterday's and today's holds in all states, on three levels."""
    quotas = {"tokens_daily_limit": 100, "calls_monthly_limit": 20}
    await timed.put_account(org(daily_limit_nanousd=1_000, monthly_limit_nanousd=1_000, **quotas))
    await timed.put_account(Account("acme/team/ml", "acme", enforcement="soft"))
    tagged = Attribution("ada", "openai", "chat.completions", "openai", "gpt-4o", tags={"env": "prod"})
    for request_id in ("yesterday", "late", "settled"):
        tokens = {"expected_tokens": 5, "upper_tokens": 8}
        await timed.hold(hold_request(request_id, 10, team="ml", attribution=tagged, **tokens))
    clock.move(hours=1)
    await timed.extend("acme", "settled", 100_000)
    assert await timed.expire() == 2
    clock.move(days=1)
    await timed.settle(settlement("late", 12))
    for request_id in ("held", "released", "expired"):
        await timed.hold(hold_request(request_id, 10, team="ml", ttl_s=60, upper_tokens=6))
    await timed.settle(settlement("settled", 7))
    await timed.release("acme", "released")
    await timed.extend("acme", "held", 100_000)
    clock.move(hours=1)
    assert await timed.expire() == 1
    await timed.charge(hold_request("direct", 5), settlement("direct", 5))
    await upkeep.fold(pool)
    return timed


async def test_a_sound_ledger_has_no_findings(busy, pool, database_url):
    """After all kinds of ends, over two days, on three levels: nothing to report, through a pool or by a URL."""
    assert await verify(pool) == []
    assert await verify_url(database_url) == []


@pytest.mark.parametrize(
    ("invariant", "damage", "message"),
    [(invariant, damage, message) for invariant, damages in BROKEN.items() for damage, message in damages],
)
async def test_damage_is_found(*, busy, pool, execute, invariant, damage, message):
    """Each broken invariant is reported under its name, with the org and what is wrong."""
    execute(UNGUARDED)
    if damage.startswith("insert into sark.cost_tracking"):
        execute("drop index sark.cost_tracking_once")
    try:
        for statement in damage.split("; "):
            execute(statement)
    except psycopg.errors.FeatureNotSupported as error:
        pytest.skip(f"no such damage on this server: {error}")
    found = [finding for finding in await verify(pool) if finding.invariant == invariant]
    assert any(message in finding.message for finding in found), found
    assert {finding.org for finding in found} <= {"acme", "every org"}


def test_every_query_is_shown_to_fail():
    """There is damage for each of the queries."""
    assert set(BROKEN) == set(queries.load("verify"))


async def test_verifying_changes_nothing_and_reads_one_snapshot(busy, pool, monkeypatch):
    """The transaction is read-only: a query that writes would be refused."""
    written = {"I0": "insert into sark.migrations (number, name, checksum) values (99, '', '') returning name, name"}
    monkeypatch.setattr("sark_opa.storage.verify._queries", written)
    with pytest.raises(Exception, match="read-only"):
        await verify(pool)


async def test_a_server_that_is_not_there_is_no_clean_bill():
    """No answer is an error, never an empty list."""
    with pytest.raises(DatabaseUnavailableError):
        await verify_url("postgresql://127.0.0.1:1/nothing")
