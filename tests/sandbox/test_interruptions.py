"""Callers give up, processes die at the worst moment, descriptors run out: nothing hangs and no answer shifts."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import random
import signal
import socket
import time

import msgspec
import psutil
import pytest
from fixtures.plugins import ask, descriptors, descriptors_settle_at, no_facts, processes_of, question

from sark_opa.errors import PluginError, UnavailableError
from sark_opa.sandbox import process as process_module
from sark_opa.sandbox.contract import Failure, Limits
from sark_opa.sandbox.exchange import Exchange
from sark_opa.sandbox.process import Process
from sark_opa.sandbox.protocol import Answer, Ask
from sark_opa.sandbox.rests import REST_S_MAX, REST_S_MIN, rest_s
from sark_opa.sandbox.spare import Spare

pytestmark = pytest.mark.anyio

ALLOW = "return PolicyDecision(True, 'yes')"
ECHO = (
    "if self.calls % 3 == 0: await asyncio.sleep(0.001)\n"
    "return PolicyDecision(True, context.principal_id, {'to': context.principal_id})"
)


async def test_callers_that_give_up_never_shift_an_answer(shared_host, write_plugin):
    """Thousands of calls, a third cancelled or out of time at a random moment: the others get their own answers."""
    await shared_host.load(write_plugin(ECHO))
    chance = random.Random(7)
    statuses: dict[str, int] = {}

    async def call(name: str) -> None:
        patience_s = chance.choice([0.0005, 0.002, 20.0])
        (verdict,) = await ask(shared_host, question(name), deadline_s=patience_s)
        statuses[verdict.status] = statuses.get(verdict.status, 0) + 1
        if verdict.status == "ok":
            assert (verdict.reason, verdict.metadata) == (name, {"to": name})
        else:
            assert not verdict.allowed

    for batch in range(60):
        calls = [asyncio.create_task(call(f"{batch}-{number}")) for number in range(50)]
        await asyncio.sleep(chance.random() * 0.004)
        for doomed in chance.sample(calls, 15):
            doomed.cancel()
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            assert outcome is None or isinstance(outcome, asyncio.CancelledError)
    assert statuses["ok"] > 300
    assert set(statuses) <= {"ok", "timeout", "overloaded"}
    (last,) = await ask(shared_host, question("last"))
    assert last.reason == "last"


async def test_a_load_given_up_leaves_nothing(host, write_plugin):
    """Cancelled at any moment: no process, no descriptor, no plugin, and the next load is not held up."""
    path = write_plugin("await asyncio.sleep(0)\n" + ALLOW)
    await host.load(path)
    await host.unload("written")
    await processes_of(host, 0)
    gc.collect()
    before = descriptors()
    for step in range(20):
        loading = asyncio.create_task(host.load(path))
        await asyncio.sleep(step * 0.0005)
        loading.cancel()
        try:
            await loading
        except asyncio.CancelledError:
            assert host.plugins() == ()
        else:
            await host.unload("written")
    await processes_of(host, 0)
    await descriptors_settle_at(before)
    assert (await host.load(path)).state == "running"


async def test_an_unload_given_up_still_ends_the_process(shared_host, write_plugin):
    """The plugin is out of the chain at once, and its process goes in its own time."""
    await shared_host.load(write_plugin("time.sleep(0.2)\n" + ALLOW))
    asked = asyncio.create_task(ask(shared_host))
    await asyncio.sleep(0.05)
    unloading = asyncio.create_task(shared_host.unload("written"))
    await asyncio.sleep(0.05)
    unloading.cancel()
    (verdict,) = await asked
    assert verdict.status == "ok"
    assert shared_host.plugins() == ()
    await processes_of(shared_host, 0)


async def test_what_is_sent_to_a_dead_process_fails_with_its_cause(shared_host):
    """It may die between saying that it is ready and being handed the plugin; nobody may wait for ever."""
    ends = []
    process, _ = await Process.opened(shared_host._spawner, Limits(), lambda *ended: ends.append(ended))
    process.end(Failure("crashed", "killed from outside"))
    ask_it = Exchange(asyncio.get_running_loop(), Ask(msgspec.Raw(b"\x80")), (Answer,), wall_s=60)
    process.send(ask_it)
    assert await asyncio.wait_for(ask_it.future, 1) == Failure("crashed", "killed from outside")
    assert len(ends) == 1


async def test_a_process_that_dies_before_it_has_the_plugin_fails_the_load(shared_host, write_plugin, monkeypatch):
    """The load says so instead of waiting."""
    take = Spare.take

    async def taken_and_killed(spare):
        process = await take(spare)
        process.end(Failure("crashed", "killed from outside"))
        return process

    monkeypatch.setattr(Spare, "take", taken_and_killed)
    with pytest.raises(PluginError, match="it cannot be loaded: killed from outside"):
        await asyncio.wait_for(shared_host.load(write_plugin(ALLOW)), 5)


async def test_a_death_told_late_is_still_told_as_it_was(host, write_plugin):
    """However long the zygote takes to say how a process died, an exit is no violation and no CPU limit."""
    await host.load(write_plugin("if context.principal_id == 'killer': reach('os')._exit(7)\n" + ALLOW))
    (worker,) = await processes_of(host, 1)
    zygote = psutil.Process(worker.ppid())
    os.kill(zygote.pid, signal.SIGSTOP)
    try:
        asked = asyncio.create_task(ask(host, question("killer")))
        await asyncio.sleep(process_module.HANG_UP_S * 3)
        assert not asked.done()
    finally:
        os.kill(zygote.pid, signal.SIGCONT)
    (verdict,) = await asked
    assert (verdict.status, verdict.reason) == ("crashed", "crashed (exit 7)")


async def test_a_plugin_comes_back_once_there_are_descriptors_again(shared_host, write_plugin, monkeypatch):
    """Without any, a restart fails and is tried again; it must not be given up."""
    await shared_host.load(write_plugin("if context.principal_id == 'killer': reach('os')._exit(7)\n" + ALLOW))
    real, refused = socket.socketpair, []

    def none_left(*args: int) -> tuple[socket.socket, socket.socket]:
        if len(refused) < 3:
            refused.append(args)
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(*args)

    monkeypatch.setattr(socket, "socketpair", none_left)
    assert [verdict.status for verdict in await ask(shared_host, question("killer"))] == ["crashed"]
    until = time.monotonic() + 10
    while (verdict := (await ask(shared_host, deadline_s=1))[0]).status != "ok":
        assert not verdict.allowed
        assert time.monotonic() < until
        await asyncio.sleep(0.05)
    assert len(refused) == 3


async def test_loading_without_descriptors_says_so(shared_host, write_plugin, monkeypatch):
    """It is an error of the service's own kind, which the API and the restart know how to handle."""

    def none_left(*_: int) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(socket, "socketpair", none_left)
    with pytest.raises(UnavailableError, match="Too many open files"):
        await shared_host.load(write_plugin(ALLOW))


