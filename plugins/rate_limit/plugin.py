"""Allows each principal a number of calls in any window of time."""

import math
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence

from sark_opa.plugin import PolicyContext, PolicyDecision, PolicyPlugin

CALLS_TRACKED_MAX = 3_000_000
"""Eight bytes each: 24 MB of the 128 MB a plugin has."""
PRINCIPALS_TRACKED_MAX = 50_000
"""Up to 600 bytes each, with ids of 256 characters: 30 MB more."""
MAX_REQUESTS_MAX = 100_000
WINDOW_SECONDS_MAX = 30 * 86_400


class RateLimitPlugin(PolicyPlugin):
    """At most `max_requests` allowed calls of one principal in any `window_seconds` (a sliding window).

    A call counts when it is allowed here; one exactly `window_seconds` old counts no more. What is
    remembered lives in this process: each service process counts for itself, and a restart starts anew.
    When more is to be remembered than there is room for, calls are denied, never waved through.

    Args:
        max_requests: 1 to 100,000.
        window_seconds: above 0, up to 30 days.
        resources: ids of the resources whose calls are counted, together; all when empty.
    """

    name = "rate_limit"
    version = "1.0.0"
    description = "Allows each principal a number of calls in a sliding window."
    priority = 20

    def __init__(self, max_requests: int = 100, window_seconds: float = 3600, resources: Sequence[str] = ()) -> None:
        if type(max_requests) is not int or not 1 <= max_requests <= MAX_REQUESTS_MAX:
            raise ValueError(f"max_requests is {max_requests!r}; it is a whole number from 1 to {MAX_REQUESTS_MAX}")
        if type(window_seconds) not in {int, float} or not 0 < window_seconds <= WINDOW_SECONDS_MAX:
            raise ValueError(f"window_seconds is {window_seconds!r}; it is a number above 0, up to 30 days")
        if isinstance(resources, str) or not all(isinstance(resource, str) for resource in resources):
            raise ValueError(f"resources are {resources!r}; they are a list of resource ids")
        self.resources = frozenset(resources)
        self.max_requests = max_requests
        self.window_seconds = window_seconds
        # Principal to the instants of its calls, ascending; the principal that called last is at the end.
        self._calls: OrderedDict[str, array[float]] = OrderedDict()
        self._tracked = 0
        self._now = 0.0

    async def evaluate(self, context: PolicyContext) -> PolicyDecision:
        """Count the call of `context.principal_id` at `context.timestamp`."""
        if context.timestamp.tzinfo is None:
            raise ValueError("context.timestamp has no time zone")
        if self.resources and context.resource_id not in self.resources:
            return PolicyDecision(allowed=True, reason=f"calls to {context.resource_id} are not counted")
        # Questions asked at the same time may arrive out of order; time does not run backwards here.
        now = self._now = max(self._now, context.timestamp.timestamp())
        self._forget_idle(now)
        # An org's name holds no slash, so no two principals share a key.
        principal = f"{context.org}/{context.principal_id}"
        calls = self._recent(principal, now)
        if len(calls) >= self.max_requests:
            wait_s = calls[0] + self.window_seconds - now
            return self._decision(calls, f"try again in {math.ceil(wait_s)} s", retry_after_s=round(wait_s, 3))
        if self._tracked >= CALLS_TRACKED_MAX or (not calls and len(self._calls) >= PRINCIPALS_TRACKED_MAX):
            tracked = f"{self._tracked} calls of {len(self._calls)} principals"
            return PolicyDecision(allowed=False, reason=f"the rate limiter is full, it remembers {tracked}")
        calls.append(now)
        self._tracked += 1
        self._calls[principal] = calls
        self._calls.move_to_end(principal)
        return self._decision(calls, f"{self.max_requests - len(calls)} left", allowed=True)

    def _decision(self, calls: "array[float]", rest: str, *, allowed: bool = False, **more: float) -> PolicyDecision:
        return PolicyDecision(
            allowed=allowed,
            reason=f"{len(calls)} of {self.max_requests} calls in {self.window_seconds} s, {rest}",
            metadata={
                "limit": self.max_requests,
                "window_seconds": self.window_seconds,
                "remaining": self.max_requests - len(calls),
                **more,
            },
        )

    def _recent(self, principal: str, now: float) -> "array[float]":
        """The principal's calls that still count."""
        calls = self._calls.get(principal)
        if calls is None:
            return array("d")
        expired = bisect_right(calls, now - self.window_seconds)
        del calls[:expired]
        self._tracked -= expired
        return calls

    def _forget_idle(self, now: float) -> None:
        """Drop the principals none of whose calls count any more; they are the first ones."""
        while self._calls:
            principal, calls = next(iter(self._calls.items()))
            if calls[-1] > now - self.window_seconds:
                return
            self._tracked -= len(calls)
            del self._calls[principal]
