"""The business hours plugin in process: hours against an independent reckoning, and its configuration."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta

import pytest
from fixtures.plugins import bundled_module, context
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.anyio

BusinessHoursPlugin = bundled_module("business_hours").BusinessHoursPlugin
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ZONES = sorted(zoneinfo.available_timezones())

instants = st.datetimes(datetime(2000, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # hypothesis adds the zone
hours = st.tuples(st.integers(0, 23), st.integers(1, 24)).filter(lambda pair: pair[0] < pair[1])


def _decide(plugin, **fields):
    """An evaluation that never waits ends with its first step."""
    try:
        plugin.evaluate(context(**fields)).send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits for something")


@given(instants, hours, st.sampled_from(ZONES), st.sets(st.sampled_from(DAYS), min_size=1))
def test_open_is_what_a_clock_on_the_wall_shows(instant, opening, zone, days):
    """In every zone, over every clock change: the local weekday is listed and the local hour within."""
    start, end = opening
    decision = _decide(BusinessHoursPlugin(start, end, zone, sorted(days)), timestamp=instant)
    wall = instant.astimezone(zoneinfo.ZoneInfo(zone)).strftime("%a %H").lower().split()
    assert decision.allowed == (wall[0] in days and start <= int(wall[1]) < end)


@given(instants, hours, st.sampled_from(ZONES), st.sets(st.sampled_from(DAYS), min_size=1))
def test_the_next_opening_is_the_next_one(instant, opening, zone, days):
    """It is later and open, shown as the wall shows it, and no quarter hour before it is open."""
    start, end = opening
    plugin = BusinessHoursPlugin(start, end, zone, sorted(days))
    decision = _decide(plugin, timestamp=instant)
    if decision.allowed:
        assert "opens_at" not in decision.metadata
        return
    shown = datetime.fromisoformat(decision.metadata["opens_at"])
    opens_at = shown.astimezone(UTC)
    assert shown.isoformat() == opens_at.astimezone(zoneinfo.ZoneInfo(zone)).isoformat()
    assert instant < opens_at <= instant + timedelta(days=16)
    assert _decide(plugin, timestamp=opens_at).allowed
    probe = instant + timedelta(minutes=15)
    while probe < opens_at:
        assert not _decide(plugin, timestamp=probe).allowed
        probe += timedelta(minutes=15)


async def test_the_defaults_are_nine_to_five_on_weekdays():
    """As origin has them: 9 to 17, Monday to Friday, UTC."""
    plugin = BusinessHoursPlugin(start_hour=9, end_hour=17)
    monday = datetime(2026, 3, 2, tzinfo=UTC)
    allowed = [
        (await plugin.evaluate(context(timestamp=monday + timedelta(hours=hour)))).allowed for hour in range(7 * 24)
    ]
    expected = [day < 5 and 9 <= hour < 17 for day in range(7) for hour in range(24)]
    assert allowed == expected


WRONG = {
    "start too late": ({"start_hour": 24}, "start_hour is 24"),
    "start negative": ({"start_hour": -1}, "start_hour is -1"),
    "end too late": ({"end_hour": 25}, "end_hour is 25"),
    "half an hour": ({"start_hour": 8.5}, r"start_hour is 8\.5"),
    "a truth": ({"start_hour": True}, "start_hour is True"),
    "through the night": ({"start_hour": 22, "end_hour": 6}, "start_hour 22 is not before end_hour 6"),
    "never": ({"start_hour": 9, "end_hour": 9}, "start_hour 9 is not before end_hour 9"),
    "no zone": ({"timezone": "Mars/Olympus"}, "timezone 'Mars/Olympus' is no IANA time zone"),
    "a path": ({"timezone": "../etc/passwd"}, "is no IANA time zone"),
    "no text": ({"timezone": 1}, "timezone 1 is no IANA time zone"),
    "no day": ({"days": []}, "days are"),
    "unknown day": ({"days": ["monday"]}, r"days are \['monday'\]"),
    "one resource": ({"resources": "openai"}, "resources are 'openai'; they are a list of resource ids"),
    "no ids": ({"resources": [1]}, r"resources are \[1\]"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_configuration_is_named(case):
    """The message names the field and what it may be."""
    config, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        BusinessHoursPlugin(**config)


async def test_a_time_without_a_zone_is_refused():
    """It would be a different hour for everyone."""
    with pytest.raises(ValueError, match="has no time zone"):
        await BusinessHoursPlugin().evaluate(context(timestamp=datetime(2026, 3, 2, 12)))  # noqa: DTZ001  # the point
