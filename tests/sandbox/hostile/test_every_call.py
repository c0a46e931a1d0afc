"""Every number a system call can have, really called: an account of the filter that does not read its own list."""

from __future__ import annotations

import platform

import pytest
from fixtures.plugins import ask, question, source_of

pytestmark = pytest.mark.anyio

# All arguments are zero: what gets through asks for nothing.
BODY = """
ctypes = reach("ctypes")
call = ctypes.CDLL(None, use_errno=True).syscall
call.restype = ctypes.c_long
ctypes.set_errno(0)
result = call(*[ctypes.c_long(context.arguments["number"]), *[ctypes.c_long(0)] * 6])
return PolicyDecision(True, f"{result} {ctypes.get_errno()}")
"""
# Linux on x86_64.
MAY_REACH_THE_KERNEL = {
    7: "poll", 9: "mmap", 10: "mprotect", 11: "munmap", 12: "brk", 15: "rt_sigreturn", 24: "sched_yield",
    25: "mremap", 28: "madvise", 35: "nanosleep", 39: "getpid", 60: "exit", 96: "gettimeofday", 186: "gettid",
    201: "time", 202: "futex", 219: "restart_syscall", 228: "clock_gettime", 229: "clock_getres",
    230: "clock_nanosleep", 231: "exit_group", 271: "ppoll", 318: "getrandom",
}  # fmt: skip
PAST_EVERY_FILTER = {335: "uretprobe", 336: "uprobe"}
"""The kernel itself lets them past seccomp; called from anywhere but its own trampoline they do nothing."""
NUMBERS = [*range(512), *(0x4000_0000 | number for number in (0, 1, 2, 56, 59, 257))]
SURELY_REACH = {9, 12, 39, 202, 228, 318}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers are those of x86_64")
async def test_every_call_but_two_dozen_is_refused_or_kills(arena, tmp_path):
    """A number that reaches the kernel is in the list above; all others are refused with EPERM or end in SIGSYS."""
    host = (await arena("seccomp_only", "timeout")).host  # `ppoll` of nothing waits for ever
    path = tmp_path / "caller.py"
    path.write_text(source_of(BODY, name="caller"), encoding="utf-8")
    await host.load(path)
    refused, killed, reached = set(), set(), {}
    for number in NUMBERS:
        # A breaker is there for plugins that die this often; whoever releases one has looked at it.
        await host.release("caller")
        verdict = (await ask(host, question(arguments={"number": number})))[-1]
        if verdict.status == "violation" and "SIGSYS" in verdict.reason:
            killed.add(number)
        elif (verdict.status, verdict.reason) == ("ok", "-1 1"):
            refused.add(number)
        else:
            reached[number] = (verdict.status, verdict.reason)
    await host.unload("caller")
    known = MAY_REACH_THE_KERNEL | PAST_EVERY_FILTER
    assert {number: seen for number, seen in reached.items() if number not in known} == {}
    assert {reached.get(number, "refused") for number in PAST_EVERY_FILTER} <= {
        ("crashed", "crashed (SIGILL)"), ("ok", "-1 6"), ("ok", "-1 38"), "refused",
    }  # fmt: skip
    assert set(reached) >= SURELY_REACH
    assert killed >= {number for number in NUMBERS if number >= 480}
    assert len(refused) + len(killed) + len(reached) == len(NUMBERS)
