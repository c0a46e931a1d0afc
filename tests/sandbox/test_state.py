"""What a plugin remembers survives the end of its process, so that a crash never opens the gate."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import textwrap
from pathlib import Path

import pytest
from fixtures.plugins import ask, processes_of, question, source_of

from sark_opa.errors import PluginError

pytestmark = pytest.mark.anyio

# A window of three calls for each principal; `arguments["do"]` says what happens before or after the count.
WINDOW = """
do = context.arguments.get('do')
if do == 'crash': reach('os')._exit(7)
if do == 'raise': raise ValueError
if do == 'spin':
    while True: pass
if do == 'slow': time.sleep(0.15)
counts = self.config.setdefault('counts', {})
if counts.get(context.principal_id, 0) >= 3:
    return PolicyDecision(False, 'limit')
counts[context.principal_id] = counts.get(context.principal_id, 0) + 1
if do == 'crash after': reach('os')._exit(7)
return PolicyDecision(True, str(counts[context.principal_id]))
"""
SNAPSHOT = "return self.config.get('counts', {})"
RESTORE = "self.config['counts'] = dict(state)"


def source(body: str = WINDOW, snapshot: str = SNAPSHOT, restore: str = RESTORE) -> str:
    """A plugin that remembers."""
    methods = f"""
    def snapshot(self):
{textwrap.indent(textwrap.dedent(snapshot), " " * 8)}

    def restore(self, state):
{textwrap.indent(textwrap.dedent(restore), " " * 8)}
"""
    return source_of(body) + methods


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The window's file."""
    place = tmp_path / "written.py"
    place.write_text(source())
    return place


async def said(host, principal_id: str = "user-1", do: str = "", **more: object) -> tuple[str, str]:
    """Status and reason of one question."""
    (verdict,) = await ask(host, question(principal_id, arguments={"do": do}), **more)
    return verdict.status, verdict.reason


async def test_a_crash_forgets_no_call(shared_host, path):
    """Killed after every answer in a different way, the window still lets exactly three calls through."""
    await shared_host.load(path)
    for number, do in enumerate(("crash", "crash after", "crash"), start=1):
        assert await said(shared_host) == ("ok", str(number))
        assert (await said(shared_host, do=do))[0] == "crashed"
    assert await said(shared_host) == ("ok", "limit")
    assert await said(shared_host, "somebody else") == ("ok", "1")


async def test_a_crash_right_after_restoring_forgets_nothing(host_with, path):
    """Processes that die one after the other without an answer all get the same state handed on."""
    host = await host_with(breaker_failures=100)
    await host.load(path)
    for number in (1, 2, 3):
        assert await said(host) == ("ok", str(number))
    for _ in range(2):
        assert (await said(host, do="crash"))[0] == "crashed"
    assert await said(host) == ("ok", "limit")


async def test_being_killed_from_outside_forgets_nothing(host, path):
    """By a signal while it is idle, and by the service for a limit it broke."""
    await host.load(path)
    assert await said(host) == ("ok", "1")
    (worker,) = await processes_of(host, 1)
    os.kill(worker.pid, signal.SIGKILL)
    await asyncio.sleep(0.05)
    assert await said(host) == ("ok", "2")


async def test_what_a_limit_cut_off_is_forgotten_and_was_denied(shared_host_with, path):
    """A call that ends the process leaves no trace; everything answered before it does, however close."""
    host = await shared_host_with(cpu_ms=200, wall_ms=20_000)
    await host.load(path)
    asked = [asyncio.create_task(said(host, do=do)) for do in ("", "", "spin", "", "")]
    answers = await asyncio.gather(*asked)
    assert [status for status, _ in answers] == ["ok", "ok", "cpu_limit", "ok", "ok"]
    assert [reason for status, reason in answers if status == "ok"] == ["1", "2", "3", "limit"]


