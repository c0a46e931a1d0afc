"""A plugin that misbehaves is stopped from outside, its call is denied with the reason, and nobody else notices."""

from __future__ import annotations

import asyncio
import re
import threading
import time

import pytest
from fixtures.plugins import ask, no_facts, question

pytestmark = pytest.mark.anyio

ALLOW = "return PolicyDecision(True, 'yes')"
ERRORS = {
    "exception": ("raise KeyError('a secret prompt')", r"raised KeyError \(plugin\.py line \d+\)"),
    "system exit": ("raise SystemExit(3)", "raised SystemExit"),
    "keyboard interrupt": ("raise KeyboardInterrupt", "raised KeyboardInterrupt"),
    "generator exit": ("raise GeneratorExit", "raised GeneratorExit"),
    "cancelled": ("raise asyncio.CancelledError", "raised CancelledError"),
    "deep recursion": ("def f(): f()\nf()", "raised RecursionError"),
    "waits for ever": ("await asyncio.get_running_loop().create_future()", "waits for something that can never happen"),
    "nothing returned": ("pass", "no valid decision: evaluate returned a NoneType"),
    "a bare truth": ("return True", "no valid decision: evaluate returned a bool"),
    "allowed a text": ("return PolicyDecision('yes', '')", "allowed is a str, not exactly a bool"),
    "allowed a number": ("return PolicyDecision(1, '')", "allowed is a int, not exactly a bool"),
    "allowed nothing": ("return PolicyDecision(None, '')", "allowed is a NoneType"),
    "reason missing": ("return PolicyDecision(True, None)", "reason is a NoneType, not exactly a str"),
    "reason too long": ("return PolicyDecision(True, 'é' * 600)", "reason takes 1200 bytes, 1024 are allowed"),
    "lone surrogate": ("return PolicyDecision(True, '\\ud800')", "no valid decision: .*surrogates"),
    "metadata a list": ("return PolicyDecision(True, '', [])", "metadata is a list, not exactly a dict"),
    "metadata too large": ("return PolicyDecision(True, '', {'a': 'x' * 17_000})", r"metadata takes 170\d\d bytes"),
    "metadata too deep": (
        "d = {}\nfor _ in range(32): d = {'a': d}\nreturn PolicyDecision(True, '', d)", "deeper than 32 levels"
    ),
    "metadata endless": ("d = {}\nd['d'] = d\nreturn PolicyDecision(True, '', d)", "deeper than 32 levels"),
    "not a number": ("return PolicyDecision(True, '', {'a': {'b': float('nan')}})", r"metadata\.a\.b is nan"),
    "infinity": ("return PolicyDecision(True, '', {'a': [float('-inf')]})", r"metadata\.a is -inf"),
    "bytes": ("return PolicyDecision(True, '', {'a': b'x'})", r"metadata\.a is a bytes, which JSON cannot say"),
    "a set": ("return PolicyDecision(True, '', {'a': {1}})", r"metadata\.a is a set, which JSON cannot say"),
    "number as key": ("return PolicyDecision(True, '', {1: 2})", "has the key 1, which is no string"),
    "huge integer": ("return PolicyDecision(True, '', {'a': 1 << 64})", "no valid decision: "),
    "threads": ("import asyncio\nawait asyncio.to_thread(print)", "raised AttributeError"),
    "a fork": ("reach('os').fork()", "raised PermissionError"),
    "descriptors": ("o = reach('os')\n[o.dup(0) for _ in range(11)]", "raised PermissionError"),
    "raising its limits": (
        "r = reach('resource')\nr.setrlimit(r.RLIMIT_AS, (r.RLIM_INFINITY, r.RLIM_INFINITY))", "raised ValueError"
    ),
}  # fmt: skip


async def test_an_error_is_a_denial_and_keeps_the_process(shared_host, write_plugin):
    """Exceptions and invalid decisions deny, name what is wrong without quoting it, and cost no state."""
    for number, (case, (body, reason)) in enumerate(ERRORS.items()):
        await shared_host.load(
            write_plugin(f"if self.calls == 2: return PolicyDecision(True, 'kept')\n{body}", name=f"p{number}")
        )
        (verdict,) = await ask(shared_host)
        assert (case, verdict.status, verdict.allowed) == (case, "error", False)
        assert re.search(reason, verdict.reason), (case, verdict.reason)
        assert "secret" not in verdict.reason
        assert [(again.status, again.reason) for again in await ask(shared_host)] == [("ok", "kept")], case
        await shared_host.unload(f"p{number}")


async def test_limits_of_a_decision_are_met_to_the_byte(shared_host, write_plugin):
    """1 KiB of reason, 16 KiB of metadata and 32 levels pass."""
    await shared_host.load(
        write_plugin("d = {}\nfor _ in range(30): d = {'a': d}\nreturn PolicyDecision(True, 'x' * 1024, {'d': d})")
    )
    assert [(verdict.status, len(verdict.reason)) for verdict in await ask(shared_host)] == [("ok", 1024)]
    await shared_host.load(write_plugin("return PolicyDecision(True, '', {'a': 'x' * (16_384 - 6)})"))
    assert [verdict.status for verdict in await ask(shared_host)] == ["ok"]


