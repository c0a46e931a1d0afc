"""A child of the local stack: started until it answers, stopped, killed, and told of when it fails."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from sark_opa.errors import ConfigurationError
from sark_opa.local.children import Child, base_environment, http_ready
from sark_opa.local.stack import free_port

pytestmark = pytest.mark.anyio

ANSWERS = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 503)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", {port}), Handler).serve_forever()
"""
SLEEPS = "import time; time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"


async def _at_once() -> None:
    """Ready whatever the process does."""


async def _never() -> None:
    await asyncio.sleep(600)


def child(folder: Path, code: str, ready: Callable[[], Awaitable[None]] = _at_once, **environment: str) -> Child:
    """A Python process that runs `code`."""
    return Child(
        "helper", [sys.executable, "-c", code], environment=environment, log=folder / "helper.log", ready=ready
    )


async def test_it_is_started_when_it_answers(tmp_path: Path) -> None:
    """Not before; and stopped it is gone."""
    port = free_port()
    server = child(tmp_path, ANSWERS.format(port=port), lambda: http_ready(port, "/readyz"))
    assert server.pid is None
    await server.start(timeout_s=30)
    await http_ready(port, "/readyz")
    with pytest.raises(OSError, match="503"):
        await http_ready(port, "/elsewhere")
    pid = server.pid
    assert pid is not None
    await server.stop()
    assert server.pid is None
    assert not psutil.pid_exists(pid)
    await server.stop()  # once more is the same


async def test_what_ends_while_it_starts_says_how(tmp_path: Path) -> None:
    """Its status and the last lines of its log, and no more than those."""
    failing = child(tmp_path, "import sys\nfor n in range(100): print('line', n, '[/x]')\nsys.exit(7)", _never)
    with pytest.raises(ConfigurationError, match="helper ended with 7") as raised:
        await failing.start(timeout_s=30)
    assert "line 99 [/x]" in raised.value.message
    assert "line 50" not in raised.value.message


async def test_what_is_not_ready_in_time_is_killed(tmp_path: Path) -> None:
    """A process nobody waits for any more is not left behind."""
    slow = child(tmp_path, SLEEPS, _never)
    with pytest.raises(ConfigurationError, match=r"not ready after 0\.2 s"):
        await slow.start(timeout_s=0.2)
    assert slow.pid is None


async def test_an_answer_of_somebody_else_does_not_count(tmp_path: Path) -> None:
    """Ended is ended, even where its port answers."""
    ended = child(tmp_path, "")

    async def when_it_has_ended() -> None:
        await ended.wait()

    ended._ready = when_it_has_ended
    with pytest.raises(ConfigurationError, match="ended with 0"):
        await ended.start(timeout_s=30)


async def test_a_check_that_breaks_is_no_answer(tmp_path: Path) -> None:
    """What the check raises is raised, and not taken for ready."""

    async def broken() -> None:
        raise ZeroDivisionError

    running = child(tmp_path, SLEEPS, broken)
    with pytest.raises(ZeroDivisionError):
        await running.start(timeout_s=30)
    await running.kill()


async def test_stopped_while_it_starts_it_is_gone(tmp_path: Path) -> None:
    """Whoever is cancelled can stop it, and nothing waits on in the background."""
    asked = asyncio.Event()

    async def not_yet() -> None:
        asked.set()
        await _never()

    starting = child(tmp_path, SLEEPS, not_yet)
    task = asyncio.create_task(starting.start(timeout_s=600))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await starting.stop()
    await asyncio.sleep(0)
    assert [other for other in asyncio.all_tasks() if "_until" in str(other.get_coro())] == []
    assert await starting.wait() == -signal.SIGTERM


async def test_the_deaf_are_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever ignores the request to end is given some time, and then none."""
    monkeypatch.setattr("sark_opa.local.children._STOP_TIMEOUT_S", 0.2)
    deaf = child(tmp_path, DEAF)

    async def heard() -> None:
        if "deaf" not in deaf.tail():
            raise ConnectionError

    deaf._ready = heard
    await deaf.start(timeout_s=30)
    await deaf.stop()
    assert await deaf.wait() == -signal.SIGKILL


async def test_it_inherits_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its environment is the one it is given; what all need of this one's holds no secret."""
    monkeypatch.setenv("SARK_DATABASE_URL", "postgresql://secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert "secret" not in str(base_environment())
    printing = child(tmp_path, "import os; print(sorted(os.environ))", _never, ONLY="this", LC_CTYPE="C.UTF-8")
    with pytest.raises(ConfigurationError, match="ended with 0"):
        await printing.start(timeout_s=30)
    assert printing.tail() == "['LC_CTYPE', 'ONLY']"


async def test_the_tail_of_a_long_log_is_short(tmp_path: Path) -> None:
    """A log of years is not read whole."""
    quiet = child(tmp_path, SLEEPS)
    quiet.log.write_text("x" * 10_000_000 + "\nlast\n")
    assert quiet.tail().endswith("\nlast")
    assert len(quiet.tail()) < 100_000


async def test_nobody_waits_for_what_was_never_started(tmp_path: Path) -> None:
    """That is a mistake of the caller; stopping it is none."""
    idle = child(tmp_path, SLEEPS)
    await idle.stop()
    with pytest.raises(RuntimeError, match="never started"):
        await idle.wait()
