"""What may be asked of an export, and what the columns are."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from sark_opa.errors import InvalidInputError
from sark_opa.reports.export.mapping import columns, header
from sark_opa.reports.export.request import request_of


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-11-01", date(2026, 11, 1)),
        ("2026-11-01T08:00:00Z", datetime(2026, 11, 1, 8, tzinfo=UTC)),
        ("2026-11-01t08:00:00.5+02:00", datetime(2026, 11, 1, 6, 0, 0, 500_000, tzinfo=UTC)),
        (None, None),
    ],
)
def test_a_moment_is_a_day_or_an_instant(text: str | None, meant: date | None) -> None:
    """An instant in UTC, a day as it is: its zone is known later."""
    assert request_of(org=None, starts=text, ends=None, timezone=None).starts == meant


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "2026-13-01",
        "2026-02-30",
        "2026-11-01T08:00:00",
        "20261101",
        "2026-11-01T25:00:00Z",
        "",
        "٢٠٢٦-11-01",
    ],
)
def test_anything_else_is_refused_by_name(text: str) -> None:
    """Also an instant that does not say its zone."""
    with pytest.raises(InvalidInputError) as refused:
        request_of(org=None, starts=None, ends=text, timezone=None)
    assert refused.value.details["path"] == "to"


@pytest.mark.parametrize(
    ("starts", "ends", "path"),
    [
        ("2026-11-01", "2026-11-01", "to"),
        ("2026-11-02", "2026-11-01", "from"),
        ("2026-11-01T08:00:00Z", "2026-11-01T09:00:00+01:00", "to"),
    ],
)
def test_a_period_holds_something(starts: str, ends: str, path: str) -> None:
    """Not of zero length, not backwards."""
    with pytest.raises(InvalidInputError) as refused:
        request_of(org=None, starts=starts, ends=ends, timezone=None)
    assert refused.value.details["path"] == path


@pytest.mark.parametrize("name", ["Mars/Olympus", "../../etc/passwd", "", "UTC\0", "Europe"])
def test_a_time_zone_that_does_not_exist_is_refused(name: str) -> None:
    """Whatever it looks like."""
    with pytest.raises(InvalidInputError, match="IANA"):
        request_of(org=None, starts=None, ends=None, timezone=name)


def test_columns_of_focus_come_first_and_ours_are_marked() -> None:
    """In each version by name, ours behind them with `x_`."""
    for version in ("1.2", "1.4"):
        names = list(columns(version))
        ours = [name for name in names if name.startswith("x_")]
        assert names == sorted(set(names) - set(ours)) + sorted(ours)
        assert header(version).decode().strip().split(",") == names


def test_versions_differ_in_who_sells() -> None:
    """FOCUS 1.4 has removed ProviderName and PublisherName."""
    first, last = set(columns("1.2")), set(columns("1.4"))
    assert first - last == {"ProviderName", "PublisherName"}
    assert last - first == {"HostProviderName", "ServiceProviderName"}
