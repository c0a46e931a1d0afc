"""Sums by several dimensions at once: equal to the charges whatever is asked, and made for older charges bit by bit."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from datetime import date, timedelta

import psycopg
import pytest
from fixtures.database import hold_request, org, settlement
from fixtures.reported import COLUMNS, as_sums, figures, orgs, use, utc, worked_out
from fixtures.tiers import fold_all

from sark_opa.reports.costs import Costs
from sark_opa.reports.request import KINDS, LIMIT_MAX, Period, cost_request, filters_of
from sark_opa.storage import upkeep

pytestmark = pytest.mark.anyio

OWN = {"acme": "America/New_York", "beta": "Asia/Kolkata", None: "UTC"}
DAYS = Period(date(2024, 5, 15), date(2024, 5, 27))
FILTERS = [
    ({}, []),
    ({"model": ["gpt-4o", ""]}, []),
    ({"team": ["a", ""], "provider": ["openai"]}, []),
    ({"principal": ["p1", "p3"]}, []),
    ({"resource": ["mcp"]}, ["team/a"]),
    ({}, ["team/a"]),
    ({}, ["team/b", "principal/p3"]),
]
GROUPS = "select * from sark.daily_groups order by org, grain, day, path, principal_id, resource_id, provider, model"
SUMMED = "select charges, actual_nanousd from sark.daily_groups where grain = %s order by day"


def asked(of, groups, filters, period=DAYS):
    """A report of all groups; of every org there are no accounts to be within."""
    values, within = filters
    accounts = [f"{of}/{account}" for account in within] if of else []
    return cost_request(
        org=of, period=period, group_by=groups, filters=filters_of(of, values, [], accounts), limit=LIMIT_MAX
    )


async def agrees(costs, rows, request):
    """Compare a report with its charges; where it was read."""
    answer = await costs.summary(request)
    expected = worked_out(rows, request, OWN[request.org])
    assert as_sums(answer) == expected, request
    assert figures(answer.totals) == ([sum(column) for column in zip(*expected.values(), strict=True)] or [0] * 7)
    return answer.source


def charges(execute):
    """All charges, by the names of their columns."""
    names = [name.strip() for name in COLUMNS.split(",")]
    return [dict(zip(names, row, strict=True)) for row in execute(f"select {COLUMNS} from sark.cost_tracking")]


async def test_all_pairs_and_triples_are_the_sums_of_their_charges(pool, timed, clock, execute):
    """Folded, half folded; by day, month or not; filtered, within accounts; in the org's zone and in another one."""
    draw, sources, costs = random.Random(7), Counter(), Costs(pool)
    await orgs(timed)
    await use(timed, clock, draw, 90, "a-")
    await fold_all(pool)
    await use(timed, clock, draw, 40, "b-")
    execute("select sark.fold_v1(25)")
    rows = charges(execute)
    foreign = Period(DAYS.starts, DAYS.ends, "Pacific/Auckland")
    instants = Period(utc(2024, 5, 15, 4), utc(2024, 5, 25, 4))  # whole days in New York
    variants = itertools.cycle(itertools.product(["acme", "acme", "beta", None], FILTERS, [[], ["day"], ["month"]]))
    for several in (*itertools.combinations(KINDS, 2), *itertools.combinations(KINDS, 3)):
        for period in (DAYS, DAYS, DAYS, instants, foreign):
            of, filters, unit = next(variants)
            source = await agrees(costs, rows, asked(of, [*several, *unit], filters, period))
            sources[period is DAYS, source] += 1
    assert sources[True, "summaries"] > 40, sources
    assert sources[True, "charges"] > 40, sources


@pytest.mark.parametrize(
    ("groups", "filters", "source"),
    [
        (["team", "model"], ({}, []), "summaries"),
        (["team", "resource", "provider", "model"], ({}, []), "summaries"),
        (["model"], ({}, ["team/a"]), "summaries"),
        (["principal", "day"], ({}, ["team/a"]), "summaries"),
        (["principal", "team"], ({"team": ["a"]}, []), "summaries"),
        (["principal", "model"], ({}, []), "charges"),
        (["capability", "model"], ({}, []), "charges"),
    ],
)
async def test_what_teams_and_their_leads_ask_needs_no_charges(*, pool, timed, clock, execute, groups, filters, source):
    """Also where teams lie below teams; what would take nearly as many sums as there are charges is read from those."""
    await orgs(timed)
    await use(timed, clock, random.Random(1), 30, "a-")
    await fold_all(pool)
    for of in ("acme", "beta"):
        assert await agrees(Costs(pool), charges(execute), asked(of, groups, filters)) == source


