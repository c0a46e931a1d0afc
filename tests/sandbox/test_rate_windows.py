"""Windows in the service: in memory and in a real Redis, alone and across service processes."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from fixtures.plugins import question
from fixtures.redis import RedisServer
from hypothesis import given
from hypothesis import strategies as st

from sark_opa.bundled import folder
from sark_opa.errors import ConfigurationError
from sark_opa.sandbox import PluginHost, Verdict
from sark_opa.sandbox.capabilities import memory
from sark_opa.sandbox.capabilities.memory import MemoryWindows, WindowsFullError
from sark_opa.sandbox.capabilities.rate_windows import PluginWindows, RateWindows, WindowFaultError, rate_windows

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["memory", "redis"])
async def windows(request: pytest.FixtureRequest) -> AsyncIterator[RateWindows]:
    """Windows in memory, then in a real server."""
    url = "memory://" if request.param == "memory" else request.getfixturevalue("redis_server").url
    async with rate_windows(url) as opened:
        yield opened


async def test_a_window_holds_its_limit(windows: RateWindows) -> None:
    """Up to the limit hits are allowed and count down; then they are not, and say when there is room."""
    ours = windows.of("ours")
    seen = [await ours.hit(b"key", limit=3, window_s=60, cost=1) for _ in range(5)]
    assert [(hit.allowed, hit.remaining) for hit in seen] == [
        (True, 2), (True, 1), (True, 0), (False, 0), (False, 0),
    ]  # fmt: skip
    assert all(50 < hit.reset_s <= 60 for hit in seen)


async def test_peeking_does_not_count(windows: RateWindows) -> None:
    """It says what a hit would get."""
    ours = windows.of("ours")
    for _ in range(3):
        peeked = await ours.peek(b"key", limit=1, window_s=60, cost=1)
        assert (peeked.allowed, peeked.remaining, peeked.reset_s) == (True, 1, 0.0)
    assert (await ours.hit(b"key", limit=1, window_s=60, cost=1)).allowed
    peeked = await ours.peek(b"key", limit=1, window_s=60, cost=1)
    assert (peeked.allowed, peeked.remaining) == (False, 0)


async def test_a_hit_may_cost_several(windows: RateWindows) -> None:
    """It counts in full or not at all; one that costs more than the limit never fits."""
    ours = windows.of("ours")
    costs = [6, 5, 4, 1]
    seen = [await ours.hit(b"key", limit=10, window_s=60, cost=cost) for cost in costs]
    assert [(hit.allowed, hit.remaining) for hit in seen] == [(True, 4), (False, 4), (True, 0), (False, 0)]
    assert not (await ours.hit(b"other", limit=10, window_s=60, cost=11)).allowed
    assert (await ours.hit(b"other", limit=10, window_s=60, cost=10)).allowed


async def test_another_limit_is_held_against_the_same_window(windows: RateWindows) -> None:
    """Otherwise each change of an adaptive limit would start a window anew."""
    ours = windows.of("ours")
    for _ in range(4):
        assert (await ours.hit(b"key", limit=10, window_s=60, cost=1)).allowed
    tightened = await ours.hit(b"key", limit=2, window_s=60, cost=1)
    assert (tightened.allowed, tightened.remaining) == (False, 0)
    loosened = await ours.hit(b"key", limit=10, window_s=60, cost=1)
    assert (loosened.allowed, loosened.remaining) == (True, 5)


async def test_plugins_keys_and_lengths_are_apart(windows: RateWindows) -> None:
    """No plugin reaches another's windows, whatever it takes for a key; nor do windows of two lengths mix."""
    for plugin, key, window_s in (
        ("ours", b"key", 60), ("theirs", b"key", 60), ("ours", b"key", 61), ("ours", b"theirs:key", 60),
        ("ours", b"1:key", 60), ("ours", b"\x00\xff", 60),
    ):  # fmt: skip
        hit = await windows.of(plugin).hit(key, limit=1, window_s=window_s, cost=1)
        assert hit.allowed, (plugin, key, window_s)
        assert not (await windows.of(plugin).hit(key, limit=1, window_s=window_s, cost=1)).allowed


