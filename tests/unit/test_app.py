"""The composition root: background jobs that never die, sockets that are nobody else's."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

from sark_opa import background, listeners
from sark_opa.app import parts
from sark_opa.errors import ConfigurationError, DatabaseUnavailableError
from sark_opa.metrics import Metrics

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("error", "event", "level"),
    [
        (DatabaseUnavailableError(), "background_job_failed", "warning"),
        (ZeroDivisionError("a bug"), "background_job_crashed", "error"),
        (TimeoutError(), "background_job_crashed", "error"),
    ],
)
async def test_a_job_goes_on_whatever_it_raises(error: Exception, event: str, level: str) -> None:
    """It is told in the log each time, and tried again at the next turn; the other jobs do not notice."""
    turns = {"failing": 0, "other": 0}
    enough = asyncio.Event()

    async def failing() -> None:
        turns["failing"] += 1
        raise error

    async def other() -> None:
        turns["other"] += 1
        if min(turns.values()) >= 3:
            enough.set()

    with structlog.testing.capture_logs() as lines:
        async with background.repeating([("failing", 0.001, failing), ("other", 0.001, other)]):
            await asyncio.wait_for(enough.wait(), 10)
    told = [line for line in lines if line["job"] == "failing"]
    assert {(line["event"], line["log_level"]) for line in told} == {(event, level)}
    assert len(told) == turns["failing"] >= 3


async def test_jobs_end_with_the_service() -> None:
    """None runs on, not even one that is in the middle of something."""
    began = asyncio.Event()

    async def long() -> None:
        began.set()
        await asyncio.sleep(600)

    async with background.repeating([("long", 0, long)]):
        await began.wait()
    assert [task for task in asyncio.all_tasks() if task.get_name() == "long"] == []


class Expiring:
    """A ledger with so many holds past their time."""

    def __init__(self, overdue: int) -> None:
        self.overdue = overdue
        self.asked = 0

    async def expire(self, *, rows_max: int = 1000) -> int:
        """End as many as may be."""
        self.asked += 1
        ended = min(self.overdue, rows_max)
        self.overdue -= ended
        return ended


@pytest.mark.parametrize(("overdue", "asked"), [(0, 1), (999, 1), (1_000, 2), (4_200, 5)])
async def test_a_sweep_ends_all_there_is(overdue: int, asked: int) -> None:
    """A turn takes no more than a thousand at once, and does not leave the rest to the next."""
    ledger, metrics = Expiring(overdue), Metrics()
    await parts.expire_holds(ledger, metrics)  # type: ignore[arg-type]  # of the protocol, what a sweep asks
    assert (ledger.overdue, ledger.asked) == (0, asked)
    assert f'sark_hold_ends_total{{how="expired"}} {float(overdue)}' in metrics.exposition().decode()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a socket may lie; relative, since its path may have no more than 107 bytes."""
    monkeypatch.chdir(tmp_path)
    return Path("s.sock")


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_a_socket_has_its_mode_from_the_start(place: Path, mode: int) -> None:
    """Whatever the umask."""
    with listeners.listen_unix(place, mode):
        assert stat.S_IMODE(place.stat().st_mode) == mode


def test_the_socket_of_a_dead_service_is_replaced(place: Path) -> None:
    """One that was killed leaves it behind."""
    listeners.listen_unix(place, 0o600).close()
    assert place.is_socket()
    with listeners.listen_unix(place, 0o600), socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(place))


def test_the_socket_of_a_living_service_is_left_to_it(place: Path) -> None:
    """The second one says that it is taken, instead of taking OPA's questions away in silence."""
    with listeners.listen_unix(place, 0o600):
        with pytest.raises(ConfigurationError, match="SARK_SOCKET_PATH"):
            listeners.listen_unix(place, 0o600)
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(place))


@pytest.mark.parametrize("make", [lambda path: path.write_text("precious"), Path.mkdir], ids=["file", "folder"])
def test_what_is_no_socket_is_never_removed(place: Path, make: Callable[[Path], object]) -> None:
    """A mistyped path costs nobody a file."""
    make(place)
    with pytest.raises(ConfigurationError, match="SARK_SOCKET_PATH"):
        listeners.listen_unix(place, 0o600)
    assert place.exists()
    assert not place.is_socket()


def test_a_service_removes_its_own_socket_only(place: Path) -> None:
    """Another one may have taken the place over while it finished."""
    first = listeners.listen_unix(place, 0o600)
    made = place.stat().st_ino
    kept = Path("first.sock")
    place.rename(kept)  # so that the number is not given out again
    with first, listeners.listen_unix(place, 0o600):
        listeners.remove_socket(place, made)
        assert place.is_socket()
        listeners.remove_socket(place, place.stat().st_ino)
        assert not place.exists()
        listeners.remove_socket(place, made)


def test_a_port_that_is_taken_is_named() -> None:
    """With the settings to change."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"{port}.*SARK_PORT"):
            listeners.listen_tcp("127.0.0.1", port)
