"""The rate limit plugin in process: a sliding window against the plainest model, scopes, adaptive, bounded memory.

How it counts in the service is a matter of tests/sandbox/test_rate_limit.py and of the plugin's own cases.
"""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest
from fixtures.plugins import NOON, bundled_module, context
from hypothesis import given
from hypothesis import strategies as st

from sark_opa.plugin import CapabilityError

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
        assert plugin._local._tracked == sum(map(len, plugin._local._calls.values()))


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
    assert len(plugin._local._calls) == len(plugin._local._kept) == plugin._local._tracked == 1


async def test_a_full_limiter_denies_newcomers_and_serves_the_rest(monkeypatch):
    """Without room nobody is waved through; room comes back as windows pass."""
    monkeypatch.setattr(rate_limit, "KEYS_TRACKED_MAX", 3)
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
    tenth = rate_limit.KEYS_TRACKED_MAX // 10
    monkeypatch.setattr(rate_limit, "KEYS_TRACKED_MAX", tenth)
    tracemalloc.start()
    try:
        plugin = RateLimitPlugin(100_000, 3_600)
        for number in range(tenth):
            _decide(plugin, f"{number:0256}", NOON)
        assert not _decide(plugin, "one more", NOON).allowed
        keys_bytes = 10 * tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    calls_bytes = rate_limit.CALLS_TRACKED_MAX * 8 * 9 // 8  # arrays grow by an eighth
    assert keys_bytes + calls_bytes < 70 << 20


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
    "one scope": ({"per": "principal"}, "per is 'principal'; it is a list of one or more of principal, resource"),
    "no scope": ({"per": []}, r"per is \[\]"),
    "an unknown scope": ({"per": ["team"]}, r"per is \['team'\]"),
    "a scope twice": ({"per": ["resource", "resource"]}, "per is"),
    "another place": ({"window": "redis"}, "window is 'redis'; it is local or shared"),
    "a fraction shared": ({"window": "shared", "window_seconds": 1.5}, r"window_seconds is 1\.5; it is whole seconds"),
    "no floor": ({"adaptive": {"floor_share": 0}}, "adaptive: floor_share is 0; it is a number above 0, up to 1"),
    "a high floor": ({"adaptive": {"floor_share": 1.1}}, r"adaptive: floor_share is 1\.1"),
    "tightened from the end": ({"adaptive": {"load_from": 1}}, "adaptive: load_from is 1; it is a number from 0 to"),
    "no number": ({"adaptive": {"error_rate_from": "10%"}}, "adaptive: error_rate_from is '10%'"),
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


def _hit(plugin, **fields):
    """Whether a call with these fields is allowed."""
    try:
        plugin.evaluate(context(**fields)).send(None)
    except StopIteration as end:
        return end.value.allowed
    raise AssertionError("it waits for something")


IDS = {"principal": "principal_id", "resource": "resource_id", "capability": "capability_id"}
SCOPES = [("principal",), ("resource",), ("capability",), ("principal", "resource"), ("principal", "capability"),
          ("resource", "capability"), ("principal", "resource", "capability")]  # fmt: skip


@pytest.mark.parametrize("per", SCOPES, ids="+".join)
async def test_each_scope_has_windows_of_its_own(per):
    """What it names opens another window, what it does not name shares one; another org always has its own."""
    plugin = RateLimitPlugin(1, per=per)
    assert _hit(plugin)
    assert not _hit(plugin)
    for part, field in IDS.items():
        assert _hit(plugin, **{field: "another"}) == (part in per), part
    assert _hit(plugin, org="another")
    assert not _hit(plugin, org="another")


async def test_no_two_lists_of_ids_share_a_window():
    """However the ids are chosen."""
    plugin = RateLimitPlugin(1, per=["principal", "resource"])
    for org, principal_id, resource_id in (
        ("", "a", "b/c"), ("", "a/b", "c"), ("a", "", "b"), ("", "a", "b"), ("a", "b", ""), ("", '","', '"],['),
        ("", "a\x00", "b"), ("", "a", "\x00b"),
    ):  # fmt: skip
        assert _hit(plugin, org=org, principal_id=principal_id, resource_id=resource_id)


@pytest.mark.parametrize(
    ("load", "error_rate", "limit"),
    [
        (0.0, 0.0, 100), (0.7, 0.1, 100), (0.85, 0.0, 60), (0.0, 0.55, 60), (0.85, 0.55, 60), (0.775, 0.55, 60),
        (1.0, 0.0, 20), (0.0, 1.0, 20), (1.0, 1.0, 20), (7.0, 0.0, 20), (-1.0, -1.0, 100), (float("nan"), 0.0, 20),
        (None, 0.0, 20), (0.0, None, 20), ("0", 0.0, 20),
    ],
)  # fmt: skip
async def test_the_limit_tightens_in_a_straight_line(load, error_rate, limit):
    """From where it begins to the floor at 1; the worse of the two counts, and what is not known is the worst."""
    plugin = RateLimitPlugin(100, adaptive={})
    facts = {"load": {"load": load, "error_rate": error_rate}}
    decision = await plugin.evaluate(context(facts=facts))
    assert decision.metadata["limit"] == limit
    assert decision.metadata.get("max_requests", 100) == 100
    assert ("tightened from 100" in decision.reason) == (limit < 100)


@pytest.mark.parametrize("facts", [{}, {"load": None}, {"load": {}}, {"load": {"load": 0.0}}])
async def test_the_floor_holds_where_the_load_is_not_known(facts):
    """And is never below one call."""
    assert (await RateLimitPlugin(100, adaptive={}).evaluate(context(facts=facts))).metadata["limit"] == 20
    least = RateLimitPlugin(3, adaptive={"floor_share": 0.01})
    assert (await least.evaluate(context(facts=facts))).metadata["limit"] == 1


async def test_calls_made_before_count_against_a_tightened_limit():
    """The wait is until as many as the tightened limit has are left."""
    plugin = RateLimitPlugin(4, 60, adaptive={"floor_share": 0.5})
    calm, busy = ({"load": {"load": load, "error_rate": 0.0}} for load in (0.0, 1.0))
    for second in range(3):
        assert _hit(plugin, facts=calm, timestamp=NOON + timedelta(seconds=second))
    decision = await plugin.evaluate(context(facts=busy, timestamp=NOON + timedelta(seconds=3)))
    assert not decision.allowed
    assert decision.metadata["retry_after_s"] == 58.0  # then the call of second 1 is forgotten, and one is left
    assert not _hit(plugin, facts=busy, timestamp=NOON + timedelta(seconds=60.5))
    assert _hit(plugin, facts=busy, timestamp=NOON + timedelta(seconds=61))


async def test_a_shared_window_needs_a_host_that_grants_it():
    """In process there is none, and nothing is waved through."""
    with pytest.raises(CapabilityError, match="not granted") as refused:
        await RateLimitPlugin(window="shared").evaluate(context())
    assert refused.value.code == "not_granted"
    assert RateLimitPlugin(window="shared").snapshot() is None