async def test_nothing_a_plugin_prints_gets_out(shared_host, write_plugin, capfd):
    """Prints are kept, shortened, with the verdict; writes to descriptors 1 and 2 are refused, and led nowhere."""
    await shared_host.load(
        write_plugin(
            "print('printed', 'x' * 10_000)\n"
            "reach('sys').stderr.write('\\ud800 and more')\n"
            "for descriptor in (1, 2):\n"
            "    try: reach('os').write(descriptor, b'raw')\n"
            "    except PermissionError: pass\n"
            "return PolicyDecision(True, 'yes')"
        )
    )
    (verdict,) = await ask(shared_host)
    assert verdict.status == "ok"
    assert (verdict.output[:10], len(verdict.output)) == ("printed xx", 4096)
    assert "printed" not in repr(verdict)
    assert capfd.readouterr() == ("", "")


async def test_what_a_failing_plugin_printed_shows_its_traceback(shared_host, write_plugin):
    """An author sees where it went wrong, with the line of the source."""
    await shared_host.load(write_plugin("raise KeyError('which one')  # here"))
    (verdict,) = await ask(shared_host)
    assert "raise KeyError('which one')  # here" in verdict.output


async def test_tasks_left_behind_are_cancelled(shared_host, write_plugin):
    """A background task neither runs on during the next call nor outlives its own."""
    await shared_host.load(
        write_plugin(
            "async def tick():\n"
            "    while True:\n"
            "        await asyncio.sleep(0)\n"
            "        self.config['ticks'] = self.config.get('ticks', 0) + 1\n"
            "asyncio.get_running_loop().create_task(tick())\n"
            "before = self.config.get('ticks', 0)\n"
            "await asyncio.sleep(0.01)\n"
            "return PolicyDecision(True, '', {'before': before, 'after': self.config['ticks']})"
        )
    )
    (first,), (second,) = await ask(shared_host), await ask(shared_host)
    assert first.metadata["after"] > 1
    assert second.metadata["before"] == first.metadata["after"]


async def test_calls_behind_a_dead_one_move_to_the_new_process(shared_host, write_plugin):
    """The call that killed the process fails; those waiting behind it are answered by its successor."""
    await shared_host.load(
        write_plugin(
            "if context.principal_id == 'killer':\n"
            "    time.sleep(0.1)\n"
            "    reach('os')._exit(7)\n"
            "return PolicyDecision(True, context.principal_id)"
        )
    )
    names = ["killer", *(f"user-{number}" for number in range(50))]
    verdicts = await asyncio.gather(*(ask(shared_host, question(name)) for name in names))
    assert [(v.status, v.reason) for (v,) in verdicts] == [("crashed", "crashed (exit 7)")] + [
        ("ok", name) for name in names[1:]
    ]


async def test_a_call_is_moved_once(shared_host, write_plugin):
    """Behind two killers a call has been moved once already and fails, saying so."""
    await shared_host.load(
        write_plugin(
            "if context.principal_id == 'killer':\n"
            "    time.sleep(0.05)\n"
            "    reach('os')._exit(7)\n"
            "return PolicyDecision(True, context.principal_id)"
        )
    )
    names = ["killer", "killer", "waits", "killer"]
    first, second, third, fourth = [
        verdict for (verdict,) in await asyncio.gather(*(ask(shared_host, question(name)) for name in names))
    ]
    assert [first.reason, second.reason] == ["crashed (exit 7)"] * 2
    assert (third.status, third.allowed) == ("crashed", False)
    assert third.reason.startswith("not started: twice a call before it ended the process")
    assert fourth.allowed is False


async def test_running_out_of_memory_costs_the_calls_behind_nothing(shared_host, write_plugin):
    """A process recycled at its memory limit hands its waiting calls on."""
    await shared_host.load(
        write_plugin(
            "if context.principal_id == 'hungry':\n    bytearray(1 << 30)\nreturn PolicyDecision(True, str(self.calls))"
        )
    )
    names = ["hungry", "a", "b", "c"]
    verdicts = await asyncio.gather(*(ask(shared_host, question(name)) for name in names))
    assert [verdict.status for (verdict,) in verdicts] == ["memory_limit", "ok", "ok", "ok"]


