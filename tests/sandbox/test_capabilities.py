"""What a plugin calls of the service: what it gets, what it may not, and what is left when something goes wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from fixtures.plugins import (
    descriptors,
    descriptors_settle_at,
    no_facts,
    processes_below,
    processes_of,
    processes_settle_at,
    question,
)

from sark_opa.errors import PluginError
from sark_opa.sandbox import PluginHost, Verdict
from sark_opa.sandbox.capabilities.memory import MemoryWindows
from sark_opa.sandbox.capabilities.rate_windows import RateWindows

pytestmark = pytest.mark.anyio

HIT = """
hit = await context.host.rate_window.hit("key", limit=3, window_seconds=60)
return PolicyDecision(hit.allowed, "", {"remaining": hit.remaining, "reset": hit.reset_in_seconds})
"""


class StuckStore:
    """A store that takes calls and answers none."""

    def __init__(self) -> None:
        self.waiting = 0

    async def acquire_entry(self, *_: Any) -> bool:
        """Never answered."""
        self.waiting += 1
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.waiting -= 1
        return True

    async def get_moving_window(self, *_: Any) -> tuple[float, int]:
        """As quick as can be."""
        return time.time(), 0


@pytest.fixture
async def host_of(anyio_backend: str) -> AsyncIterator[Callable[..., Awaitable[PluginHost]]]:
    """Starts a host with windows of a test's own."""
    hosts = []

    async def start(windows: RateWindows) -> PluginHost:
        hosts.append(PluginHost(rate_windows=windows))
        await hosts[-1].start()
        return hosts[-1]

    yield start
    for host in hosts:
        await host.close()


async def _ask(host: PluginHost, **fields: Any) -> Verdict:
    (verdict,) = await host.evaluate(question(**fields), deadline_s=20, facts=no_facts)
    return verdict


async def test_a_plugin_counts_in_the_service(shared_host, write_plugin):
    """Its hits are counted, and say what is left."""
    await shared_host.load(write_plugin(HIT, needs=["rate_window"]))
    verdicts = [await _ask(shared_host) for _ in range(4)]
    assert [verdict.allowed for verdict in verdicts] == [True, True, True, False]
    assert [verdict.metadata["remaining"] for verdict in verdicts] == [2, 1, 0, 0]
    assert all(50 < verdict.metadata["reset"] <= 60 for verdict in verdicts)


async def test_windows_outlive_the_process_and_the_plugin(host_of, write_plugin):
    """A crash does not empty them, nor does loading the plugin anew."""
    host = await host_of(RateWindows())
    body = f"if context.principal_id == 'crash': reach('os')._exit(7)\n{HIT}"
    await host.load(write_plugin(body, needs=["rate_window"]))
    assert (await _ask(host)).metadata["remaining"] == 2
    assert (await _ask(host, principal_id="crash")).status == "crashed"
    assert (await _ask(host)).metadata["remaining"] == 1
    await host.load(write_plugin(body, needs=["rate_window"]))
    assert (await _ask(host)).metadata["remaining"] == 0
    assert not (await _ask(host)).allowed


async def test_two_plugins_do_not_share_a_window(shared_host, write_plugin):
    """The same key is another one for each, and no spelling of it reaches the other's."""
    for name in ("ours", "theirs"):
        body = """
        keys = ["key", "ours:key", "sark:ours:key", "60:key"]
        hits = [await context.host.rate_window.hit(key, limit=1, window_seconds=60) for key in keys]
        return PolicyDecision(all(hit.allowed for hit in hits), "")
        """
        await shared_host.load(write_plugin(body, name=name, needs=["rate_window"]))
    first = await shared_host.evaluate(question(), deadline_s=20, facts=no_facts)
    assert [verdict.allowed for verdict in first] == [True, True]
    second = await shared_host.evaluate(question(), deadline_s=20, facts=no_facts)
    assert [(verdict.status, verdict.allowed) for verdict in second] == [("ok", False)] * 2