EARLY = """
self.config['id'] = self.config.get('id', 1) + 1
reply = reach('msgspec').msgpack.encode(['answer', self.config['id'], 'ok', True, 'early', {}, ''])
frame = len(reply).to_bytes(4, 'big') + reply
reach('ctypes').CDLL(None).send(3, frame, len(frame), 0)
while True: pass
"""


async def test_an_early_reply_buys_no_time(shared_host_with, write_plugin):
    """A plugin that answers and then spins is ended although nobody waits for it."""
    host = await shared_host_with(cpu_ms=300, wall_ms=60_000)
    await host.load(write_plugin(f"if context.principal_id == 'good': {ALLOW}\n{EARLY}"))
    (worker,) = await processes_of(host, 1)
    (verdict,) = await ask(host)
    assert (verdict.status, verdict.reason) == ("ok", "early")
    await asyncio.to_thread(psutil.wait_procs, [worker], 10)
    assert not worker.is_running()
    assert [again.status for again in await ask(host, question("good"))] == ["quarantined"]
    await host.release("written")
    assert [again.status for again in await ask(host, question("good"))] == ["ok"]


async def test_an_idle_plugin_is_left_alone(host, write_plugin, monkeypatch):
    """However often it is looked at, with or without questions in between."""
    monkeypatch.setattr(process_module, "IDLE_LOOK_S", 0.01)
    monkeypatch.setattr(process_module, "IDLE_CPU_S_MAX", 0.05)
    await host.load(write_plugin("sum(range(10 ** 6))\n" + "return PolicyDecision(True, str(self.calls))"))
    for number in range(1, 16):
        assert [verdict.reason for verdict in await ask(host)] == [str(number)]
        await asyncio.sleep(0.03)


def test_rests_grow_and_stay_bounded():
    """Twice as long each time up to the longest one, also after years of failing."""
    rests = [rest_s(number) for number in range(1, 5_000)]
    assert rests[:3] == [REST_S_MIN, 2 * REST_S_MIN, 4 * REST_S_MIN]
    assert rests == sorted(rests)
    assert set(rests[20:]) == {REST_S_MAX}


async def test_facts_that_come_after_a_plugin_has_gone_are_a_denial(host, write_plugin):
    """A plugin waiting for facts while the host closes is not asked any more, and does not permit."""
    await host.load(write_plugin(ALLOW, needs=["budget_status"], on_error="deny"))
    closed = asyncio.Event()

    async def facts(need: str) -> object:
        del need
        await closed.wait()
        return {"status": "ok", "accounts": []}

    asked = asyncio.create_task(host.evaluate(question(), deadline_s=20, facts=facts))
    await asyncio.sleep(0.02)
    await host.close()
    closed.set()
    (verdict,) = await asked
    assert (verdict.status, verdict.allowed) == ("crashed", False)
    assert await host.evaluate(question(), deadline_s=1, facts=no_facts) == ()
