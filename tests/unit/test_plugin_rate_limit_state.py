"""What the rate limit plugin remembers of its own windows across the end of its process."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from fixtures.plugins import NOON, bundled_module, context
from hypothesis import given
from hypothesis import strategies as st

from sark_opa.sandbox.protocol import encoded_state

pytestmark = pytest.mark.anyio

rate_limit = bundled_module("rate_limit")
RateLimitPlugin = rate_limit.RateLimitPlugin


def _allowed(plugin, principal_id, seconds=0.0):
    """An evaluation that never waits ends with its first step."""
    try:
        plugin.evaluate(context(principal_id, timestamp=NOON + timedelta(seconds=seconds))).send(None)
    except StopIteration as end:
        return end.value.allowed
    raise AssertionError("it waits for something")


def _reborn(plugin):
    """The plugin of another process that is handed this one's snapshot, as it travels."""
    other = RateLimitPlugin(plugin.max_requests, plugin.window_seconds)
    other.restore(json.loads(json.dumps(plugin.snapshot())))
    return other


async def test_a_crash_forgets_no_call():
    """Those counted count on, others have the whole limit, and the window passes as it would have."""
    plugin = RateLimitPlugin(3, 60)
    assert [_allowed(plugin, "a", second) for second in (0, 10)] == [True, True]
    other = _reborn(plugin)
    assert [_allowed(other, "a", 20), _allowed(other, "a", 20)] == [True, False]
    assert [_allowed(other, "b", 20) for _ in range(4)] == [True] * 3 + [False]
    # It is not kept when the calls of one key were made but for the last: they count as long as that one.
    assert not _allowed(other, "a", 69.9)
    assert _allowed(other, "a", 70)


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 4), st.booleans()), max_size=60),
)
def test_no_number_of_crashes_allows_a_call_too_many(max_requests, calls):
    """Whatever does not fit into a snapshot is taken for the worst."""
    before, rate_limit.KEYS_KEPT_MAX = rate_limit.KEYS_KEPT_MAX, 3
    try:
        plugin = RateLimitPlugin(max_requests, 10)
        allowed_at = {}
        now = 0
        for principal, gap, crash in calls:
            now += gap
            if crash:
                plugin = _reborn(plugin)
            recent = [at for at in allowed_at.get(principal, []) if at > now - 10]
            if _allowed(plugin, principal, now):
                assert len(recent) < max_requests
                recent.append(now)
            allowed_at[principal] = recent
            local = plugin._local
            assert local._tracked == sum(map(len, local._calls.values()))
            assert len(local._kept) <= 3
    finally:
        rate_limit.KEYS_KEPT_MAX = before


async def test_who_has_no_room_in_the_snapshot_is_taken_for_the_busiest(monkeypatch):
    """Until a window has passed; then everybody has the whole limit."""
    monkeypatch.setattr(rate_limit, "KEYS_KEPT_MAX", 2)
    plugin = RateLimitPlugin(5, 60)
    for principal, count in (("busy", 4), ("calm", 1), ("x", 1), ("y", 1)):
        assert all(_allowed(plugin, principal) for _ in range(count))
    other = _reborn(_reborn(plugin))
    for principal in ("busy", "calm", "new"):
        assert [_allowed(other, principal, 1) for _ in range(2)] == [True, False], principal
    assert [_allowed(other, "x", 1) for _ in range(5)] == [True] * 4 + [False]
    assert [_allowed(other, "newer", 60) for _ in range(6)] == [True] * 5 + [False]


async def test_the_largest_snapshot_can_be_kept():
    """It fits, with room to spare, and takes little time with every call."""
    plugin = RateLimitPlugin(100_000, 60)
    for number in range(rate_limit.KEYS_KEPT_MAX + 100):
        assert _allowed(plugin, f"user-{number}", number / 1000)
    assert len(encoded_state(plugin.snapshot())) < 60 << 10
    assert len(plugin.snapshot()["calls"]) > 50 << 10


@pytest.mark.parametrize("state", [{}, {"calls": "AAAA", "others": [0, 0.0]}, {"calls": "", "others": None}, "x"])
async def test_a_snapshot_of_something_else_is_refused(state):
    """It raises, and the process is not used."""
    with pytest.raises((KeyError, TypeError, ValueError, rate_limit.struct.error)):
        RateLimitPlugin().restore(state)


async def test_a_shared_window_has_no_use_for_another_s_snapshot():
    """Nor one of its own; a plugin whose window was shared before starts with nothing."""
    local = RateLimitPlugin(1)
    local.restore(RateLimitPlugin(1, window="shared").snapshot())
    assert _allowed(local, "a")
    RateLimitPlugin(1, window="shared").restore(local.snapshot())
