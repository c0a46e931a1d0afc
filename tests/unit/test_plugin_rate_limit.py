"""The rate limit plugin in process: a sliding window against the plainest model, and bounded memory."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest
from fixtures.plugins import NOON, bundled_module, context
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.anyio

rate_limit = bundled_module("rate_limit")
RateLimitPlugin = rate_limit.RateLimitPlugin


def _decide(plugin, principal_id, timestamp):
    """An evaluation that never waits ends with its first step."""
    try:
        plugin.evaluate(context(principal_id, timestamp=timestamp)).send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits for something")


@given(
    st.integers(1, 5),
    st.integers(1, 20),
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 12)), max_size=80),
)
def test_any_window_holds_at_most_the_limit(max_requests, window_seconds, calls):
    """Equal, call for call, to counting the allowed calls of the last window one by one."""
    plugin = RateLimitPlugin(max_requests, window_seconds)
    allowed_at: dict[str, list[int]] = {}
    now = 0
    for principal, gap in calls:
        now += gap
        recent = [at for at in allowed_at.setdefault(principal, []) if at > now - window_seconds]
        expected = len(recent) < max_requests
        decision = _decide(plugin, principal, NOON + timedelta(seconds=now))
        assert decision.allowed == expected
        assert decision.metadata["remaining"] == max_requests - len(recent) - expected
        if expected:
            allowed_at[principal].append(now)
        else:
            assert decision.metadata["retry_after_s"] == recent[0] + window_seconds - now
        plugin_tracks = sum(map(len, plugin._calls.values()))
        assert plugin._tracked == plugin_tracks


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=40))
def test_time_does_not_run_backwards(steps):
    """Questions out of order never give back calls that were counted."""
    plugin = RateLimitPlugin(3, 10)
    now, seen = 0, []
    for step in steps:
        now += step
        if _decide(plugin, "a", NOON + timedelta(seconds=now)).allowed:
            seen.append(max([now, *seen]))
    for at in seen:
        assert sum(at - 10 < other <= at for other in seen) <= 3


async def test_idle_principals_are_forgotten():
    """After a window nothing is remembered of those who called before it."""
    plugin = RateLimitPlugin(10, 60)
    for number in range(1_000):
        assert _decide(plugin, f"user-{number}", NOON).allowed
    assert _decide(plugin, "late", NOON + timedelta(seconds=60)).allowed
    assert list(plugin._calls) == ["/late"]
    assert plugin._tracked == 1


async def test_a_full_limiter_denies_newcomers_and_serves_the_rest(monkeypatch):
    """Without room nobody is waved through; room comes back as windows pass."""
    monkeypatch.setattr(rate_limit, "PRINCIPALS_TRACKED_MAX", 3)
    plugin = RateLimitPlugin(2, 60)
    assert [_decide(plugin, name, NOON).allowed for name in "abcd"] == [True, True, True, False]
    assert "is full" in _decide(plugin, "d", NOON).reason
    assert _decide(plugin, "a", NOON).allowed
    assert _decide(plugin, "d", NOON + timedelta(seconds=60)).allowed


async def test_a_limiter_full_of_calls_denies(monkeypatch):
    """The calls remembered are bounded as well as the principals."""
    monkeypatch.setattr(rate_limit, "CALLS_TRACKED_MAX", 5)
    plugin = RateLimitPlugin(100, 60)
    assert [_decide(plugin, "a", NOON).allowed for _ in range(6)] == [True] * 5 + [False]
    assert not _decide(plugin, "b", NOON).allowed


async def test_the_fullest_limiter_fits_into_its_process(monkeypatch):
    """As many principals with ids as long as they may be, and all the calls, stay below 70 MB."""
    tenth = rate_limit.PRINCIPALS_TRACKED_MAX // 10
    monkeypatch.setattr(rate_limit, "PRINCIPALS_TRACKED_MAX", tenth)
    tracemalloc.start()
    try:
        plugin = RateLimitPlugin(100_000, 3_600)
        for number in range(tenth):
            _decide(plugin, f"{number:0256}", NOON)
        assert not _decide(plugin, "one more", NOON).allowed
        principals_bytes = 10 * tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    calls_bytes = rate_limit.CALLS_TRACKED_MAX * 8 * 9 // 8  # arrays grow by an eighth
    assert principals_bytes + calls_bytes < 70 << 20


WRONG = {
    "none": ({"max_requests": 0}, "max_requests is 0"),
    "a fraction": ({"max_requests": 1.5}, r"max_requests is 1\.5"),
    "too many": ({"max_requests": 100_001}, "max_requests is 100001"),
    "a truth": ({"max_requests": True}, "max_requests is True"),
    "no window": ({"window_seconds": 0}, "window_seconds is 0"),
    "not a number": ({"window_seconds": float("nan")}, "window_seconds is nan"),
    "a text": ({"window_seconds": "60"}, "window_seconds is '60'"),
    "one resource": ({"resources": "openai"}, "resources are 'openai'; they are a list of resource ids"),
    "no ids": ({"resources": [1]}, r"resources are \[1\]"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_configuration_is_named(case):
    """The message names the field and what it may be."""
    config, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        RateLimitPlugin(**config)


async def test_a_time_without_a_zone_is_refused():
    """It would be a different instant for everyone."""
    with pytest.raises(ValueError, match="has no time zone"):
        await RateLimitPlugin().evaluate(context(timestamp=datetime(2026, 3, 2, 12)))  # noqa: DTZ001  # the point


async def test_the_wait_stated_is_the_wait_needed():
    """One microsecond before it is over the call is denied, then allowed."""
    plugin = RateLimitPlugin(1, 60)
    start = datetime(2026, 3, 2, 12, tzinfo=UTC)
    assert _decide(plugin, "a", start).allowed
    denied = _decide(plugin, "a", start + timedelta(seconds=45))
    assert denied.metadata["retry_after_s"] == 15
    assert denied.reason == "1 of 1 calls in 60 s, try again in 15 s"
    assert not _decide(plugin, "a", start + timedelta(seconds=60, microseconds=-1)).allowed
    assert _decide(plugin, "a", start + timedelta(seconds=60)).allowed
