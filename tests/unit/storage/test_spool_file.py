"""The spool's file: what it answered is on disk, whatever happens to the process, the disk or a second process."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sark_opa.errors import ConfigurationError, ConflictError, NotFoundError, SpoolError, SpoolFullError
from sark_opa.storage.spool import Entry, Refusal
from sark_opa.storage.spool.file import SpoolFile

MIB = 2**20
WHY = Refusal("unknown_hold", "No hold of that id exists.", datetime(2026, 11, 24, tzinfo=UTC))


def entry(request_id: str, body: bytes = b'{"amount_usd": 1}', **changes: Any) -> Entry:
    """A settlement of one of `acme`'s requests."""
    made = Entry.received("settle", "acme", request_id, fingerprint=body[:16], body=body)
    return msgspec.structs.replace(made, **changes)


def opened(folder: Path, bytes_max: int = MIB) -> SpoolFile:
    """As a service opens it."""
    return SpoolFile(folder, bytes_max=bytes_max, locked=True, checked=True)


def waiting(file: SpoolFile) -> list[str]:
    """The requests that wait, in order."""
    return [kept.entry.request_id for kept in file.oldest(10_000) if kept.entry]


def test_what_is_kept_is_there_again(tmp_path: Path) -> None:
    """In order of arrival, byte for byte, under the same ids; numbers are not used twice."""
    body = '{ "usage": {"n": 1.10, "x": "ü"} }'.encode()
    with opened(tmp_path / "a" / "spool") as file:
        first = file.put([entry(name, body) for name in ("b", "a", "c")])
        file.finish([first[2].number], [])  # type: ignore[union-attr]  # it fits
    with opened(tmp_path / "a" / "spool") as file:
        assert file.oldest(10) == first[:2]
        assert (file.waiting, file.refused) == (2, 0)
        (another,) = file.put([entry("d")])
    assert another is not None
    assert another.spool_id == f"{file.name}-4"
    assert first[0] is not None
    assert first[0].entry is not None
    assert first[0].entry.body == body
    assert (tmp_path / "a" / "spool").stat().st_mode & 0o77 == 0
    assert (tmp_path / "a" / "spool" / "spool.sqlite").stat().st_mode & 0o77 == 0


def test_of_each_request_one_waits(tmp_path: Path) -> None:
    """The one that came first; once it is delivered or refused, another may."""
    with opened(tmp_path) as file:
        (first,) = file.put([entry("r", b"1")])
        assert file.put([entry("r", b"2"), entry("r", b"1")]) == [first, first]
        assert file.put([entry("r", b"3", org="other")]) != [first]
        assert first is not None
        file.finish([], [(first.number, WHY)])
        (second,) = file.put([entry("r", b"2")])
        assert second is not None
        assert second.number > first.number
        assert (file.waiting, file.refused) == (2, 1)
        assert file.find("acme", "r") == second
        assert file.find("acme", "nobody") is None


def test_a_refused_entry_is_kept_until_it_is_retried_or_dropped(tmp_path: Path) -> None:
    """It says why, is not delivered again by itself, and is never in a newer one's way."""
    with opened(tmp_path) as file:
        for kept in file.put([entry("a"), entry("b")]):
            assert kept is not None
            file.finish([], [(kept.number, WHY)])
        first, second = list(file.all(only_refused=True))
        assert (first.refusal, waiting(file)) == (WHY, [])
        file.retry(first.spool_id)
        assert (waiting(file), file.waiting, file.refused) == (["a"], 1, 1)
        with pytest.raises(ConflictError, match="waits to be delivered already"):
            file.retry(first.spool_id)
        file.put([entry("b", b"corrected")])
        with pytest.raises(ConflictError, match="another settlement"):
            file.retry(second.spool_id)
        file.drop(second.spool_id)
        assert (file.waiting, file.refused) == (2, 0)
        for unknown in (second.spool_id, "x-1", f"{file.name}-", f"{file.name}-{2**70}", "", f"{file.name}-1 or 1"):
            with pytest.raises(NotFoundError):
                file.drop(unknown)