async def test_64_askers_get_exactly_the_limit(shared_host, write_plugin):
    """However many ask at once."""
    body = HIT.replace("limit=3", "limit=100").replace("key", "a key of this test")
    await shared_host.load(write_plugin(body, needs=["rate_window"]))

    async def ask() -> int:
        verdicts = [await _ask(shared_host) for _ in range(5)]
        assert {verdict.status for verdict in verdicts} == {"ok"}
        return sum(verdict.allowed for verdict in verdicts)

    assert sum(await asyncio.gather(*(ask() for _ in range(64)))) == 100


async def test_calls_of_one_question_run_at_the_same_time(shared_host, write_plugin):
    """Up to 16 of them; each gets its own result, in whatever way it is waited for."""
    body = """
    window = context.host.rate_window
    hits = await asyncio.gather(*(
        window.hit(f"{n}", limit=n + 1, window_seconds=60) for n in range(14)))
    spun = asyncio.ensure_future(window.peek("13", limit=14, window_seconds=60))
    while not spun.done():
        await asyncio.sleep(0)
    slept = asyncio.ensure_future(window.peek("12", limit=13, window_seconds=60))
    await asyncio.sleep(0.1)
    return PolicyDecision(True, "", {"left": [hit.remaining for hit in [*hits, spun.result(), slept.result()]]})
    """
    await shared_host.load(write_plugin(body, needs=["rate_window"]))
    for _ in range(3):
        verdict = await _ask(shared_host)
        assert verdict.status == "ok", verdict.output
    # The first window is full from the first question on.
    assert verdict.metadata["left"] == [max(0, n + 1 - 3) for n in [*range(14), 13, 12]]


FAULTS = {
    "not_granted": "return PolicyDecision(True, str(context.host.rate_window))",
    "too_many_calls": "for _ in range(17): await context.host.rate_window.peek('k', limit=1, window_seconds=1)",
    "no key": "await context.host.rate_window.hit('', limit=1, window_seconds=1)",
    "long key": "await context.host.rate_window.hit('é' * 129, limit=1, window_seconds=1)",
    "bytes": "await context.host.rate_window.hit(b'k', limit=1, window_seconds=1)",
    "no limit": "await context.host.rate_window.hit('k', limit=0, window_seconds=1)",
    "high limit": "await context.host.rate_window.hit('k', limit=1_000_001, window_seconds=1)",
    "truth": "await context.host.rate_window.hit('k', limit=True, window_seconds=1)",
    "fraction": "await context.host.rate_window.hit('k', limit=1, window_seconds=0.5)",
    "long window": "await context.host.rate_window.peek('k', limit=1, window_seconds=31 * 86_400 + 1)",
    "free": "await context.host.rate_window.hit('k', limit=1, window_seconds=1, cost=0)",
    "dear": "await context.host.rate_window.hit('k', limit=1, window_seconds=1, cost=1_001)",
}


@pytest.mark.parametrize("case", FAULTS)
async def test_what_cannot_be_is_told_the_plugin(shared_host, write_plugin, case):
    """As an exception with a code; one that is not caught denies and names the code. The process lives on."""
    needs = [] if case == "not_granted" else ["rate_window"]
    await shared_host.load(write_plugin(FAULTS[case], needs=needs))
    code = case if "_" in case else "invalid"
    for _ in range(2):
        verdict = await _ask(shared_host)
        assert (verdict.allowed, verdict.status) == (False, "error")
        assert f"raised CapabilityError: {code} (plugin.py line" in verdict.reason
    assert shared_host.plugins()[0].state == "running"


async def test_what_is_not_granted_is_named_with_its_remedy(shared_host, write_plugin):
    """Also to a plugin of a single file, which has no manifest to ask with."""
    body = """
    try: context.host.rate_window
    except Exception as error: return PolicyDecision(True, str(error), {"code": error.code})
    """
    await shared_host.load(write_plugin(body))
    verdict = await _ask(shared_host)
    assert "`needs: [rate_window]`" in verdict.reason
    assert verdict.metadata == {"code": "not_granted"}


async def test_an_unknown_need_is_refused(shared_host, write_plugin):
    """By the field, with what there is."""
    with pytest.raises(PluginError, match=r"plugin.yaml.*needs.*'rate_window'") as refused:
        await shared_host.load(write_plugin(HIT, needs=["rate_window", "network"]))
    assert "needs" in refused.value.details["field"]


