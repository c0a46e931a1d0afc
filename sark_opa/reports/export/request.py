"""What is to be exported: which org, which period, in which columns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sark_opa.errors import InvalidInputError
from sark_opa.reports.export.mapping import FocusVersion

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_INSTANT: Final = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?([Zz]|[+-]\d{2}:\d{2})")


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """Which charges, and how.

    Attributes:
        org: None for every org.
        starts: the first instant, or the first day in the time zone; None: the start of the last month of the period.
        ends: the first instant or day that is not part of it; None: now.
        timezone: IANA name that says where days and billing periods begin; None: each org's own.
        within: only charges below all of these accounts.
        focus_version: which columns.
        escape_formulas: put an apostrophe before texts that a spreadsheet would read as formulas.
    """

    org: str | None = None
    starts: date | datetime | None = None
    ends: date | datetime | None = None
    timezone: str | None = None
    within: tuple[str, ...] = ()
    focus_version: FocusVersion = "1.2"
    escape_formulas: bool = False


def request_of(
    *,
    org: str | None,
    starts: str | None,
    ends: str | None,
    timezone: str | None,
    within: tuple[str, ...] = (),
    focus_version: FocusVersion = "1.2",
    escape_formulas: bool = False,
) -> ExportRequest:
    """A request from texts as callers write them.

    Args:
        org: name, or None.
        starts: `from`: a day (`2026-11-01`) or an instant (RFC 3339).
        ends: `to`: as `from`, exclusive.
        timezone: IANA name.
        within: as in `ExportRequest`.
        focus_version: as in `ExportRequest`.
        escape_formulas: as in `ExportRequest`.

    Raises:
        InvalidInputError: one of them cannot be, or the period is empty or backwards.
    """
    if timezone is not None:
        check_zone(timezone)
    first, last = moment("from", starts), moment("to", ends)
    comparable = first is not None and last is not None and isinstance(first, datetime) == isinstance(last, datetime)
    if comparable:
        check_order(first, last)
    return ExportRequest(org, first, last, timezone, within, focus_version, escape_formulas)


def moment(name: str, text: str | None) -> date | datetime | None:
    """A day or an instant with its zone.

    Raises:
        InvalidInputError: neither.
    """
    if text is None:
        return None
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
        if _INSTANT.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInputError(f"{name}: {text!r} is in no calendar: {error}", path=name) from error
    raise InvalidInputError(
        f"{name}: {text!r} is neither a day, such as 2026-11-01, nor an instant with its zone, "
        "such as 2026-11-01T08:00:00Z",
        path=name,
    )


def check_zone(name: str) -> None:
    """Let an IANA time zone pass.

    Raises:
        InvalidInputError: there is none of that name.
    """
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInputError(
            f"timezone: {name!r} is no IANA time zone, such as Europe/Paris", path="timezone"
        ) from error


def check_order(starts: date | None, ends: date | None) -> None:
    """Let a period pass that holds at least an instant.

    Raises:
        InvalidInputError: it is of zero length, or ends before it starts.
    """
    if starts is None or ends is None or starts < ends:
        return
    if starts == ends:
        raise InvalidInputError(f"the period from {starts} to {ends} is of zero length; `to` is exclusive", path="to")
    raise InvalidInputError(f"the period starts at {starts}, after its end, {ends}", path="from")
