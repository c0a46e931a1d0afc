"""Allows a number of calls in any window of time: of a principal, to a resource, or of whatever is counted together."""

import base64
import hashlib
import json
import math
import struct
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from sark_opa.plugin import PolicyContext, PolicyDecision, PolicyPlugin, RateHit

MAX_REQUESTS_MAX = 100_000
WINDOW_SECONDS_MAX = 30 * 86_400
PARTS = ("principal", "resource", "capability")

CALLS_TRACKED_MAX = 3_000_000
"""Eight bytes each: 24 MB of the 128 MB a plugin has."""
KEYS_TRACKED_MAX = 50_000
"""Up to 400 bytes each: 20 MB more."""
KEYS_KEPT_MAX = 1_600
"""As many as fit into a snapshot, with 28 bytes each in base64."""
_KEPT = struct.Struct(">16sId")


class RateLimitPlugin(PolicyPlugin):
    """At most `max_requests` allowed calls in any `window_seconds` (a sliding window).

    A call counts when it is allowed here. Orgs never share a window.

    Args:
        max_requests: 1 to 100,000.
        window_seconds: above 0, up to 30 days; whole seconds when shared.
        per: what has a window of its own: `principal`, `resource`, `capability`, or several, each combination of
            which has one then.
        resources: ids of the resources whose calls are counted; all when empty.
        window: `shared`: counted by the service, for all its replicas where they share a store. `local`: counted
            here, for one service process. Outside the sandbox only `local` can be had.
        adaptive: tightens the limit while the service is busy or fails; see `Adaptive`. Not adaptive when None.
    """

    name = "rate_limit"
    version = "2.0.0"
    description = "Allows a number of calls in a sliding window."
    priority = 20

    def __init__(
        self,
        max_requests: int = 100,
        window_seconds: float = 3600,
        *,
        per: Sequence[str] = ("principal",),
        resources: Sequence[str] = (),
        window: str = "local",
        adaptive: Mapping[str, float] | None = None,
    ) -> None:
        if type(max_requests) is not int or not 1 <= max_requests <= MAX_REQUESTS_MAX:
            raise ValueError(f"max_requests is {max_requests!r}; it is a whole number from 1 to {MAX_REQUESTS_MAX}")
        if type(window_seconds) not in {int, float} or not 0 < window_seconds <= WINDOW_SECONDS_MAX:
            raise ValueError(f"window_seconds is {window_seconds!r}; it is a number above 0, up to 30 days")
        if isinstance(per, str) or not per or len(set(per)) < len(per) or not set(per) <= set(PARTS):
            raise ValueError(f"per is {per!r}; it is a list of one or more of {', '.join(PARTS)}")
        if isinstance(resources, str) or not all(isinstance(resource, str) for resource in resources):
            raise ValueError(f"resources are {resources!r}; they are a list of resource ids")
        if window not in {"local", "shared"}:
            raise ValueError(f"window is {window!r}; it is local or shared")
        if window == "shared" and window_seconds != int(window_seconds):
            raise ValueError(f"window_seconds is {window_seconds!r}; it is whole seconds when the window is shared")
        self.max_requests = max_requests
        self.window_seconds = window_seconds
        self.per = tuple(part for part in PARTS if part in per)
        self.resources = frozenset(resources)
        self.adaptive = None if adaptive is None else Adaptive(**adaptive)
        self._local = LocalWindows(window_seconds) if window == "local" else None

    async def evaluate(self, context: PolicyContext) -> PolicyDecision:
        """Count the call `context` is about."""
        if context.timestamp.tzinfo is None:
            raise ValueError("context.timestamp has no time zone")
        if self.resources and context.resource_id not in self.resources:
            return PolicyDecision(allowed=True, reason=f"calls to {context.resource_id} are not counted")
        limit = self.max_requests if self.adaptive is None else self.adaptive.limit(self.max_requests, context.facts)
        key = self._key(context)
        if self._local is None:
            window_s = int(self.window_seconds)
            hit = await context.host.rate_window.hit(key.hex(), limit=limit, window_seconds=window_s)
        else:
            try:
                hit = self._local.hit(key, limit, context.timestamp.timestamp())
            except FullError as full:
                return PolicyDecision(allowed=False, reason=f"the rate limiter is full, it remembers {full}")
        return self._decision(hit, limit)

    def snapshot(self) -> Any:
        """What is counted here, so that the end of this process does not forget it."""
        return None if self._local is None else self._local.snapshot()

    def restore(self, state: Any) -> None:
        """Go on where another process ended."""
        if self._local is not None and state is not None:
            self._local.restore(state)

    def _key(self, context: PolicyContext) -> bytes:
        ids = {
            "principal": context.principal_id,
            "resource": context.resource_id,
            "capability": context.capability_id,
        }
        # As JSON, so that no two lists of ids read the same; as a digest, since ids may be long.
        named = json.dumps([context.org, *((part, ids[part]) for part in self.per)])
        return hashlib.blake2b(named.encode(), digest_size=16).digest()

    def _decision(self, hit: RateHit, limit: int) -> PolicyDecision:
        count = limit - hit.remaining
        rest = f"{hit.remaining} left" if hit.allowed else f"try again in {math.ceil(hit.reset_in_seconds)} s"
        metadata: dict[str, Any] = {
            "limit": limit,
            "window_seconds": self.window_seconds,
            "per": list(self.per),
            "remaining": hit.remaining,
        }
        if limit < self.max_requests:
            metadata["max_requests"] = self.max_requests
            rest += f" (tightened from {self.max_requests})"
        if not hit.allowed:
            metadata["retry_after_s"] = round(hit.reset_in_seconds, 3)
        return PolicyDecision(hit.allowed, f"{count} of {limit} calls in {self.window_seconds} s, {rest}", metadata)