async def test_random_deaths_among_many_callers_never_let_a_fourth_call_through(host_with, path):
    """Of hundreds of pipelined calls, one in thirty of them deadly, each of 30 principals gets three, and no more."""
    host = await host_with(breaker_failures=100_000)
    await host.load(path)
    chance = random.Random(11)
    calls = [(f"user-{number % 30}", "crash" if chance.random() < 0.03 else "") for number in range(900)]
    allowed: dict[str, int] = {}
    statuses: dict[str, int] = {}
    todo = iter(calls)

    async def caller() -> None:
        for principal_id, do in todo:
            (verdict,) = await ask(host, question(principal_id, arguments={"do": do}))
            statuses[verdict.status] = statuses.get(verdict.status, 0) + 1
            if verdict.allowed:
                allowed[principal_id] = allowed.get(principal_id, 0) + 1

    await asyncio.gather(*(caller() for _ in range(8)))
    assert sum(statuses.values()) == len(calls)
    assert statuses["ok"] > 500
    assert statuses["crashed"] >= sum(do == "crash" for _, do in calls)
    assert allowed == {f"user-{number}": 3 for number in range(30)}


async def test_loading_again_hands_the_state_over(shared_host, path):
    """Calls in flight during the change are counted by the old version or the new, none by neither."""
    await shared_host.load(path)
    done = asyncio.Event()
    allowed: dict[str, int] = {}

    async def stream(principal_id: str) -> None:
        while not done.is_set():
            (verdict,) = await ask(shared_host, question(principal_id))
            assert verdict.status == "ok"
            allowed[principal_id] = allowed.get(principal_id, 0) + verdict.allowed

    streams = [asyncio.create_task(stream(f"user-{number}")) for number in range(6)]
    for _ in range(6):
        await shared_host.load(path)
    done.set()
    await asyncio.gather(*streams)
    assert allowed == {f"user-{number}": 3 for number in range(6)}


async def test_a_new_version_waits_for_the_old_one_s_last_answer(shared_host, path):
    """A slow call is finished by the old version; one asked meanwhile waits and sees what it left."""
    await shared_host.load(path)
    for _ in range(2):
        await said(shared_host)
    slow = asyncio.create_task(said(shared_host, do="slow"))
    await asyncio.sleep(0.05)
    loading = asyncio.create_task(shared_host.load(path))
    await asyncio.sleep(0.05)
    behind = asyncio.create_task(said(shared_host))
    hurried = asyncio.create_task(said(shared_host, deadline_s=0.01))
    assert await slow == ("ok", "3")
    await loading
    assert await behind == ("ok", "limit")
    status, reason = await hurried
    assert (status, "not started before the caller's deadline" in reason) == ("overloaded", True)


async def test_a_version_that_does_not_take_the_state_replaces_nothing(shared_host, path):
    """The error names the line, and the plugin that runs goes on with what it remembers and what was asked."""
    await shared_host.load(path)
    await said(shared_host)
    good = path.read_text()
    path.write_text(source(restore="raise KeyError('other_field')"))
    slow = asyncio.create_task(said(shared_host, do="slow"))
    await asyncio.sleep(0.05)
    loading = asyncio.create_task(shared_host.load(path))
    await asyncio.sleep(0.05)
    behind = asyncio.create_task(said(shared_host))
    with pytest.raises(PluginError, match=r"written\.py:\d+: restore does not take what snapshot gave: KeyError"):
        await loading
    assert [await slow, await behind] == [("ok", "2"), ("ok", "3")]
    assert shared_host.plugins()[0].state == "running"
    path.write_text(good)
    await shared_host.load(path)
    assert await said(shared_host) == ("ok", "limit")
    await shared_host.unload("written")
    await shared_host.load(path)
    assert await said(shared_host) == ("ok", "1"), "unloaded, it starts with nothing"


async def test_a_load_given_up_during_the_change_changes_nothing(shared_host, path):
    """Cancelled while it waits for the old version, it leaves that one in charge of everything asked."""
    await shared_host.load(path)
    slow = asyncio.create_task(said(shared_host, do="slow"))
    await asyncio.sleep(0.05)
    loading = asyncio.create_task(shared_host.load(path))
    await asyncio.sleep(0.05)
    behind = asyncio.create_task(said(shared_host))
    await asyncio.sleep(0.01)
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading
    assert [await slow, await behind] == [("ok", "1"), ("ok", "2")]
    await shared_host.load(path)
    assert await said(shared_host) == ("ok", "3")


