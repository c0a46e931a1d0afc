"""What reports work out without a database: routes, trends, distributions, plots."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest

from sark_opa.errors import DatabaseUnavailableError, InvalidInputError
from sark_opa.evaluation.unpriced import UnpricedCalls
from sark_opa.reports.accuracy import accuracy_answer, distribution_of
from sark_opa.reports.attention import place_of
from sark_opa.reports.request import Period, cost_request, filters_of
from sark_opa.reports.route import dimension_of
from sark_opa.reports.store import SummaryRow, SummaryRows
from sark_opa.reports.trend import TrendDays, months_later, trend_answer

pytestmark = pytest.mark.anyio


@dataclass
class Days:
    """A period of whole days in the org's own zone, unless told otherwise."""

    whole_days: bool = True
    nested_teams: bool = False
    crowded_tags: bool = False
    grouped: bool = True


@pytest.mark.parametrize(
    ("groups", "values", "tags", "within", "days", "dimension"),
    [
        ([], {}, [], [], Days(), "org"),
        (["org", "day"], {}, [], [], Days(), "org"),
        (["principal"], {}, [], [], Days(), "principal"),
        (["principal", "month"], {"principal": ["a"]}, [], [], Days(), "principal"),
        (["provider", "model"], {"provider": [""]}, [], [], Days(), "model"),
        (["team"], {"team": ["ml"]}, [], [], Days(), "account"),
        (["tag:env"], {}, ["env=prod"], [], Days(), "tag"),
        ([], {}, [], ["acme/team/ml"], Days(), "account"),
        (["day"], {}, [], ["acme/principal/a/b"], Days(), "principal"),
        (["day"], {}, [], ["acme"], Days(), "org"),
        (["hour"], {}, [], [], Days(), None),
        (["principal", "model"], {}, [], [], Days(), None),
        (["principal"], {"model": ["m"]}, [], [], Days(), None),
        (["principal"], {}, [], [], Days(whole_days=False), None),
        (["team"], {}, [], [], Days(nested_teams=True), "team_model"),
        (["team"], {}, [], [], Days(nested_teams=True, grouped=False), None),
        (["team"], {"team": [""]}, [], [], Days(), "team_model"),
        (["team"], {}, [], ["acme/team/ml"], Days(), "team_model"),
        (["team", "model"], {}, [], [], Days(), "team_model"),
        (["team", "model"], {}, [], [], Days(grouped=False), None),
        (["model", "day"], {"resource": ["r"], "provider": [""]}, [], ["acme/x/y"], Days(), "team_model"),
        (["team", "hour"], {"model": ["m"]}, [], [], Days(), None),
        (["principal"], {}, [], ["acme/team/ml"], Days(), "team_principal"),
        (["org", "month"], {"principal": ["a"], "team": ["ml"]}, [], [], Days(), "team_principal"),
        ([], {}, [], ["acme/team/ml", "acme/principal/a"], Days(), "team_principal"),
        (["model"], {}, [], ["acme/principal/a"], Days(), None),
        (["team", "capability"], {}, [], [], Days(), None),
        (["team", "tag:env"], {}, [], [], Days(), None),
        (["team", "model"], {}, ["env=prod"], [], Days(), None),
        (["tag:env", "tag:job"], {}, [], [], Days(), None),
        (["tag:env"], {}, ["job=x"], [], Days(), None),
        ([], {}, ["env=prod"], [], Days(crowded_tags=True), None),
        (["tag:env"], {}, [], [], Days(crowded_tags=True), "tag"),
    ],
)
def test_where_a_report_is_read(*, groups, values, tags, within, days, dimension):
    """One dimension is enough, or a grain tells all of it apart, or it takes the charges."""
    filters = filters_of("acme", values, tags, within)
    request = cost_request(org="acme", period=Period(), group_by=groups, filters=filters)
    assert dimension_of(request, days) == dimension