async def test_a_plugin_that_only_dies_rests(shared_host, write_plugin):
    """After three deaths without an answer calls fail at once, and are tried again a while later."""
    await shared_host.load(write_plugin("if context.principal_id == 'killer': reach('os')._exit(7)\n" + ALLOW))
    for _ in range(3):
        assert [verdict.status for verdict in await ask(shared_host, question("killer"))] == ["crashed"]
    started = time.monotonic()
    (verdict,) = await ask(shared_host)
    assert (verdict.status, verdict.allowed, verdict.reason) == ("crashed", False, "crashed (exit 7)")
    assert shared_host.plugins()[0].state == "failing"
    assert time.monotonic() - started < 0.2
    await asyncio.sleep(0.6)
    assert [verdict.status for verdict in await ask(shared_host)] == ["ok"]
    assert shared_host.plugins()[0].state == "running"


async def test_the_callers_deadline_ends_the_wait_and_not_the_process(shared_host, write_plugin):
    """A caller in a hurry is denied in time, and what the plugin remembers survives."""
    await shared_host.load(write_plugin("time.sleep(0.3)\nreturn PolicyDecision(True, str(self.calls))"))
    started = time.monotonic()
    first, second = await asyncio.gather(ask(shared_host, deadline_s=0.05), ask(shared_host, deadline_s=0.06))
    assert time.monotonic() - started < 0.25
    assert [(v.status, v.allowed) for (v,) in (first, second)] == [("timeout", False), ("overloaded", False)]
    assert first[0].reason == "no answer before the caller's deadline"
    assert [verdict.reason for verdict in await ask(shared_host)] == ["3"]


async def test_more_calls_than_may_wait_are_refused_at_once(shared_host_with, write_plugin):
    """A full queue answers `overloaded` without delay; the calls in it are answered."""
    host = await shared_host_with(waiting_max=8)
    await host.load(write_plugin("if self.calls == 1: time.sleep(0.2)\nreturn PolicyDecision(True, 'yes')"))
    verdicts = await asyncio.gather(*(ask(host) for _ in range(20)))
    assert [verdict.status for (verdict,) in verdicts] == ["ok"] * 8 + ["overloaded"] * 12
    assert verdicts[-1][0].reason == "overloaded: 8 calls wait already"


async def test_a_plugin_that_reads_nothing_blocks_nobody(shared_host, write_plugin):
    """400 questions of 100 KB to a busy process: refused or answered, never a blocked service."""
    await shared_host.load(write_plugin("if self.calls == 1: time.sleep(0.5)\nreturn PolicyDecision(True, 'yes')"))
    large = question(arguments={"text": "x" * 100_000})
    longest, stalled, done = 0.0, 0.0, threading.Event()

    async def beat() -> None:
        nonlocal longest
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            longest = max(longest, time.monotonic() - before)

    def beat_beside() -> None:
        nonlocal stalled
        while not done.is_set():
            before = time.monotonic()
            time.sleep(0.005)
            stalled = max(stalled, time.monotonic() - before)

    beating, beside = asyncio.create_task(beat()), threading.Thread(target=beat_beside)
    beside.start()
    verdicts = await asyncio.gather(*(ask(shared_host, large) for _ in range(400)))
    beating.cancel()
    done.set()
    beside.join()
    statuses = [verdict.status for (verdict,) in verdicts]
    assert set(statuses) == {"ok", "overloaded"}
    assert 100 <= statuses.count("ok") <= 256
    assert longest < 0.4 + stalled  # a busy machine makes a thread wait that has nothing to do with the loop, too


async def test_a_cancelled_question_disturbs_nobody(shared_host, write_plugin):
    """Those asked before and after it get their own answers."""
    await shared_host.load(write_plugin("await asyncio.sleep(0.02)\nreturn PolicyDecision(True, context.principal_id)"))
    asked = [asyncio.create_task(ask(shared_host, question(f"user-{number}"))) for number in range(6)]
    await asyncio.sleep(0.03)
    for number in (1, 3):
        asked[number].cancel()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [isinstance(answer, asyncio.CancelledError) for answer in answers] == [
        False,
        True,
        False,
        True,
        False,
        False,
    ]
    assert [answer[0].reason for answer in answers if isinstance(answer, tuple)] == [
        "user-0",
        "user-2",
        "user-4",
        "user-5",
    ]


async def test_a_lifetime_of_cpu_ends(shared_host_with, write_plugin):
    """The kernel's own limit, the backstop, is told as a CPU limit, and a new process takes over."""
    host = await shared_host_with(cpu_lifetime_s=1, cpu_ms=5_000)
    await host.load(write_plugin(f"while self.calls == 1: pass\n{ALLOW}"))
    (verdict,) = await ask(host)
    assert (verdict.status, verdict.reason) == ("cpu_limit", "cpu limit over the process's whole life")


async def test_facts_are_not_asked_for_nothing(shared_host, write_plugin):
    """A plugin without needs is answered although facts cannot be had."""
    await shared_host.load(write_plugin("return PolicyDecision(context.facts == {}, '')"))
    (verdict,) = await shared_host.evaluate(question(), deadline_s=5, facts=no_facts)
    assert verdict.allowed is True
