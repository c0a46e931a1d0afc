"""Reports against charges summed up row by row: every grouping, before, during and after folding."""

from __future__ import annotations

import random
from collections import Counter
from datetime import date, timedelta

import pytest
from fixtures.reported import COLUMNS, as_sums, figures, orgs, use, utc, worked_out

from sark_opa.reports.costs import Costs
from sark_opa.reports.request import KINDS, LIMIT_MAX, Period, cost_request, filters_of
from sark_opa.storage import upkeep

pytestmark = pytest.mark.anyio

ZONES = {"acme": "America/New_York", "beta": "Asia/Kolkata", None: "UTC"}
GROUPS = [*KINDS, "tag:env", "tag:job", "tag:none"]


def some_period(draw):
    """Days or instants, sometimes those at which a day begins, in some zone."""
    first, length = date(2024, 5, 14) + timedelta(draw.randrange(12)), draw.randrange(1, 12)
    zone = draw.choice([None, None, None, "America/New_York", "Asia/Kolkata", "Pacific/Auckland"])
    last = first + timedelta(length)
    hour, minute = draw.choice([(4, 0), (18, 30), (0, 0), (7, 13)])
    starts, ends = draw.choice([(first, last)] * 3 + [
        (utc(first.year, first.month, first.day, hour, minute), utc(last.year, last.month, last.day, hour, minute)),
    ])  # fmt: skip
    return Period(starts, ends, zone)


def some_request(draw):
    """Up to three groups, perhaps a unit of time, perhaps filters."""
    org = draw.choice(["acme", "acme", "beta", None])
    groups = draw.sample(GROUPS, draw.choice([0, 1, 1, 1, 2, 3]))
    groups += draw.choice([[], [], ["day"], ["month"], ["hour"]])
    values, tags, within = {}, [], []
    for kind, given in (
        ("principal", ["p1", "p3", "nobody"]), ("team", ["a", "b", ""]), ("resource", ["mcp"]),
        ("capability", ["chat"]), ("provider", ["openai", ""]), ("model", ["gpt-4o", "own/model", ""]),
    ):  # fmt: skip
        if draw.random() < 0.12:
            values[kind] = draw.sample(given, draw.randrange(1, len(given) + 1))
    if draw.random() < 0.15:
        tags = draw.sample(["env=prod", "env=dev", "env=", "job=nightly"], draw.randrange(1, 3))
    if org and draw.random() < 0.2:
        within = draw.sample([f"{org}/team/a", f"{org}/principal/p1", f"{org}/team/b", org], draw.randrange(1, 3))
    return cost_request(
        org=org, period=some_period(draw), group_by=groups, filters=filters_of(org, values, tags, within),
        limit=LIMIT_MAX,
    )  # fmt: skip


async def test_every_report_is_the_sum_of_its_charges(pool, timed, clock, database_url, execute):
    """Each grouping, filter, period and zone; by what way it was read makes no difference."""
    draw = random.Random(5)
    costs, sources = Costs(pool), Counter()
    await orgs(timed)
    names = [name.strip() for name in COLUMNS.split(",")]
    for turn in range(4):
        await use(timed, clock, draw, 50, f"t{turn}-")
        if turn == 1:
            await upkeep.fold(pool)
        if turn == 2:  # a part of what is new
            execute("select sark.fold_v1(15)")
        if turn == 3:
            await upkeep.fold(pool)
        rows = [dict(zip(names, row, strict=True)) for row in execute(f"select {COLUMNS} from sark.cost_tracking")]
        for _ in range(120):
            request = some_request(draw)
            answer = await costs.summary(request)
            expected = worked_out(rows, request, ZONES[request.org])
            assert as_sums(answer) == expected, request
            assert answer.groups == len(expected)
            totals = [sum(column) for column in zip(*expected.values(), strict=True)] or [0] * 7
            assert figures(answer.totals) == totals, request
            sources[answer.source] += 1
    assert min(sources["summaries"], sources["charges"]) > 50, sources
