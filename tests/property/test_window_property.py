"""Windows in every time zone: they contain their instant, meet without a gap, and begin at local midnight."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import psycopg
import pytest
from fixtures.database import create_database, drop_database, url_of
from hypothesis import given, settings
from hypothesis import strategies as st

# Every zone on every day of three years whose clocks change on it: each hour from two days before to one after.
AROUND_CHANGES = """
with days as materialized (
  select z.name, d.at, (d.at at time zone z.name) - (d.at at time zone 'UTC') as utc_offset
  from (select name from pg_timezone_names) z
  cross join generate_series('2022-01-01'::timestamptz, '2024-12-31', '1 day') d(at)
), changes as materialized (
  select name, at from (
    select name, at, utc_offset, lag(utc_offset) over (partition by name order by at) as utc_offset_before from days
  ) d
  where utc_offset <> utc_offset_before
)
select c.name, p.period, i.at, w.starts_at, w.ends_at, b.ends_at as last_ends_at, n.starts_at as next_starts_at
from changes c
cross join generate_series(c.at - interval '2 days', c.at + interval '1 day', '1 hour') i(at)
cross join (values ('day'), ('month')) p(period)
cross join lateral sark.window_v1(i.at, c.name, p.period) w
cross join lateral sark.window_v1(w.starts_at - interval '1 microsecond', c.name, p.period) b
cross join lateral sark.window_v1(w.ends_at, c.name, p.period) n
"""
WINDOW = "select starts_at, ends_at from sark.window_v1(%s, %s, %s)"

instants = st.integers(-613_600, 595_000).map(lambda hours: datetime.fromtimestamp(hours * 3_600 + 1_234.5, UTC))


@pytest.fixture(scope="module")
def connection(server_url, template_database) -> Iterator[Any]:
    """A connection to a database with the schema."""
    name = create_database(server_url, template_database)
    with psycopg.connect(url_of(server_url, name), autocommit=True, options="-c TimeZone=UTC") as connection:
        yield connection
    drop_database(server_url, name)


@pytest.fixture(scope="module")
def zones(connection) -> list[str]:
    """The zones that both the database and Python know."""
    names = {row[0] for row in connection.execute("select name from pg_timezone_names")}
    return sorted(names & available_timezones())


def window(connection: Any, at: datetime, zone: str, period: str) -> tuple[datetime, datetime]:
    """Start and end of the window of an instant."""
    starts_at, ends_at = connection.execute(WINDOW, (at, zone, period)).fetchone()
    return starts_at, ends_at


def test_windows_meet_around_every_change_of_the_clocks(connection):
    """Wherever clocks are changed, a window contains its instant, and its neighbours end and begin where it does."""
    counts = connection.execute(
        f"""select count(*), count(distinct name), count(*) filter (where starts_at > at or at >= ends_at),
            count(*) filter (where next_starts_at <> ends_at), count(*) filter (where last_ends_at <> starts_at)
            from ({AROUND_CHANGES}) w"""
    ).fetchone()
    assert counts[0] > 10_000
    assert counts[1] > 100
    assert counts[2:] == (0, 0, 0)


def test_windows_meet_in_every_zone(connection, zones):
    """In each zone, walked by its own windows, fourteen months follow each other without a gap or an overlap."""
    walked = connection.execute(
        """
        select count(*) filter (where w.starts_at <= i.at and i.at < w.ends_at),
          count(*) filter (where n.starts_at = w.ends_at and n.ends_at > n.starts_at), count(*), count(distinct z.name)
        from pg_timezone_names z
        cross join generate_series('2030-01-01'::timestamptz, '2031-03-01', '9 days 7 hours 13 minutes') i(at)
        cross join (values ('day'), ('month')) p(period)
        cross join lateral sark.window_v1(i.at, z.name, p.period) w
        cross join lateral sark.window_v1(w.ends_at, z.name, p.period) n
        """
    ).fetchone()
    assert walked[:2] == (walked[2], walked[2])
    assert walked[3] >= len(zones) > 300


@pytest.mark.parametrize(
    ("zone", "inside", "starts_at", "ends_at"),
    [
        ("UTC", "2024-02-29 23:59:59.999999+00", "2024-02-29 00:00+00", "2024-03-01 00:00+00"),
        ("UTC", "2024-03-01 00:00+00", "2024-03-01 00:00+00", "2024-03-02 00:00+00"),
        ("America/New_York", "2024-03-10 12:00+00", "2024-03-10 05:00+00", "2024-03-11 04:00+00"),  # 23 hours
        ("America/New_York", "2024-11-03 12:00+00", "2024-11-03 04:00+00", "2024-11-04 05:00+00"),  # 25 hours
        ("Australia/Lord_Howe", "2024-04-07 00:00+00", "2024-04-06 13:00+00", "2024-04-07 13:30+00"),  # half an hour
        ("Asia/Kathmandu", "2024-05-01 00:00+00", "2024-04-30 18:15+00", "2024-05-01 18:15+00"),
        # Midnight is skipped: the day begins when the clock is set forward, at 01:00.
        ("America/Sao_Paulo", "2018-11-04 12:00+00", "2018-11-04 03:00+00", "2018-11-05 02:00+00"),
        # Midnight comes twice: the hour between still belongs to the day before.
        ("America/Havana", "2024-11-03 04:30+00", "2024-11-02 04:00+00", "2024-11-03 05:00+00"),
        ("America/Havana", "2024-11-03 05:00+00", "2024-11-03 05:00+00", "2024-11-04 05:00+00"),
        # The whole of 30 December was skipped.
        ("Pacific/Apia", "2011-12-30 09:59+00", "2011-12-29 10:00+00", "2011-12-30 10:00+00"),
        ("Pacific/Apia", "2011-12-30 10:00+00", "2011-12-30 10:00+00", "2011-12-31 10:00+00"),
    ],
)
def test_days_that_are_not_like_others(connection, zone, inside, starts_at, ends_at):
    """Days of 23, 25 and 24½ hours, without a midnight, with two, and no day at all."""
    expected = tuple(datetime.fromisoformat(text) for text in (starts_at, ends_at))
    assert window(connection, datetime.fromisoformat(inside), zone, "day") == expected


def midnight(local: datetime, zone: ZoneInfo) -> datetime:
    """The instant of a local time; skipped: as by the clock before; twice: the second one."""
    first, second = local.replace(tzinfo=zone, fold=0), local.replace(tzinfo=zone, fold=1)
    skipped = first.utcoffset() < second.utcoffset()
    return (first if skipped else second).astimezone(UTC)


def expected_window(at: datetime, zone: ZoneInfo, period: str) -> tuple[datetime, datetime]:
    """What Python's own zones make of the rule."""
    start = at.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    start = start if period == "day" else start.replace(day=1)
    if midnight(start, zone) > at:
        start = start - timedelta(days=1) if period == "day" else (start - timedelta(days=1)).replace(day=1)
    end = start + timedelta(days=1) if period == "day" else (start + timedelta(days=31)).replace(day=1)
    return midnight(start, zone), midnight(end, zone)


def test_python_agrees(connection, zones):
    """Where both know the same clocks, windows are what an independent library makes of the rule."""
    compared = set()

    def offset(at: datetime, zone: str) -> timedelta:
        (found,) = connection.execute(
            "select (%s at time zone %s) - (%s at time zone 'UTC')", (at, zone, at)
        ).fetchone()
        return found

    @settings(deadline=None, max_examples=400)
    @given(instants, st.sampled_from(zones), st.sampled_from(["day", "month"]))
    def compare(at, name, period):
        zone = ZoneInfo(name)
        expected = expected_window(at, zone, period)
        hour = timedelta(hours=1)
        for instant in (at, *(edge + by for edge in expected for by in (-hour, timedelta(0), hour))):
            if offset(instant, name) != instant.astimezone(zone).utcoffset():
                return  # their zones come from different editions
        compared.add(name)
        assert window(connection, at, name, period) == expected

    compare()
    assert len(compared) > 100
