"""A plugin that fails too often is not asked for a while; one that breaks out of its rules gets no process any more."""

from __future__ import annotations

import asyncio
import time

import pytest
import structlog
from fixtures.plugins import ask, processes_of, question

from sark_opa.sandbox import process as process_module

pytestmark = pytest.mark.anyio

# They send by the one call that reaches the connection: `write` is refused.
BODY = """
def send(data): reach('ctypes').CDLL(None).send(3, data, len(data), 0)
kind = context.principal_id
if kind == 'exit': reach('os')._exit(7)
if kind == 'raise': raise ValueError
if kind == 'hungry': bytearray(1 << 30)
if kind == 'spin':
    while True: pass
if kind == 'sleep': time.sleep(60)
if kind == 'slow': time.sleep(0.2)
if kind == 'garbage': send(b'\\xff' * 100)
return PolicyDecision(True, str(self.calls))
"""
SPINNING = """
if context.principal_id == 'good': return PolicyDecision(True, 'yes')
self.config['id'] = self.config.get('id', 1) + 1
reply = reach('msgspec').msgpack.encode(['answer', self.config['id'], 'ok', True, 'early', {}, ''])
frame = len(reply).to_bytes(4, 'big') + reply
reach('ctypes').CDLL(None).send(3, frame, len(frame), 0)
until = time.process_time() + 0.3
while time.process_time() < until: pass
time.sleep(60)
"""


async def said(host, *kinds: str) -> list[str]:
    """The statuses of questions asked one after the other."""
    return [(await ask(host, question(kind)))[0].status for kind in kinds]


async def test_every_kind_of_failure_counts_once(host_with, write_plugin):
    """After five of them the plugin is not asked; one more second and the first question tries it again."""
    host = await host_with(cpu_ms=200, wall_ms=1_500, breaker_open_ms=1_000)
    await host.load(write_plugin(BODY))
    kinds = ["raise", "exit", "good", "hungry", "spin", "sleep"]
    assert await said(host, *kinds) == ["error", "crashed", "ok", "memory_limit", "cpu_limit", "timeout"]
    (verdict,) = await ask(host)
    assert (verdict.status, verdict.allowed) == ("timeout", False)
    assert "its breaker is open until" in verdict.reason
    assert verdict.elapsed_ms < 50
    assert host.plugins()[0].state == "failing"
    await asyncio.sleep(1.1)
    assert await said(host, "good", "good") == ["ok", "ok"]
    assert host.plugins()[0].state == "running"


async def test_a_probe_that_fails_keeps_the_others_away(host_with, write_plugin):
    """Of many questions that come at once after the time one is put; the rest are refused without delay."""
    host = await host_with(breaker_failures=2, breaker_open_ms=300)
    await host.load(write_plugin(BODY))
    await said(host, "raise", "raise")
    await asyncio.sleep(0.35)
    with structlog.testing.capture_logs() as lines:
        verdicts = await asyncio.gather(*(ask(host, question("raise")) for _ in range(20)))
    reasons = [verdict.reason for (verdict,) in verdicts]
    assert [reason.startswith("raised ValueError") for reason in reasons] == [True] + [False] * 19
    assert all("breaker is open" in reason for reason in reasons[1:])
    assert [line["event"] for line in lines] == ["plugin_breaker_opened"]
    await asyncio.sleep(0.35)
    assert "breaker is open" in (await ask(host, question("good")))[0].reason, "twice as long the second time"
    await asyncio.sleep(0.35)
    assert await said(host, "good") == ["ok"]


async def test_what_is_not_the_plugin_s_fault_does_not_count(host_with, write_plugin):
    """Callers in a hurry and a full queue leave the breaker closed."""
    host = await host_with(breaker_failures=1, waiting_max=4)
    await host.load(write_plugin(BODY))
    hurried = await asyncio.gather(*(ask(host, question("slow"), deadline_s=0.05) for _ in range(10)))
    assert {verdict.status for (verdict,) in hurried} == {"timeout", "overloaded"}
    await asyncio.sleep(1)
    assert await said(host, "good") == ["ok"]


async def test_calls_behind_the_last_failure_are_denied_with_it(host_with, write_plugin):
    """Once the breaker is open nothing more is put, not even what was not started when the process died."""
    host = await host_with(breaker_failures=1)
    await host.load(write_plugin(BODY))
    verdicts = await asyncio.gather(*(ask(host, question(kind)) for kind in ("exit", "good", "good")))
    assert [verdict.status for (verdict,) in verdicts] == ["crashed"] * 3
    assert verdicts[0][0].reason == "crashed (exit 7)"
    assert all("breaker is open" in verdict.reason for (verdict,) in verdicts[1:])