class Adaptive:
    """A limit that tightens as the service gets busy or fails.

    `facts["load"]` says how busy it is (`load`) and what share of its answers failed lately (`error_rate`), both 0
    to 1. Up to `load_from` and `error_rate_from` the whole limit holds; from there on to 1 it shrinks in a straight
    line to `floor_share` of it. The worse of the two counts. Where the load is not known, the floor holds.

    Args:
        load_from: 0 to below 1.
        error_rate_from: 0 to below 1.
        floor_share: above 0, up to 1.
    """

    def __init__(self, load_from: float = 0.7, error_rate_from: float = 0.1, floor_share: float = 0.2) -> None:
        for name, share in (("load_from", load_from), ("error_rate_from", error_rate_from)):
            if type(share) not in {int, float} or not 0 <= share < 1:
                raise ValueError(f"adaptive: {name} is {share!r}; it is a number from 0 to below 1")
        if type(floor_share) not in {int, float} or not 0 < floor_share <= 1:
            raise ValueError(f"adaptive: floor_share is {floor_share!r}; it is a number above 0, up to 1")
        self.load_from = load_from
        self.error_rate_from = error_rate_from
        self.floor_share = floor_share

    def limit(self, max_requests: int, facts: Mapping[str, Any]) -> int:
        """The limit that holds now, at least 1."""
        load = facts.get("load")
        told = load if isinstance(load, Mapping) else {}
        strain = max(_strain(told.get("load"), self.load_from), _strain(told.get("error_rate"), self.error_rate_from))
        return max(1, math.floor(max_requests * (1 - strain * (1 - self.floor_share)) + 1e-9))


def _strain(value: object, begins_at: float) -> float:
    """0 up to where it begins, 1 at 1 and where it is not known."""
    if not isinstance(value, int | float) or math.isnan(value):
        return 1.0
    return min(1.0, max(0.0, (value - begins_at) / (1 - begins_at)))


class FullError(Exception):
    """There is no room to remember another call; the message says how much is remembered."""