async def test_a_window_passes(windows: RateWindows) -> None:
    """After its length a hit counts no more."""
    ours = windows.of("ours")
    assert (await ours.hit(b"key", limit=1, window_s=1, cost=1)).allowed
    denied = await ours.hit(b"key", limit=1, window_s=1, cost=1)
    assert not denied.allowed
    await asyncio.sleep(denied.reset_s + 0.02)
    assert (await ours.hit(b"key", limit=1, window_s=1, cost=1)).allowed


async def test_keys_in_redis_are_bounded_and_ours(redis_server: RedisServer) -> None:
    """However long a key is, and nothing of it, such as a name, is readable there; all of them expire."""
    async with rate_windows(redis_server.url) as windows:
        await windows.of("ours").hit(b"alice" * 50, limit=1, window_s=60, cost=1)
    (name,) = (line for line in redis_server.command("KEYS", "*").split() if line.startswith(b"sark:"))
    assert name.startswith(b"sark:ours:")
    assert len(name) == len("sark:ours:") + 32
    assert redis_server.command("DBSIZE") == b":1\r\n"
    assert 0 < int(redis_server.command("TTL", name.decode())[1:]) <= 60


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 4), st.integers(1, 3), st.integers(-1, 4)), max_size=60)
)
def test_memory_counts_as_the_plainest_model_does(hits: list[tuple[str, int, int, int]]) -> None:
    """Hit for hit equal to counting one by one, with limits and costs that change and a clock that steps back."""

    async def run() -> None:
        clock = [0.0]
        ours = PluginWindows("ours", windows := MemoryWindows(lambda: clock[0]), windows.now)
        counted: dict[str, list[float]] = {"a": [], "b": []}
        now = 0.0
        for key, limit, cost, step in hits:
            clock[0] += step
            now = max(now, clock[0])
            recent = [at for at in counted[key] if at > now - 5]
            expected = len(recent) + cost <= limit
            hit = await ours.hit(key.encode(), limit=limit, window_s=5, cost=cost)
            assert hit.allowed == expected
            if expected:
                recent += [now] * cost
            counted[key] = recent
            youngest = recent[-limit:]
            assert hit.remaining == limit - len(youngest)
            assert hit.reset_s == (youngest[0] + 5 - now if youngest else 0.0)
            assert windows._entries == sum(map(len, windows._windows.values()))

    asyncio.run(run())


async def test_memory_forgets_windows_that_are_over() -> None:
    """Those of every length, whether they were hit again or not."""
    clock = [0.0]
    windows = MemoryWindows(lambda: clock[0])
    for number in range(100):
        assert await windows.acquire_entry(f"short-{number}", 2, 10)
        assert await windows.acquire_entry(f"long-{number}", 2, 100)
    clock[0] = 9.0
    assert await windows.acquire_entry("short-0", 2, 10)
    clock[0] = 12.0
    assert await windows.acquire_entry("new", 1, 1)
    assert len(windows) == 102
    assert windows._entries == 103
    clock[0] = 200.0
    assert await windows.acquire_entry("newest", 1, 1)
    assert (len(windows), windows._entries, len(windows._ends)) == (1, 1, 1)


async def test_full_memory_faults_and_serves_whom_it_knows() -> None:
    """A key too many is refused, a hit too many as well; there is room again when windows pass."""
    clock = [0.0]
    windows = MemoryWindows(lambda: clock[0], keys_max=2, entries_max=4)
    assert await windows.acquire_entry("a", 9, 10)
    assert await windows.acquire_entry("b", 9, 10)
    with pytest.raises(WindowsFullError):
        await windows.acquire_entry("c", 9, 10)
    assert await windows.acquire_entry("a", 9, 10, 2)
    with pytest.raises(WindowsFullError):
        await windows.acquire_entry("a", 9, 10)
    with pytest.raises(WindowFaultError, match="overloaded"):
        await PluginWindows("ours", windows, windows.now).hit(b"a", limit=9, window_s=10, cost=1)
    clock[0] = 10.0
    assert await windows.acquire_entry("c", 9, 10)


