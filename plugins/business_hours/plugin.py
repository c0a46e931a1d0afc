"""Allows calls during business hours and denies them otherwise."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sark_opa.plugin import PolicyContext, PolicyDecision, PolicyPlugin

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

DAYS_AHEAD_MAX = 22
"""Enough when a clock change takes the only open hours of a week away."""


class BusinessHoursPlugin(PolicyPlugin):
    """Open from `start_hour` (included) to `end_hour` (excluded), local time of `timezone`, on `days`.

    Args:
        start_hour: 0 to 23.
        end_hour: 1 to 24, after `start_hour`.
        timezone: IANA name; daylight saving time is that zone's.
        days: of `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`, at least one.
        resources: ids of the resources the hours are for; for all when empty.
    """

    name = "business_hours"
    version = "1.0.0"
    description = "Allows calls during business hours."
    priority = 10

    def __init__(
        self,
        start_hour: int = 9,
        end_hour: int = 17,
        timezone: str = "UTC",
        days: Sequence[str] = DAYS[:5],
        resources: Sequence[str] = (),
    ) -> None:
        for field, hour, last in (("start_hour", start_hour, 23), ("end_hour", end_hour, 24)):
            if type(hour) is not int or not 0 <= hour <= last:
                raise ValueError(f"{field} is {hour!r}; it is a whole number from 0 to {last}")
        if start_hour >= end_hour:
            raise ValueError(f"start_hour {start_hour} is not before end_hour {end_hour}")
        unknown = [day for day in days if day not in DAYS]
        if unknown or not days:
            raise ValueError(f"days are {list(days)!r}; they are at least one of {', '.join(DAYS)}")
        try:
            self.zone = ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
            raise ValueError(f"timezone {timezone!r} is no IANA time zone such as Europe/Berlin") from error
        self.start_hour = start_hour
        self.end_hour = end_hour
        self.days = frozenset(DAYS.index(day) for day in days)
        if isinstance(resources, str) or not all(isinstance(resource, str) for resource in resources):
            raise ValueError(f"resources are {resources!r}; they are a list of resource ids")
        self.resources = frozenset(resources)

    async def evaluate(self, context: PolicyContext) -> PolicyDecision:
        """Judge `context.timestamp`."""
        if self.resources and context.resource_id not in self.resources:
            return PolicyDecision(allowed=True, reason=f"no hours are set for {context.resource_id}")
        if context.timestamp.tzinfo is None:
            raise ValueError("context.timestamp has no time zone")
        local = context.timestamp.astimezone(self.zone)
        hours = f"{self.start_hour:02}:00 to {self.end_hour:02}:00 {self.zone.key}"
        metadata = {"local_time": local.isoformat()}
        if self._is_open(local):
            return PolicyDecision(allowed=True, reason=f"within business hours, {hours}", metadata=metadata)
        opens_at = self._next_opening(local)
        metadata["opens_at"] = opens_at.isoformat()
        return PolicyDecision(
            allowed=False,
            reason=f"outside business hours, {hours}: it is {DAYS[local.weekday()]} {local:%H:%M}, "
            f"open again {DAYS[opens_at.weekday()]} {opens_at:%H:%M}",
            metadata=metadata,
        )

    def _is_open(self, local: datetime) -> bool:
        return local.weekday() in self.days and self.start_hour <= local.hour < self.end_hour

    def _next_opening(self, local: datetime) -> datetime:
        """The next start of open hours. Where a clock change skips that hour, the instant it skips to, if open."""
        for ahead in range(DAYS_AHEAD_MAX):
            day = local.date() + timedelta(days=ahead)
            for fold in (0, 1):
                # Through UTC and back: a time on the wall that is skipped becomes the one that takes its place.
                opening = datetime(day.year, day.month, day.day, self.start_hour, tzinfo=self.zone, fold=fold)
                instant = opening.astimezone(UTC)
                opening = instant.astimezone(self.zone)
                # Compared in UTC, since two times of one zone are compared by what the wall shows.
                if instant > local.astimezone(UTC) and self._is_open(opening):
                    return opening
        raise AssertionError("days is never empty, so three weeks hold an open day")
