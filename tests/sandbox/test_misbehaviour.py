"""A plugin that breaks a limit or the protocol is stopped from outside, and nobody else notices."""

from __future__ import annotations

import re

import pytest
from fixtures.plugins import ask, question

pytestmark = pytest.mark.anyio

ALLOW = "return PolicyDecision(True, 'yes')"
# By the one call that reaches the connection: `write` is refused.
SEND = "bytes_ = {0!r}\nreach('ctypes').CDLL(None).send(3, bytes_, len(bytes_), 0)\n"
WRITE = SEND + "await asyncio.sleep(60)"
NESTED = b"\x91" * 60_000

MISBEHAVIOUR = {
    "python loop": ("while True: pass", "cpu_limit", r"cpu limit: more than 300 ms"),
    "big integer": ("7 ** (10 ** 8)", "cpu_limit", "cpu limit"),
    "regex": ("import re\nre.match('(a+)+$', 'a' * 60 + 'b')", "cpu_limit", "cpu limit"),
    "long sum": ("sum(range(10 ** 12))", "cpu_limit", "cpu limit"),
    "all signals blocked": (
        "s = reach('signal')\ns.pthread_sigmask(s.SIG_BLOCK, range(1, 65))\nwhile True: pass",
        "error",
        "raised PermissionError",
    ),
    "every exception caught": (
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "cpu_limit",
        "cpu limit",
    ),
    "blocking sleep": ("time.sleep(60)", "timeout", "time limit: no answer within 400 ms"),
    "asyncio sleep": ("await asyncio.sleep(60)", "timeout", "time limit"),
    "own stop signal": ("o = reach('os')\no.kill(o.getpid(), 19)", "error", "raised PermissionError"),
    "one allocation": ("bytearray(1 << 30)", "memory_limit", "memory limit: more than 128 MiB"),
    "gradual allocation": ("kept = []\nwhile True: kept.append(bytearray(1_000_000))", "memory_limit", "memory limit"),
    "small allocations": ("kept = []\nwhile True: kept.append([len(kept)])", "memory_limit", "memory limit"),
    "segmentation fault": ("reach('ctypes').string_at(0)", "crashed", r"crashed \(SIGSEGV\)"),
    "abort": ("reach('os').abort()", "crashed", r"crashed \(SIG(SEGV|ILL)\)"),
    "exit": ("reach('os')._exit(7)", "crashed", r"crashed \(exit 7\)"),
    "polite exit": ("reach('os')._exit(0)", "crashed", r"crashed \(exit 0\)"),
    "kills itself": ("o = reach('os')\no.kill(o.getpid(), 9)", "error", "raised PermissionError"),
    "garbage": (WRITE.format(b"\xff" * 100), "violation", "sandbox violation: a frame of 4294967295 bytes"),
    "oversized": (WRITE.format(b"\x00\x02\x00\x01"), "violation", "sandbox violation: a frame of 131073 bytes"),
    "no message": (WRITE.format(b"\x00\x00\x00\x05hello"), "violation", "sandbox violation"),
    "pickle": (WRITE.format(b"\x00\x00\x00\x04\x80\x04N."), "violation", "sandbox violation"),
    "deep nesting": (WRITE.format(len(NESTED).to_bytes(4) + NESTED), "violation", "sandbox violation"),
    "length of a lie": (
        WRITE.format(bytes.fromhex("0000001095a6616e73776572dd7fffffff000000")),
        "violation",
        "sandbox violation",
    ),
    "hangs up": ("reach('os').close(3)", "error", "raised PermissionError"),
    "writes into its own answer": (
        SEND.format(bytes(3)) + "return PolicyDecision(True, 'yes')",
        "violation",
        "sandbox violation",
    ),
}


# Only the limit a case is about is short, so that on a busy machine no other one comes first.
LIMITS = {"cpu_limit": {"cpu_ms": 300, "wall_ms": 60_000}, "timeout": {"cpu_ms": 60_000, "wall_ms": 400}}


@pytest.mark.parametrize("case", MISBEHAVIOUR)
async def test_misbehaviour_is_a_denial_with_its_reason(shared_host_with, write_plugin, case):
    """The status says what happened, a neighbour notices nothing, and the next call finds a new process.

    After a violation it does so once an operator has released the plugin.
    """
    body, status, reason = MISBEHAVIOUR[case]
    host = await shared_host_with(**LIMITS.get(status, {"cpu_ms": 60_000, "wall_ms": 60_000}))
    body = f"if context.principal_id == 'neighbour': {ALLOW}\n{body}\n{ALLOW}"
    await host.load(write_plugin(ALLOW, name="neighbour", priority=1))
    await host.load(write_plugin(body))
    neighbour, verdict = await ask(host, deadline_s=60)
    assert (neighbour.status, neighbour.allowed) == ("ok", True)
    assert (verdict.plugin, verdict.status, verdict.allowed, verdict.skipped) == ("written", status, False, False)
    assert re.search(reason, verdict.reason)
    if status == "violation":
        neighbour, verdict = await ask(host, question("neighbour"))
        assert (neighbour.status, verdict.status) == ("ok", "quarantined")
        await host.release("written")
    assert [again.status for again in await ask(host, question("neighbour"))] == ["ok", "ok"]
