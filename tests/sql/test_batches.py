"""Batches: many requests in one statement do what they would do one by one."""

from __future__ import annotations

import asyncio
import itertools

import msgspec
import psycopg
import pytest
from fixtures.database import create_database, drop_database, hold_request, org, replicas, settlement, url_of

from sark_opa.budget.ledger import Account
from sark_opa.errors import InvalidInputError
from sark_opa.storage.ledger import PostgresLedger
from sark_opa.storage.records import HoldAnswers
from sark_opa.storage.verify import verify

pytestmark = pytest.mark.anyio

NOW = "2024-05-15T12:00:00Z"


async def gathered(*calls):
    """The answers of calls made at the same time, errors among them."""
    return await asyncio.gather(*calls, return_exceptions=True)


async def test_all_kinds_of_answers_in_one_statement(ledger, pool):
    """New, repeated, ended, in conflict, blocked and unknown requests share a statement; each gets its own answer."""
    await ledger.put_account(org(daily_limit_nanousd=100))
    await ledger.put_account(org("closed", unknown_principals="deny"))
    await ledger.hold(hold_request("repeated", 10))
    await ledger.hold(hold_request("ended", 10))
    await ledger.settle(settlement("ended", 10))
    outcomes = await gathered(
        ledger.hold(hold_request("new", 10)),
        ledger.hold(hold_request("repeated", 10)),
        ledger.hold(hold_request("ended", 10)),
        ledger.hold(hold_request("repeated", 10, fingerprint=b"two")),
        ledger.hold(hold_request("large", 71)),
        ledger.hold(hold_request("stranger", 1, org="closed")),
        ledger.hold(hold_request("lost", 1, org="nowhere")),
        ledger.hold(hold_request("newcomer", 10, principal_id="bob", team="ml")),
    )
    assert [outcome.status for outcome in outcomes] == [
        "held", "duplicate", "ended", "conflict", "blocked", "unknown_account", "unknown_account", "held",
    ]  # fmt: skip
    assert [outcome.unknown for outcome in outcomes[5:7]] == ["closed/principal/ada", "nowhere"]
    assert outcomes[0].windows[-1].held_nanousd == 30
    assert outcomes[0].hold.path == ("acme/principal/ada", "acme")
    assert outcomes[7].hold.path == ("acme/principal/bob", "acme/team/ml", "acme")
    assert await verify(pool) == []


async def test_near_a_limit_the_first_to_come_is_served(ledger):
    """Requests are admitted in order of arrival; one that does not fit does not keep out a smaller one behind it."""
    await ledger.put_account(org(daily_limit_nanousd=10))
    amounts = [6, 5, 4, 1]
    outcomes = await gathered(*(ledger.hold(hold_request(f"r{9 - n}", amount)) for n, amount in enumerate(amounts)))
    assert [outcome.status for outcome in outcomes] == ["held", "blocked", "held", "blocked"]


@pytest.mark.parametrize("team", [None, "ml"])
async def test_one_stranger_does_not_keep_a_batch_out(ledger, team):
    """Where one request names an unknown org, all others are still held, known and new principals alike."""
    await ledger.put_account(org())
    await ledger.hold(hold_request("r0", 1, principal_id="known"))
    outcomes = await gathered(
        ledger.hold(hold_request("a", 1, org="nowhere")),
        ledger.hold(hold_request("b", 1, principal_id="known")),
        ledger.hold(hold_request("c", 1, principal_id="new", team=team)),
        ledger.hold(hold_request("d", 1, principal_id="new", team="other")),
    )
    assert [outcome.status for outcome in outcomes] == ["unknown_account", "held", "held", "held"]
    assert outcomes[3].hold.path[1:-1] == (() if team is None else ("acme/team/ml",))


async def test_a_request_that_cannot_be_taken_fails_alone(ledger, pool):
    """A negative amount and a zero byte spoil the statement, not the other requests in it."""
    await ledger.put_account(org())
    outcomes = await gathered(
        ledger.hold(hold_request("r1", 1)),
        ledger.hold(hold_request("r2", -5)),
        ledger.hold(hold_request("r3", 1, principal_id="a\0")),
        ledger.hold(hold_request("r4", 2**63 - 1)),
        ledger.hold(hold_request("r5", 1)),
    )
    assert [type(outcome) is InvalidInputError for outcome in outcomes] == [False, True, True, True, False]
    ends = await gathered(
        ledger.settle(settlement("r1", 1)), ledger.settle(settlement("r5", -1)), ledger.settle(settlement("r9", 1))
    )
    assert [getattr(end, "code", "settled") for end in ends] == ["settled", "invalid_input", "unknown_hold"]
    assert await verify(pool) == []


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
async def test_a_batch_of_many_is_as_many_batches_of_one(server_url, template_database, zone):
    """The same traffic in batches and one by one leaves the same answers and the same rows behind."""
    found = []
    for size_max in (64, 1):
        name = create_database(server_url, template_database)
        try:
            found.append(await _traffic(url_of(server_url, name), size_max, zone))
        finally:
            drop_database(server_url, name)
    assert found[0] == found[1]