async def grouped_from_the_start(pool, execute):
    """What the groups are after folding; then as after an upgrade: none of them, and each org is to be gone through."""
    await fold_all(pool)
    before = execute(GROUPS)
    execute("delete from sark.daily_groups")
    execute("insert into sark.daily_groups_from select distinct org, date 'infinity' from sark.daily_costs")
    return before


async def test_older_charges_are_grouped_day_by_day_while_reports_stay_right(pool, timed, clock, execute):
    """After an upgrade, the latest day first; a charge that is folded into a day that is to come counts once."""
    draw, costs, sources = random.Random(3), Costs(pool), []
    await orgs(timed)
    await use(timed, clock, draw, 60, "a-")
    before = await grouped_from_the_start(pool, execute)
    clock.move(days=-5)
    await use(timed, clock, draw, 10, "b-")
    execute("select sark.fold_v1(1000)")  # some of them, into days that are not grouped
    assert execute("select count(*) from sark.daily_groups") != [(0,)]
    rows = charges(execute)
    while (done := execute("select sark.group_day_v1()")) != [(None,)]:
        assert done != [(-1,)]
        late = Period(date(2024, 5, 20), date(2024, 5, 27))
        sources += [
            await agrees(costs, rows, asked(of, ["team", "model", "day"], ({}, []), period))
            for of in ("acme", "beta", None)
            for period in (late, DAYS)
        ]
    assert {"summaries", "charges"} == set(sources)
    assert sources[-1] == "summaries"
    assert len(execute(GROUPS)) > len(before)
    after = execute(GROUPS)
    await upkeep.rebuild_summaries(pool)
    assert execute(GROUPS) == after
    assert execute("select count(*) from sark.daily_groups_from") == [(0,)]


async def test_upkeep_groups_what_is_left(pool, timed, clock, execute):
    """With the folding, as the service does it all the time; the same as if it had been there from the start."""
    await orgs(timed)
    await use(timed, clock, random.Random(4), 40, "a-")
    before = await grouped_from_the_start(pool, execute)
    assert await upkeep.fold(pool) == 0
    assert execute(GROUPS) == before
    assert await upkeep.group_days(pool) == 0


async def test_grouping_stands_back(pool, timed, execute, database_url):
    """While somebody folds, while the org is being moved, and where the summaries have to be rebuilt first."""
    await timed.put_account(org())
    await timed.charge(hold_request("r1", 5), settlement("r1", 5))
    await grouped_from_the_start(pool, execute)
    step, nothing = "select sark.group_day_v1()", [(None,)]
    with psycopg.connect(database_url) as folder:
        folder.execute("select from sark.fold_mark for update")
        assert execute(step) == nothing
    execute(
        "insert into sark.org_moves (org, move_id, direction, state, peer) values ('acme', 'x', 'out', 'closed', 'y')"
    )
    assert execute(step) == nothing
    execute("update sark.org_moves set state = 'copying'")
    execute("update sark.fold_mark set server = 'another'")
    assert execute(step) == nothing
    execute("update sark.fold_mark set server = (select system_identifier::text from pg_control_system())")
    assert execute(step) == [(2,)]
    assert execute(SUMMED, ("team_model",)) == execute(SUMMED, ("team_principal",)) == [(1, 5)]


async def test_days_whose_charges_were_dropped_are_left_out(pool, timed, clock, execute):
    """Of those there are sums by one dimension, as before; reports of later days need no charges."""
    await timed.put_account(org())
    for request_id in ("old", "new"):
        await timed.charge(hold_request(request_id, 5, team="ml"), settlement(request_id, 5))
        clock.move(days=70)
    await grouped_from_the_start(pool, execute)
    execute("update sark.storage set charges_kept_from = '2024-06-03'")
    await upkeep.group_days(pool)
    assert execute(SUMMED, ("team_model",)) == [(1, 5)]
    assert execute("select org, day from sark.daily_groups_from") == [("acme", date(2024, 6, 5))]
    assert await upkeep.group_days(pool) == 0
    asked_for = asked("acme", ["team", "model"], ({}, []), Period(date(2024, 6, 5), date(2024, 6, 5) + timedelta(90)))
    answer = await Costs(pool).summary(asked_for)
    assert (answer.source, answer.totals.charges) == ("summaries", 1)