class LocalWindows:
    """Windows of one length in this process. A call exactly as old as the window counts no more.

    When more is to be remembered than there is room for, calls are denied, never waved through. The same goes for
    what a snapshot has no room for: it keeps the number of calls of each key, not all their instants, and of keys
    beyond `KEYS_KEPT_MAX` only the highest number. After `restore` calls may wait longer, and never shorter.
    """

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        # Key to the instants of its calls, ascending; the key that was called last is at the end.
        self._calls: OrderedDict[bytes, array[float]] = OrderedDict()
        self._tracked = 0
        self._now = 0.0
        # The keys called last as a snapshot has them, and the most calls any other has made, and when at the latest.
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()
        self._others = (0, 0.0)
        # The same of the process before this one: what a key is taken to have called that is not known here.
        self._unknown = (0, 0.0)

    def hit(self, key: bytes, limit: int, at: float) -> RateHit:
        """Count a call of `key` made `at`, seconds since 1970, if it is within the limit.

        Raises:
            FullError: the limiter is full.
        """
        # Questions asked at the same time may arrive out of order; time does not run backwards here.
        now = self._now = max(self._now, at)
        self._forget_idle(now)
        calls = self._recent(key, now)
        count = len(calls)
        if count >= limit:
            return RateHit(allowed=False, remaining=0, reset_in_seconds=calls[count - limit] + self._window_s - now)
        known = key in self._calls
        added = 1 if known else count + 1
        if self._tracked + added > CALLS_TRACKED_MAX or (not known and len(self._calls) >= KEYS_TRACKED_MAX):
            raise FullError(f"{self._tracked} calls of {len(self._calls)} callers")
        calls.append(now)
        self._tracked += added
        self._calls[key] = calls
        self._calls.move_to_end(key)
        self._keep(key, calls)
        return RateHit(allowed=True, remaining=limit - count - 1, reset_in_seconds=calls[0] + self._window_s - now)

    def snapshot(self) -> dict[str, Any]:
        """Everything that still counts, or more."""
        count, at = map(max, zip(self._others, self._live_unknown(self._now), strict=True))
        return {"calls": base64.b64encode(b"".join(self._kept.values())).decode(), "others": [count, at]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Remember what a snapshot says, and nothing else."""
        for remembered in (self._calls, self._kept):
            remembered.clear()
        self._tracked, self._now, self._others = 0, 0.0, (0, 0.0)
        for key, count, at in _KEPT.iter_unpack(base64.b64decode(state["calls"])):
            calls = self._calls[key] = array("d", [at]) * count
            self._kept[key] = _KEPT.pack(key, count, at)
            self._tracked += len(calls)
            self._now = max(self._now, at)
        count, at = state["others"]
        self._unknown = (int(count), float(at))

    def _recent(self, key: bytes, now: float) -> "array[float]":
        """The key's calls that still count."""
        calls = self._calls.get(key)
        if calls is None:
            count, at = self._live_unknown(now)
            return array("d", [at]) * count
        expired = bisect_right(calls, now - self._window_s)
        del calls[:expired]
        self._tracked -= expired
        return calls

    def _live_unknown(self, now: float) -> tuple[int, float]:
        if self._unknown[1] <= now - self._window_s:
            self._unknown = (0, 0.0)
        return self._unknown

    def _keep(self, key: bytes, calls: "array[float]") -> None:
        self._kept[key] = _KEPT.pack(key, len(calls), calls[-1])
        self._kept.move_to_end(key)
        if len(self._kept) > KEYS_KEPT_MAX:
            _, other = self._kept.popitem(last=False)
            _, count, at = _KEPT.unpack(other)
            self._others = (max(self._others[0], count), max(self._others[1], at))

    def _forget_idle(self, now: float) -> None:
        """Drop the keys none of whose calls count any more; they are the first ones."""
        while self._calls:
            key, calls = next(iter(self._calls.items()))
            if calls and calls[-1] > now - self._window_s:
                break
            self._tracked -= len(calls)
            del self._calls[key]
            self._kept.pop(key, None)
        if len(self._calls) == len(self._kept):
            self._others = (0, 0.0)