def span(starts, ends, today):
    """What a trend needs of a span."""
    return SimpleNamespace(
        from_day=starts, to_day=ends, today=today, timezone="UTC", mixed=False,
        starts_at=datetime(starts.year, starts.month, starts.day, tzinfo=UTC) if starts else None,
        ends_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def trend_of(by, starts, ends, today, costs):
    """The trend of costs by day, in whole USD."""
    rows = [
        SummaryRow(datetime(day.year, day.month, day.day), [], (1, usd * 10**9, usd * 10**9, 0, 0, 0, 0), [])  # noqa: DTZ001
        for day, usd in costs.items()
    ]
    about = span(starts, ends, today)
    found = SummaryRows(datetime(2026, 1, 1, tzinfo=UTC), len(rows), (0,) * 7, rows)
    return trend_answer("acme", about, TrendDays.of(by, about), found)


def test_a_trend_by_day():
    """Each day against the one before, the period against as many days before it; a forecast of what is left."""
    today = date(2026, 4, 10)
    costs = {today - timedelta(back): 2 for back in range(1, 20)} | {today: 1}
    found = trend_of("day", date(2026, 4, 6), date(2026, 4, 11), today, costs)
    assert [(point.actual_usd, point.change_usd, point.complete) for point in found.points[-2:]] == [
        (2, 0, True), (1, -1, False),
    ]  # fmt: skip
    assert (found.totals.actual_usd, found.previous_totals.actual_usd) == (9, 10)
    assert (found.change_usd, found.change_ratio, found.previous_from) == (-1, Decimal("-0.1"), date(2026, 4, 1))
    forecast = found.forecast
    assert forecast is not None
    assert (forecast.rate_usd_per_day, forecast.rate_days, forecast.days_left) == (2, 19, 20)
    assert (forecast.month_to_date_usd, forecast.forecast_usd) == (19, 18 + 2 + 2 * 20)


def test_a_trend_by_month_compares_as_long_a_part():
    """This month so far beside the last one up to the same day; the first month has nothing to be compared with."""
    costs = {date(2026, 2, 1): 5, date(2026, 2, 20): 7, date(2026, 3, 3): 6}
    found = trend_of("month", date(2026, 3, 1), date(2026, 3, 11), date(2026, 3, 10), costs)
    assert (found.previous_from, found.previous_to) == (date(2026, 2, 1), date(2026, 2, 11))
    assert (found.previous_totals.actual_usd, found.change_ratio) == (5, Decimal("0.2"))
    (point,) = found.points
    assert (point.actual_usd, point.change_usd, point.complete) == (6, None, False)


def test_a_period_that_is_over_has_no_forecast():
    """And its last day is complete."""
    found = trend_of("day", date(2026, 2, 1), date(2026, 2, 3), date(2026, 4, 1), {date(2026, 2, 2): 3})
    assert found.forecast is None
    assert [point.complete for point in found.points] == [True, True]
    assert [point.change_ratio for point in found.points] == [None, None]


@pytest.mark.parametrize(
    ("by", "starts", "ends", "message"),
    [
        ("month", date(2026, 3, 2), date(2026, 4, 1), "not the first day of a month"),
        ("day", date(2020, 1, 1), date(2026, 1, 1), "at most 500 days"),
        ("day", None, date(2026, 1, 1), "a trend is of days"),
        ("month", date(1, 1, 1), date(2, 1, 1), "too long ago"),
    ],
)
def test_what_is_no_trend(by, starts, ends, message):
    """Refused with the reason."""
    with pytest.raises(InvalidInputError, match=message):
        TrendDays.of(by, span(starts, ends, date(2026, 1, 1)))


def test_months_are_counted_from_their_ends():
    """The 31st becomes the last day of a shorter month."""
    assert months_later(date(2026, 3, 31), -1) == date(2026, 2, 28)
    assert months_later(date(2024, 1, 31), 1) == date(2024, 2, 29)
    assert months_later(date(2026, 1, 15), -13) == date(2024, 12, 15)


def test_quantiles_lie_where_the_charges_lie():
    """Within a step as if evenly, at its border when it ends there, in the open step at its beginning."""
    found = distribution_of({-1: 50, 0: 40, 1: 10})
    assert (found.p50, found.p90, found.p95) == (0, Decimal("0.05"), Decimal("0.075"))
    assert (found.within_10_percent, found.above_estimate) == (1, Decimal("0.5"))
    assert distribution_of({40: 3}).p50 == 2
    assert distribution_of({-20: 4}).p50 == Decimal("-0.975")
    nothing = distribution_of({})
    assert (nothing.charges, nothing.p50, nothing.within_10_percent) == (0, None, None)


def test_errors_by_model_and_over_all():
    """The most used first; steps of all models together."""
    about = span(date(2026, 1, 1), date(2026, 2, 1), date(2026, 2, 1))
    found = accuracy_answer("acme", about, [("openai/gpt-4o", 0, 3), ("/", 0, 1), ("openai/gpt-4o", 40, 1)])
    assert [(model.provider, model.model, model.charges) for model in found.models] == [
        ("openai", "gpt-4o", 4), (None, None, 1),
    ]  # fmt: skip
    assert [(step.from_ratio, step.to_ratio, step.charges) for step in found.histogram] == [
        (0, Decimal("0.05"), 4), (2, None, 1),
    ]  # fmt: skip


@pytest.mark.parametrize("cursor", ["x", "W10", "////", "WyIyMDI2LTAxLTAxVDAwOjAwOjAwIiwiYSIsImIiXQ"])
def test_a_cursor_that_is_none(cursor):
    """No JSON, no place, or a time without a zone."""
    with pytest.raises(InvalidInputError, match="next_after"):
        place_of(cursor)


async def test_unpriced_calls_are_handed_on_once_and_kept_when_that_fails():
    """What could not be written is counted with what comes next."""
    written, fail = [], [True]

    async def write(rows):
        if fail:
            fail.pop()
            raise DatabaseUnavailableError
        written.append(rows)

    calls = UnpricedCalls(write)
    calls.note("acme", None, "m", "unpriced")
    with pytest.raises(DatabaseUnavailableError):
        await calls.flush()
    calls.note("acme", None, "m", "unpriced")
    await calls.flush()
    await calls.flush()
    assert len(written) == 1
    assert b'"calls":2' in written[0]


async def test_unpriced_calls_take_bounded_memory():
    """However many models are named, by however many orgs; none is lost."""
    rows = Counter()

    async def write(text):
        import msgspec  # noqa: PLC0415

        rows.update({(row["org"], row["model"]): row["calls"] for row in msgspec.json.decode(text)})

    calls = UnpricedCalls(write)
    for number in range(5_000):
        calls.note(f"org{number % 3_000}", "p", f"m{number}\x00", "default")
    assert len(calls._counts) <= 2_001
    await calls.flush()
    assert rows.total() == 5_000
    assert rows["org5", "m5"] == 1