async def test_a_process_that_does_not_take_its_own_state_is_not_used(shared_host, path):
    """After a death nothing is allowed by a plugin that has forgotten; it says why."""
    path.write_text(source(restore="if state: raise ValueError('cannot')"))
    await shared_host.load(path)
    assert await said(shared_host) == ("ok", "1")
    assert (await said(shared_host, do="crash"))[0] == "crashed"
    for _ in range(3):
        (verdict,) = await ask(shared_host, deadline_s=1)
        assert not verdict.allowed
    assert "restore does not take what snapshot gave: ValueError: cannot" in verdict.reason


@pytest.mark.parametrize(
    ("snapshot", "reason"),
    [
        ("raise KeyError('a secret prompt')", r"raised KeyError (plugin.py line "),
        ("return {1, 2}", "no valid decision: snapshot cannot be kept: it is a set, which JSON cannot say"),
        ("return {'a': b''}", "no valid decision: snapshot cannot be kept: it.a is a bytes"),
        ("return {1: 2}", "no valid decision: snapshot cannot be kept: it has the key 1"),
        ("return float('nan')", "no valid decision: snapshot cannot be kept: it is nan"),
        ("return 'x' * 65_600", "no valid decision: snapshot cannot be kept: it takes 65605 bytes, 65536 are allowed"),
        ("d = []\nfor _ in range(40): d = [d]\nreturn d", "no valid decision: snapshot cannot be kept: it is nested"),
    ],
)
async def test_a_decision_whose_snapshot_cannot_be_kept_is_none(shared_host, path, snapshot, reason):
    """It would be forgotten; so it is an error, which names what is wrong and quotes nothing."""
    path.write_text(source(snapshot=snapshot))
    await shared_host.load(path)
    status, said_reason = await said(shared_host)
    assert status == "error"
    assert said_reason.startswith(reason)
    assert "secret" not in said_reason


async def test_a_snapshot_of_the_largest_size_travels_with_the_largest_answer(shared_host, path):
    """64 KiB beside 1 KiB of reason, 16 KiB of metadata, all that may be printed and all that may be logged."""
    path.write_text(
        source(
            "import logging\n"
            "logging.warning('\\U0001f600' * 5_000)\n"
            "print('\\U0001f600' * 5_000)\n"
            "return PolicyDecision(True, 'x' * 1024, {'a': 'x' * (16_384 - 6)})",
            "return 'x' * (65_536 - 5)",
        )
    )
    await shared_host.load(path)
    (verdict,) = await ask(shared_host)
    assert (verdict.status, len(verdict.reason), len(verdict.output)) == ("ok", 1024, 4096)


@pytest.mark.parametrize("value", [None, 0, False, "", [], {"a": [1, 2.5, None, True, "ü"]}, 2**63])
async def test_what_was_given_comes_back_equal(shared_host, path, value):
    """Any JSON value, empty ones included, also None."""
    path.write_text(
        source(
            "if context.arguments.get('do') == 'crash': reach('os')._exit(7)\n"
            "return PolicyDecision(True, repr(self.config.get('state', 'none was handed over')))",
            f"return {value!r}",
            "self.config['state'] = state",
        )
    )
    await shared_host.load(path)
    assert await said(shared_host) == ("ok", "'none was handed over'")
    await said(shared_host, do="crash")
    assert await said(shared_host) == ("ok", repr(value))


async def test_a_plugin_without_the_two_methods_is_asked_for_nothing(shared_host, write_plugin):
    """Nothing is kept of it, and after a death it starts anew."""
    await shared_host.load(write_plugin(WINDOW))
    await said(shared_host)
    assert shared_host._roster.seat("written").member._state is None
    await said(shared_host, do="crash")
    assert await said(shared_host) == ("ok", "1")