def test_delivered_and_refused_at_once_and_at_most_once(tmp_path: Path) -> None:
    """What was dropped or delivered meanwhile changes no count."""
    with opened(tmp_path) as file:
        a, b, c = (kept.number for kept in file.put([entry("a"), entry("b"), entry("c")]) if kept)
        file.finish([a, a], [(b, WHY), (a, WHY)])
        assert (waiting(file), file.waiting, file.refused) == (["c"], 1, 1)
        file.finish([b], [(b, WHY)])
        assert (file.waiting, file.refused) == (1, 1)
        assert file.oldest(10, skipped=[c]) == []


def test_what_does_not_fit_is_not_kept(tmp_path: Path) -> None:
    """The others of its group are; what is delivered makes room, and a full spool still delivers."""
    large = b"x" * 300_000
    with opened(tmp_path) as file:
        kept = file.put([entry(f"r{n}", large) for n in range(6)] + [entry("small")])
        assert [bool(one) for one in kept] == [True, True, True, False, False, False, True]
        assert (tmp_path / "spool.sqlite").stat().st_size <= MIB
        assert kept[0] is not None
        file.finish([kept[0].number], [])
        assert file.put([entry("r9", large)])[0] is not None
        assert file.put([entry("r10", large)]) == [None]
        assert waiting(file) == ["r1", "r2", "small", "r9"]


def test_a_full_disk_keeps_nothing_and_loses_nothing(tmp_path: Path) -> None:
    """The whole group is refused; what was there before is there, and it goes on when there is room again."""
    with opened(tmp_path) as file:
        file.put([entry("before")])
        (pages,) = file._connection.execute("pragma page_count").fetchone()
        file._connection.execute(f"pragma max_page_count = {pages + 2}")  # SQLite's word for a disk that is full
        with pytest.raises(SpoolFullError):
            file.put([entry("a"), entry("b", b"x" * 50_000)])
        assert (waiting(file), file.waiting) == (["before"], 1)
        file._connection.execute(f"pragma max_page_count = {pages + 100}")
        file.put([entry("b", b"x" * 50_000)])
        assert waiting(file) == ["before", "b"]


def test_a_folder_has_one_owner(tmp_path: Path) -> None:
    """A second service is refused and told; commands that only look or retry may."""
    with opened(tmp_path) as file:
        file.put([entry("a")])
        with pytest.raises(ConfigurationError, match="another process uses the spool"):
            opened(tmp_path)
        assert not file.changed_elsewhere()
        with SpoolFile(tmp_path) as looking:
            (kept,) = looking.all()
            looking.drop(kept.spool_id)
        assert file.changed_elsewhere()
        assert (file.waiting, file.changed_elsewhere()) == (0, False)
    opened(tmp_path).close()


def test_nobody_makes_a_spool_by_looking(tmp_path: Path) -> None:
    """A mistyped folder is told, not made."""
    with pytest.raises(ConfigurationError, match="No such file"):
        SpoolFile(tmp_path / "typo")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", ["noise", "another database", "a later format", "cut", "folder is a file"])
def test_an_unreadable_spool_is_refused(tmp_path: Path, how: str) -> None:
    """With a message that says which and what to do; and left as it is."""
    folder = tmp_path / "spool"
    with opened(folder) as file:
        file.put([entry(f"r{n}", b"x" * 5_000) for n in range(20)])
    path = folder / "spool.sqlite"
    if how == "noise":
        path.write_bytes(b"noise" * 1_000)
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:40_000])
    elif how == "folder is a file":
        shutil.rmtree(folder)
        folder.write_bytes(b"")
    else:
        with sqlite3.connect(path) as other:
            other.execute("pragma user_version = 99" if how == "a later format" else "pragma application_id = 7")
        other.close()
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(ConfigurationError, match="SARK_SPOOL_DIR"):
        opened(folder)
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_an_entry_the_disk_changed_is_found(tmp_path: Path) -> None:
    """A service refuses to start; the entry can be seen, the others too, and it can be dropped."""
    with opened(tmp_path) as file:
        file.put([entry("good"), entry("bad", b'{"amount_usd": 7777}')])
    path = tmp_path / "spool.sqlite"
    path.write_bytes(path.read_bytes().replace(b"7777", b"7778"))
    with pytest.raises(ConfigurationError, match="the disk has changed entry 2"):
        opened(tmp_path)
    with SpoolFile(tmp_path) as looking:
        good, bad = looking.all()
        assert (good.entry and good.entry.request_id, bad.entry) == ("good", None)
        looking.drop(bad.spool_id)
    with opened(tmp_path) as file:
        assert waiting(file) == ["good"]