async def _traffic(url, size_max, zone):
    """Statuses and rows after six rounds of twenty requests and their ends, each round a day later."""
    days = itertools.count()
    clock = type("", (), {"text": NOW})()
    answers = []
    async with replicas(url, 1, batch_size_max=size_max, now=lambda: clock.text) as (ledger,):
        clock.text = NOW
        await ledger.put_account(
            org(daily_limit_nanousd=90, timezone=zone, default_enforcement="soft", default_daily_limit_nanousd=40)
        )
        for day in itertools.islice(days, 6):
            clock.text = f"2024-05-{15 + day}T12:00:00Z"
            ids = [f"r{(day * 13 + n) % 50}" for n in range(20)]
            holds = await gathered(
                *(
                    ledger.hold(
                        hold_request(request, 7 + n % 5, expected=3 + n % 4, principal_id=f"p{n % 4}", team=f"t{n % 2}",
                                     ttl_s=3_600)
                    )
                    for n, request in enumerate(ids)
                )
            )  # fmt: skip
            answers += [(hold.status, hold.blocked, hold.hold) for hold in holds]
            ends = await gathered(*(ledger.settle(settlement(request, 5 + day)) for request in ids[:8]))
            answers += [getattr(end, "code", end) for end in ends]
            ends = await gathered(*(ledger.release("acme", request) for request in ids[6:12]))
            answers += [getattr(end, "code", end) for end in ends]
            await ledger.expire()
    with psycopg.connect(url) as connection:
        rows = [
            connection.execute(f"select {columns} from sark.{table} order by {columns}").fetchall()
            for table, columns in (
                ("counters", "account, day_held, day_spent, month_held, month_spent, day_starts_at, month_starts_at"),
                ("holds", "request_id, path, amounts, state, booked, charged_at, expires_at, asked, late"),
                ("period_history", "account, period, starts_at, ends_at, spent, held"),
                ("cost_tracking", "request_id, entry, kind, actual_nanousd, time, path, budget_day"),
            )
        ]
    assert all(rows)
    return answers, rows


def test_the_plain_way_for_one_answers_as_the_way_for_many(execute):
    """hold_one_v1 and the statements for a batch give the same answer to the same request, fitting or not."""
    execute(
        "select sark.put_account_v1('acme', %s, %s)",
        (_settings(org(daily_limit_nanousd=25, default_monthly_limit_nanousd=18)), NOW),
    )
    execute("select sark.put_account_v1('acme', %s, %s)", (_settings(Account("acme/principal/eve", "acme")), NOW))
    other = hold_request("other", 0, principal_id="eve")

    def answers(*requests, now):
        payload = msgspec.json.encode(list(requests)).decode()
        ((text,),) = execute("select sark.hold_batch_v2(%s, false, %s)::text", (payload, now))
        keys = [(request.org, request.request_id) for request in requests]
        answered, counters = msgspec.json.decode(text, type=HoldAnswers).by_request(keys)
        return next(
            answer.outcome(request, counters)
            for request, answer in zip(requests, answered, strict=True)
            if request.request_id != "other"
        )

    for day, amount in itertools.product((15, 16, 17), (10, 12, 9, 0, 4)):
        now = f"2024-05-{day}T12:00:00Z"
        request = hold_request("r", amount, team="ml")
        found = []
        for requests in ([request], [other, request], [request, other]):
            execute("begin")
            found.append(answers(*requests, now=now))
            execute("rollback")
        assert found[0] == found[1] == found[2]
        answers(hold_request(f"r{day}/{amount}", amount, team="ml"), now=now)


def _settings(account):
    return msgspec.json.encode(account).decode()


async def test_a_ledger_made_of_batches_of_one_works(pool):
    """The smallest batch there is."""
    ledger = PostgresLedger(pool, batch_size_max=1, queue_max=100)
    await ledger.put_account(org())
    outcomes = await gathered(*(ledger.hold(hold_request(f"r{n % 5}", 1)) for n in range(20)))
    assert sorted(outcome.status for outcome in outcomes) == ["duplicate"] * 15 + ["held"] * 5
    await ledger.close()