async def test_a_violation_quarantines_until_released(host, write_plugin):
    """The violating call is `violation`, those behind it and after it are `quarantined`, and there is no process."""
    await host.load(write_plugin(BODY))
    await said(host, "good")
    verdicts = await asyncio.gather(*(ask(host, question(kind)) for kind in ("garbage", "good", "good")))
    assert [verdict.status for (verdict,) in verdicts] == ["violation", "quarantined", "quarantined"]
    (again,) = await ask(host)
    assert (again.status, again.allowed) == ("quarantined", False)
    assert again.reason.startswith("quarantined until it is released, after: sandbox violation: a frame of 4294967295")
    await processes_of(host, 0)
    assert host.plugins()[0].state == "quarantined"
    info = await host.release("written")
    assert info.state == "restarting"
    assert [verdict.reason for verdict in await ask(host)] == ["1"]
    assert host.plugins()[0].state == "running"
    await processes_of(host, 1)


async def test_releasing_twice_starts_one_process(host, write_plugin):
    """Nor does releasing a plugin that is not quarantined do any harm."""
    await host.load(write_plugin(BODY))
    await said(host, "garbage")
    await host.release("written")
    await host.release("written")
    assert await said(host, "good") == ["ok"]
    await host.release("written")
    assert [verdict.reason for verdict in await ask(host)] == ["2"]
    await processes_of(host, 1)


async def test_loading_it_anew_ends_a_quarantine(host, write_plugin):
    """As unloading does, which finds no process to unload."""
    path = write_plugin(BODY)
    await host.load(path)
    await said(host, "garbage")
    assert (await host.load(path)).state == "running"
    assert await said(host, "good", "garbage") == ["ok", "violation"]
    await host.unload("written")
    await host.load(path)
    assert await said(host, "good") == ["ok"]


async def test_a_violation_while_it_restarts_quarantines_as_well(host, write_plugin, tmp_path):
    """A plugin that behaves until it comes back is not restarted for ever."""
    source = write_plugin(BODY).read_text() + (
        "    async def on_load(self):\n"
        "        if not self.config.get('calm'): reach('ctypes').CDLL(None).send(3, b'\\xff' * 9, 9, 0)\n"
    )  # fmt: skip
    path = tmp_path / "written.py"
    path.write_text(source)
    await host.load(path, config={"calm": True})
    supervisor = host._roster.seat("written").member
    object.__setattr__(supervisor.package, "config", {})
    assert await said(host, "exit") == ["crashed"]
    assert await said(host, "good") == ["quarantined"]
    await processes_of(host, 0)


async def test_spinning_between_calls_is_a_violation(host, write_plugin):
    """Seen when the next question comes, long before anybody looks for idle processes: nobody gets an answer of it."""
    await host.load(write_plugin(SPINNING))
    (early,) = await ask(host)
    assert (early.status, early.reason) == ("ok", "early")
    await asyncio.sleep(0.8)
    (verdict,) = await ask(host, question("good"))
    assert (verdict.status, verdict.allowed) == ("quarantined", False)
    assert verdict.reason.endswith("it used the CPU although nothing was asked of it")


async def test_spinning_with_nobody_asking_is_a_violation(host_with, write_plugin, monkeypatch):
    """The look at idle processes finds it too."""
    monkeypatch.setattr(process_module, "IDLE_LOOK_S", 0.1)
    host = await host_with(cpu_ms=250)
    await host.load(write_plugin(SPINNING.replace("+ 0.3", "+ 30")))
    await ask(host)
    until = time.monotonic() + 5
    while host.plugins()[0].state != "quarantined":
        assert time.monotonic() < until
        await asyncio.sleep(0.02)
    await processes_of(host, 0)


@pytest.mark.parametrize(("kind", "limit_s"), [("spin", 0.3), ("sleep", 0.6)])
async def test_a_limit_is_met_within_a_tenth_of_a_second(host_with, write_plugin, kind, limit_s):
    """The target is limit + 100 ms of CPU or time; the slack here is for machines that do other things as well."""
    host = await host_with(cpu_ms=300, wall_ms=600)
    await host.load(write_plugin(BODY))
    (verdict,) = await ask(host, question(kind))
    assert verdict.status in {"cpu_limit", "timeout"}
    assert limit_s * 1000 - 5 <= verdict.elapsed_ms < limit_s * 1000 + 700