async def test_a_full_store_denies_as_overloaded(host_of, write_plugin):
    """A window more than there is room for is never waved through, and is not held against the plugin."""
    windows = RateWindows()
    windows._in_memory["written"] = MemoryWindows(time.time, keys_max=2)
    host = await host_of(windows)
    await host.load(write_plugin(HIT.replace('"key"', "context.principal_id"), needs=["rate_window"]))
    verdicts = [await _ask(host, principal_id=f"user-{number}") for number in range(12)]
    assert [verdict.allowed for verdict in verdicts] == [True, True] + [False] * 10
    assert all("CapabilityError: overloaded (" in verdict.reason for verdict in verdicts[2:])
    assert (await _ask(host, principal_id="user-1")).allowed


async def test_a_store_that_does_not_answer_is_given_up(host_of, write_plugin):
    """After a quarter of a second, with a code a plugin may catch."""
    store = StuckStore()
    host = await host_of(RateWindows(store))
    body = f"try:\n{_indented(HIT)}\nexcept Exception as error: return PolicyDecision(False, error.code)"
    await host.load(write_plugin(body, needs=["rate_window"]))
    verdict = await _ask(host)
    assert (verdict.status, verdict.reason) == ("ok", "timeout")
    assert 240 < verdict.elapsed_ms < 1_000
    assert store.waiting == 0


LEFT = {
    "answered": ("await asyncio.sleep(0.02)\nreturn PolicyDecision(True, '')", "ok"),
    "cancelled": (
        "try: await asyncio.wait_for(waits, 0.02)\nexcept TimeoutError: return PolicyDecision(True, '')",
        "ok",
    ),
    "crashed": ("await asyncio.sleep(0.02)\nreach('os')._exit(7)", "crashed"),
    "spinning": ("await asyncio.sleep(0.02)\nwhile True: pass", "timeout"),
}


@pytest.mark.parametrize("case", LEFT)
async def test_calls_in_flight_end_with_the_question(host_of, write_plugin, case):
    """Whatever becomes of it, nothing waits on in the service, and the next question is answered as any other."""
    body, status = LEFT[case]
    store = StuckStore()
    host = await host_of(RateWindows(store))
    start = """
    if context.principal_id == "next": return PolicyDecision(True, "next")
    waits = asyncio.gather(*(context.host.rate_window.hit("k", limit=9, window_seconds=9) for _ in range(16)))
    """
    written = write_plugin(
        _dedented(start) + body, needs=["rate_window"], timeout_ms=200 if case == "spinning" else 5_000
    )
    await host.load(written)
    await processes_of(host, 1)  # and the spare one, whose descriptors are there then
    before = descriptors()
    for _ in range(3):
        verdict = await _ask(host)
        assert verdict.status == status, verdict
        assert store.waiting == 0
        assert (await _ask(host, principal_id="next")).reason == "next"
    await descriptors_settle_at(before)
    ours = {task.get_name() for task in asyncio.all_tasks() if "HostCalls" in repr(task)}
    assert ours == set()


async def test_the_limits_go_on_during_calls(host_of, write_plugin):
    """A plugin that waits for one call after the other is stopped at its time; what it called for ends as well."""
    store = StuckStore()
    host = await host_of(RateWindows(store))
    body = """
    while True:
        try: await context.host.rate_window.hit("k", limit=9, window_seconds=9)
        except Exception: pass
    """
    await host.load(write_plugin(body, needs=["rate_window"], timeout_ms=600))
    verdict = await _ask(host)
    assert (verdict.status, store.waiting) == ("timeout", 0)
    assert verdict.elapsed_ms < 1_500


def _dedented(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines()) + "\n"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.strip().splitlines())


async def test_no_process_is_left(write_plugin):
    """Nor a descriptor, once hosts whose plugins were in the middle of calls are closed."""
    before, processes = descriptors(), len(processes_below())
    for _ in range(2):
        host = PluginHost(rate_windows=RateWindows(StuckStore()))
        await host.start()
        await host.load(write_plugin(HIT, needs=["rate_window"]))
        asked = asyncio.ensure_future(_ask(host))
        await asyncio.sleep(0.05)
        await host.close()
        assert not (await asked).allowed
    await processes_settle_at(processes)
    await descriptors_settle_at(before)
