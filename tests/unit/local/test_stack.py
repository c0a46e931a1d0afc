"""What the local stack keeps in its folder, and who may use that folder."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from sark_opa.errors import ConfigurationError
from sark_opa.local import stack
from sark_opa.local.postgres import embedded
from sark_opa.local.stack import StackOptions, running
from sark_opa.local.tokens import ROLES, load_or_make, write_private

pytestmark = pytest.mark.anyio


def test_tokens_are_made_once(tmp_path: Path) -> None:
    """One for each role, all different, read by their owner only, and kept."""
    made = load_or_make(tmp_path)
    assert set(made) == set(ROLES)
    assert len(set(made.values())) == len(ROLES)
    assert stat.S_IMODE((tmp_path / "tokens.json").stat().st_mode) == 0o600
    assert load_or_make(tmp_path) == made


@pytest.mark.parametrize("text", ["", "{", "[]", '{"admin": "t"}', '{"admin": 1, "facts": 2, "settle": 3}'])
def test_a_damaged_tokens_file_says_so(tmp_path: Path, text: str) -> None:
    """With the remedy; no token is made in silence over one that is in use."""
    (tmp_path / "tokens.json").write_text(text)
    with pytest.raises(ConfigurationError, match="delete it"):
        load_or_make(tmp_path)
    assert (tmp_path / "tokens.json").read_text() == text


def test_a_private_file_stays_private(tmp_path: Path) -> None:
    """Whatever stood there before and whatever the umask; nothing else is left in the folder."""
    file = tmp_path / "secret.json"
    file.write_text("old")
    file.chmod(0o666)
    before = os.umask(0)
    try:
        write_private(file, "new")
    finally:
        os.umask(before)
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("new", 0o600)
    assert list(tmp_path.iterdir()) == [file]


async def _start(options: StackOptions) -> None:
    async with running(options, lambda _: None):
        raise AssertionError("it must not start")


async def test_a_folder_holds_one_stack(tmp_path: Path) -> None:
    """A second one is refused, and the first one's ready file is left alone."""
    ready = tmp_path / "ready.json"
    ready.write_text("{}")
    with stack._occupied(tmp_path / "data"), pytest.raises(ConfigurationError, match=r"another stack runs.*--data"):
        await _start(StackOptions(data=tmp_path / "data", port=0, opa_port=0, ready_file=ready))
    assert ready.exists()
    with stack._occupied(tmp_path / "data"):
        pass  # let go of again


async def test_a_folder_that_cannot_be_is_one_message(tmp_path: Path) -> None:
    """A file in its place, for one."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="--data"):
        await _start(StackOptions(data=tmp_path / "file" / "data", port=0, opa_port=0))


async def test_a_ready_file_that_cannot_be_is_said_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is started."""
    monkeypatch.setattr(stack, "find_or_fetch", lambda _: pytest.fail("too late"))
    with pytest.raises(ConfigurationError, match="--ready-file"):
        await _start(
            StackOptions(data=tmp_path / "data", port=0, opa_port=0, ready_file=tmp_path / "no" / "ready.json")
        )


async def test_a_stale_ready_file_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of a stack that was killed, before the new one is ready."""
    ready = tmp_path / "ready.json"
    ready.write_text("{}")

    def find(_: Any) -> Path:
        assert not ready.exists()
        raise ConfigurationError("as far as this test goes")

    monkeypatch.setattr(stack, "find_or_fetch", find)
    with pytest.raises(ConfigurationError, match="as far as"):
        await _start(StackOptions(data=tmp_path / "data", port=0, opa_port=0, ready_file=ready))


class ShortLived:
    """A child that ends again and again; `failures` of its starts fail."""

    name, log = "short", Path("short.log")

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.starts = 0

    async def wait(self) -> int:
        """It has ended already."""
        return 3

    async def start(self, *, timeout_s: float) -> None:
        """Count, or fail."""
        assert timeout_s > 0
        self.starts += 1
        if self.starts <= self.failures:
            raise ConfigurationError("it does not start")


async def test_what_ends_is_started_again_more_and_more_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when starting it fails; every step is said."""
    pauses: list[float] = []
    said: list[str] = []
    sleep = asyncio.sleep

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)
        if len(pauses) == 9:
            raise asyncio.CancelledError

    monkeypatch.setattr(stack.asyncio, "sleep", pause)
    child = ShortLived(failures=2)
    with contextlib.suppress(asyncio.CancelledError):
        await stack._keep(child, said.append)  # type: ignore[arg-type]  # what is asked of a child
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert child.starts == 8
    assert said.count("it does not start") == 2
    assert "short ended with 3" in said[0]


async def test_a_server_that_is_cancelled_while_it_starts_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that starts it cannot be interrupted, so it is waited for and the server stopped."""
    began, cleaned = asyncio.Event(), []
    loop = asyncio.get_running_loop()
    go = asyncio.run_coroutine_threadsafe

    class Server:
        def cleanup(self) -> None:
            cleaned.append(True)

    def start(_data: Path) -> Server:
        loop.call_soon_threadsafe(began.set)
        go(asyncio.sleep(0.05), loop).result()
        return Server()

    monkeypatch.setattr("sark_opa.local.postgres._start", start)

    async def use() -> None:
        async with embedded(tmp_path):
            raise AssertionError("it was cancelled")

    task = asyncio.create_task(use())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned == [True]


async def test_a_server_that_does_not_start_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own error, once."""

    def start(_data: Path) -> None:
        raise ConfigurationError("no room")

    monkeypatch.setattr("sark_opa.local.postgres._start", start)
    with pytest.raises(ConfigurationError, match="no room"):
        async with embedded(tmp_path):
            raise AssertionError("it must not start")
