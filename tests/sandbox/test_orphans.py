"""Whatever happens to the service, no process of a plugin outlives it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from fixtures.plugins import is_keeper, source_of

SERVICE = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from sark_opa.sandbox import PluginHost, Question

async def facts(need):
    raise AssertionError

async def main():
    host = PluginHost()
    await host.start()
    for path in sys.argv[1:]:
        await host.load(Path(path))
    question = Question(principal_id="u", resource_id="r", capability_id="c", action="invoke", arguments={},
                        environment={}, timestamp=datetime.now(UTC))
    asked = asyncio.ensure_future(host.evaluate(question, deadline_s=30, facts=facts))
    await asyncio.sleep(0.1)
    print("ready", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""
BODIES = {
    "idle": "return PolicyDecision(True, '')",
    "spins": "while True: pass",
    "sleeps": "time.sleep(60)",
    "deaf": "while True:\n    try: time.sleep(60)\n    except BaseException: pass",
}


@contextlib.contextmanager
def running_service(folder: Path) -> Iterator[tuple[subprocess.Popen[str], list[psutil.Process]]]:
    """A service process with plugins in every state, and all processes below it, the zygote first."""
    paths = []
    for name, body in BODIES.items():
        path = folder / f"{name}.py"
        path.write_text(source_of(body, name=name))
        paths.append(str(path))
    with subprocess.Popen([sys.executable, "-c", SERVICE, *paths], stdout=subprocess.PIPE, text=True) as service:
        try:
            assert service.stdout is not None
            assert service.stdout.readline() == "ready\n"
            below = sorted(psutil.Process(service.pid).children(recursive=True), key=lambda process: process.pid)
            # The zygote, the keeper of its namespace where there is one, the plugins, and the spare one.
            assert len(below) - sum(map(is_keeper, below)) == 1 + len(BODIES) + 1
            yield service, below
        finally:
            service.kill()


def wait_until_gone(processes: list[psutil.Process]) -> None:
    """Fail unless all of them end within a few seconds; a zombie nobody reaps has ended."""
    until = time.monotonic() + 5
    left = processes
    while left and time.monotonic() < until:
        left = [process for process in left if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
        time.sleep(0.02)
    assert left == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSEGV])
def test_a_dead_service_leaves_no_process(tmp_path, number):
    """Killed, terminated, interrupted or crashed: idle, spinning, sleeping and deaf plugins all end."""
    with running_service(tmp_path) as (service, below):
        os.kill(service.pid, number)
        service.wait(10)
        wait_until_gone(below)


def test_a_service_and_its_zygote_killed_together_leave_no_process(tmp_path):
    """The kernel itself ends the plugins when the zygote has no time to."""
    with running_service(tmp_path) as (service, below):
        os.kill(below[0].pid, signal.SIGSTOP)
        os.kill(service.pid, signal.SIGKILL)
        os.kill(below[0].pid, signal.SIGKILL)
        wait_until_gone(below)


def test_a_terminal_s_interrupt_does_not_reach_plugins(tmp_path):
    """Ctrl-C goes to the terminal's process group; the zygote and its children are in none of it."""
    with running_service(tmp_path) as (service, below):
        groups = {os.getpgid(process.pid) for process in below}
        assert groups == {below[0].pid}
        assert os.getpgid(service.pid) not in groups