def test_a_torn_write_takes_nothing_with_it(tmp_path: Path) -> None:
    """Wherever a crash cuts the log, what was answered before that write is there, in order, and nothing else."""
    with opened(tmp_path / "live") as file:
        log = tmp_path / "live" / "spool.sqlite-wal"
        ends = [log.stat().st_size]
        for n in range(12):
            file.put([entry(f"r{n}", b"x" * 3_000)])
            ends.append(log.stat().st_size)
        written, base = log.read_bytes(), (tmp_path / "live" / "spool.sqlite").read_bytes()
    for cut in range(ends[0], len(written) + 1, 6_007):
        for tail in (b"", b"\x5a" * 900):
            crashed = tmp_path / f"crashed-{cut}-{len(tail)}"
            crashed.mkdir()
            (crashed / "spool.sqlite").write_bytes(base)
            (crashed / "spool.sqlite-wal").write_bytes(written[:cut] + tail)
            with opened(crashed) as again:
                assert waiting(again) == [f"r{n}" for n in range(sum(end <= cut for end in ends[1:]))]
                again.put([entry("next")])
            shutil.rmtree(crashed)


WRITER = """
import sys
from pathlib import Path
from sark_opa.storage.spool.file import SpoolFile
from sark_opa.storage.spool import Entry
with SpoolFile(Path(sys.argv[1]), bytes_max=2**26, locked=True, checked=True) as file:
    for n in range(10**6):
        name = f"{sys.argv[2]}-{n}"
        (kept,) = file.put([Entry.received("settle", "acme", name, fingerprint=b"", body=b"x" * (n % 5_000))])
        sys.stdout.write(f"{name}\\n"); sys.stdout.flush()
        if n % 3 == 2:
            file.finish([kept.number], []); sys.stdout.write(f"-{name}\\n"); sys.stdout.flush()
"""


def test_killed_while_it_writes_it_has_what_it_said(tmp_path: Path) -> None:
    """At whichever instruction SIGKILL meets the writer; one more may be there than it came to say, and no other."""
    said: set[str] = set()
    for turn in range(3):
        command = [sys.executable, "-c", WRITER, str(tmp_path), str(turn)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            lines = [writer.stdout.readline()]
            time.sleep(0.05 + turn * 0.13)
            writer.send_signal(signal.SIGKILL)
            lines += writer.stdout.read().split("\n")[:-1]
        for line in (line.strip() for line in lines):
            (said.discard(line[1:]) if line.startswith("-") else said.add(line))
        with opened(tmp_path, 2**26) as file:
            there = set(waiting(file))
        assert len(said ^ there) <= 1, (said - there, there - said)
        said = there
    assert len(said) > 20


def test_ages_do_not_follow_a_clock_that_steps(tmp_path: Path) -> None:
    """Within one start of the machine a steady clock tells them; after another one wall time does, never below 0."""
    stepped = entry("a", received_at=datetime.now(UTC) + timedelta(hours=1))
    assert 0 <= stepped.age_s() < 60
    earlier = entry("b", boot="another", received_at=datetime.now(UTC) - timedelta(minutes=5))
    assert 299 < earlier.age_s() < 360
    assert entry("c", boot="another", received_at=datetime.now(UTC) + timedelta(hours=1)).age_s() == 0
    with opened(tmp_path) as file:
        assert file.put([stepped, earlier])[0] is not None
        assert waiting(file) == ["a", "b"]


def test_other_faults_are_told_as_such(tmp_path: Path) -> None:
    """A file that goes bad while it is open is neither full nor silent."""
    file = opened(tmp_path)
    file._connection.execute("drop table entries")
    with pytest.raises(SpoolError) as caught:
        file.put([entry("a")])
    assert (caught.value.code, caught.value.status) == ("spool_unavailable", 503)
    file.close()