async def test_the_fullest_memory_is_as_large_as_it_says() -> None:
    """A tenth of the keys, with names as they are made, takes at most a tenth of what the module states."""
    tracemalloc.start()
    try:
        windows = MemoryWindows(time.time)
        ours = PluginWindows("p" * 64, windows, windows.now)
        for number in range(memory.KEYS_MAX // 10):
            await ours.hit(b"%d" % number, limit=5, window_s=3_600, cost=1)
        taken_bytes = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert taken_bytes / (memory.KEYS_MAX // 10) < 500


@pytest.mark.parametrize("url", ["http://hunter2@127.0.0.1", "redis", "", "redis://:hun:ter2@127.0.0.1:hunter2/0"])
async def test_a_url_of_something_else_is_refused(url: str) -> None:
    """By the name of the setting, and without its value, which may hold a password."""
    with pytest.raises(ConfigurationError, match="SARK_RATE_WINDOW_URL: ") as refused:
        async with rate_windows(url):
            raise AssertionError("it opened")
    assert "ter2" not in refused.value.message


async def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "redis"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'sark-opa\[redis\]'"):
        async with rate_windows("redis://127.0.0.1"):
            raise AssertionError("it opened")


async def test_two_services_share_a_limit(redis_server: RedisServer) -> None:
    """Two service processes with 64 askers each allow exactly the limit together."""
    command = [sys.executable, "-P", str(ROOT / "tests/fixtures/rate_askers.py"), str(folder("plugins") / "rate_limit")]
    services = [
        await asyncio.create_subprocess_exec(*command, redis_server.url, "64", "3", stdout=asyncio.subprocess.PIPE)
        for _ in range(2)
    ]
    said = [json.loads((await service.communicate())[0]) for service in services]
    assert [service.returncode for service in services] == [0, 0]
    assert sum(one.get("allowed", 0) for one in said) == 100
    assert sum(one["ok"] for one in said) == 2 * 64 * 3 - 100


async def test_a_redis_that_is_gone_denies_until_it_is_back(
    redis_server: RedisServer, write_plugin: Callable[..., Path]
) -> None:
    """Killed it is `unavailable`, stopped it is a `timeout`, each within the time of a call; back, all works."""
    body = """
    hit = await context.host.rate_window.hit("key", limit=100, window_seconds=60)
    return PolicyDecision(hit.allowed, str(hit.remaining))
    """
    async with rate_windows(redis_server.url) as windows:
        host = PluginHost(rate_windows=windows)
        await host.start()
        await host.load(write_plugin(body, needs=["rate_window"]))
        assert [(await _ask(host)).reason for _ in range(2)] == ["99", "98"]
        redis_server.kill()
        for _ in range(10):
            verdict = await _ask(host)
            assert (verdict.allowed, verdict.status) == (False, "error")
            assert "CapabilityError: unavailable (" in verdict.reason
        redis_server.start()
        assert (await _ask(host)).reason == "99"
        redis_server.pause()
        verdict = await _ask(host)
        assert "CapabilityError: timeout (" in verdict.reason
        assert 240 < verdict.elapsed_ms < 1_000
        redis_server.go_on()
        # The hit that timed out may have been counted; that is the safe way round.
        assert (await _ask(host)).reason in {"98", "97"}
        assert [info.state for info in host.plugins()] == ["running"]
        await host.close()


async def _ask(host: PluginHost) -> Verdict:
    async def facts(need: str) -> object:
        raise AssertionError(need)

    (verdict,) = await host.evaluate(question(), deadline_s=20, facts=facts)
    return verdict
