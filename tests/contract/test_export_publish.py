"""Exports that are published: each day once, again when it changes, whatever breaks in between."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from fixtures.exports import Booker, table, total
from typer.testing import CliRunner

from sark_opa.cli.commands import app
from sark_opa.errors import ConfigurationError, ExportError
from sark_opa.local.stack import free_port
from sark_opa.metrics import Metrics
from sark_opa.reports.export.publish import Plan, Published, publish
from sark_opa.reports.export.publisher import Publisher
from sark_opa.reports.export.source import charges_of
from sark_opa.reports.export.targets import FolderTarget, target_of

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 14, 0, 59, tzinfo=UTC)
"""The 13th is over, but not for an hour yet."""


@pytest.fixture
def week(booker: Booker) -> Booker:
    """A charge on each of the days from the 8th to the 14th, none on the 10th."""
    booker.org()
    for day in ("08", "09", "11", "12", "13", "14"):
        booker.charge(f"of-{day}", time=f"2026-11-{day}T00:30:00Z")
    return booker


def _files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _manifest(folder: Path, month: str = "2026-11") -> dict[str, Any]:
    files: dict[str, Any] = json.loads((folder / "acme" / month / "manifest.json").read_text())["files"]
    return files


async def test_days_that_are_over_are_published_once(database_url: str, week: Booker, tmp_path: Path) -> None:
    """With a day without charges, without the running one; the second look finds nothing to do."""
    target = FolderTarget(tmp_path)
    published = await publish(database_url, target, Plan(), NOW)
    assert [(file.name, file.revision, file.rows) for file in published or []] == [
        (f"acme/2026-11/2026-11-{day}.csv.gz", 1, rows)
        for day, rows in [("08", 1), ("09", 1), ("10", 0), ("11", 1), ("12", 1)]
    ]
    before = _files(tmp_path)
    for day, file in _manifest(tmp_path).items():
        name = f"acme/2026-11/{file['name']}"
        assert file["name"] == f"{day}.csv.gz"
        assert before[name] == file["sha256"]
        rows = table(gzip.decompress((tmp_path / name).read_bytes()))
        assert (len(rows), total(rows)) == (file["rows"], Decimal(file["billed_usd"]))
    assert await publish(database_url, target, Plan(), NOW) == []
    assert {name: sha for name, sha in _files(tmp_path).items() if "state" not in name} == {
        name: sha for name, sha in before.items() if "state" not in name
    }
    later = await publish(database_url, target, Plan(), NOW.replace(hour=1))
    assert [file.name for file in later or []] == ["acme/2026-11/2026-11-13.csv.gz"]


async def test_a_late_charge_makes_a_revision(database_url: str, week: Booker, tmp_path: Path) -> None:
    """Of its day alone; one of the running day waits."""
    target = FolderTarget(tmp_path)
    await publish(database_url, target, Plan(), NOW)
    week.charge("late", time="2026-11-09T05:00:00Z")
    week.charge("today", time="2026-11-14T00:40:00Z")
    assert await publish(database_url, target, Plan(), NOW) == [Published("acme/2026-11/2026-11-09.csv.gz", 2, 2)]
    assert _manifest(tmp_path)["2026-11-09"]["revision"] == 2
    assert await publish(database_url, target, Plan(), NOW) == []


def _days_ago(days: int) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat()


class _Breaking(FolderTarget):
    """Breaks off at the so-manieth write or put."""

    def __init__(self, folder: Path, after: int) -> None:
        super().__init__(folder)
        self.left = after

    def _use(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise ExportError("the place is gone")

    async def write(self, name: str, body: bytes) -> None:
        self._use()
        await super().write(name, body)

    async def put(self, name: str, file: Path) -> None:
        self._use()
        await super().put(name, file)


async def test_wherever_it_breaks_off_the_next_run_makes_it_good(
    database_url: str, week: Booker, tmp_path: Path
) -> None:
    """Before and after each write: the same files, each once, as if nothing had happened."""
    await publish(database_url, FolderTarget(tmp_path / "whole"), Plan(), NOW)
    whole = {name: sha for name, sha in _files(tmp_path / "whole").items() if name.endswith("gz")}
    for after in range(11):
        folder = tmp_path / str(after)
        with pytest.raises(ExportError):
            await publish(database_url, _Breaking(folder, after), Plan(), NOW)
        await publish(database_url, FolderTarget(folder), Plan(), NOW)
        assert {name: sha for name, sha in _files(folder).items() if name.endswith("gz")} == whole
        assert {file["revision"] for file in _manifest(folder).values()} == {1}
        assert list(folder.glob(".export-*")) == []


async def test_of_many_replicas_one_publishes(database_url: str, week: Booker, tmp_path: Path) -> None:
    """The others find the lock taken; it is free again when its holder's connection ends."""
    target = FolderTarget(tmp_path)
    results = await asyncio.gather(*(publish(database_url, target, Plan(), NOW) for _ in range(4)))
    assert sorted(len(files) for files in results if files) == [5]
    assert {file["revision"] for file in _manifest(tmp_path).values()} == {1}
    async with charges_of(database_url) as charges:
        assert await charges.try_lock()
        assert await publish(database_url, target, Plan(), NOW) is None
    assert await publish(database_url, target, Plan(), NOW) == []


async def test_months_are_files_too(database_url: str, week: Booker, tmp_path: Path) -> None:
    """When they are over, and again when a charge comes late. Another plan starts anew."""
    target, plan = FolderTarget(tmp_path), Plan(format="csv", period="month", focus_version="1.4")
    assert await publish(database_url, target, plan, NOW) == []
    december = datetime(2026, 12, 1, 2, tzinfo=UTC)
    assert await publish(database_url, target, plan, december) == [Published("acme/2026-11/2026-11.csv", 1, 6)]
    week.charge("late", time="2026-11-09T05:00:00Z")
    assert await publish(database_url, target, plan, december) == [Published("acme/2026-11/2026-11.csv", 2, 7)]
    assert "ServiceProviderName" in (tmp_path / "acme/2026-11/2026-11.csv").read_text()


async def test_a_day_is_the_orgs_own(database_url: str, booker: Booker, tmp_path: Path) -> None:
    """In Auckland the 14th is over when it is noon in UTC."""
    booker.org("acme", timezone="Pacific/Auckland")
    booker.charge("early", time="2026-11-13T11:00:00Z")
    published = await publish(database_url, FolderTarget(tmp_path), Plan(), datetime(2026, 11, 14, 12, 1, tzinfo=UTC))
    assert [file.name for file in published or []] == ["acme/2026-11/2026-11-14.csv.gz"]


async def test_what_is_published_outlives_what_is_kept(
    database_url: str, week: Booker, execute: Any, tmp_path: Path
) -> None:
    """A late charge of a day whose other charges were dropped does not replace the day's file by a poorer one."""
    target = FolderTarget(tmp_path)
    await publish(database_url, target, Plan(), NOW)
    before = _files(tmp_path)["acme/2026-11/2026-11-09.csv.gz"]
    execute("update sark.storage set charges_kept_from = '2026-11-10Z'")
    week.charge("late", time="2026-11-09T05:00:00Z")
    assert await publish(database_url, target, Plan(), NOW) == []
    assert _files(tmp_path)["acme/2026-11/2026-11-09.csv.gz"] == before


async def test_a_manifest_somebody_spoiled_is_said(database_url: str, week: Booker, tmp_path: Path) -> None:
    """Instead of being believed, or replaced."""
    target = FolderTarget(tmp_path)
    await publish(database_url, target, Plan(), NOW)
    (tmp_path / "acme/state.json").write_text("{")
    with pytest.raises(ExportError, match=r"state\.json"):
        await publish(database_url, target, Plan(), NOW)


@pytest.mark.parametrize(
    "url",
    [
        "/folder",
        "file://host/folder",
        "file://",
        "s3://",
        "ftp://x/y",
        "s3://bucket?endpiont=x",
        "http://x/y",
        "s3:bucket",
    ],
)
def test_a_place_that_cannot_be_is_refused(url: str) -> None:
    """With those that can."""
    with pytest.raises(ConfigurationError, match="file:///folder"):
        target_of(url)


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of a small S3-compatible server with a bucket `costs`."""
    pytest.importorskip("obstore", reason="obstore is not installed")
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-p", str(port)]
    with (tmp_path / "s3.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        try:
            for _ in range(600):
                assert server.poll() is None, (tmp_path / "s3.log").read_text()[-2000:]
                try:
                    assert requests.put(f"{endpoint}/costs", timeout=10).status_code == 200
                    break
                except requests.ConnectionError:
                    time.sleep(0.05)
            yield endpoint
        finally:
            server.terminate()


async def test_a_bucket_gets_the_same_files(database_url: str, booker: Booker, tmp_path: Path, bucket: str) -> None:
    """Byte for byte what a folder gets, again on a second look, and revised; what was published is counted."""
    url = f"s3://costs/focus?endpoint={bucket}&region=us-east-1"
    folder, metrics = FolderTarget(tmp_path / "folder"), Metrics()
    publisher = Publisher(lambda: [database_url], url, Plan(delay_s=0), metrics)
    booker.org()
    booker.charge("first", time=_days_ago(3))
    await publisher.run()
    await publisher.run()
    booker.charge("late", time=_days_ago(3))
    await publisher.run()
    await publish(database_url, folder, Plan(delay_s=0))
    files = {name: sha for name, sha in _files(tmp_path / "folder").items() if name.endswith(".gz")}
    assert len(files) == 3
    for name, sha in files.items():
        assert hashlib.sha256(await target_of(url).read(name) or b"").hexdigest() == sha
    counted = metrics.exposition().decode()
    assert 'sark_export_files_total{kind="new"} 3.0' in counted
    assert 'sark_export_files_total{kind="revised"} 1.0' in counted


async def test_a_bucket_that_is_not_there_is_an_error(database_url: str, week: Booker, bucket: str) -> None:
    """That names it."""
    with pytest.raises(ExportError, match="s3://nowhere"):
        await publish(database_url, target_of(f"s3://nowhere/x?endpoint={bucket}&region=us-east-1"), Plan(), NOW)


def test_the_command_publishes(database_url: str, booker: Booker, tmp_path: Path) -> None:
    """As the service does, for a scheduler of one's own."""
    booker.org()
    booker.charge("first", time=_days_ago(2))
    arguments = ["cost", "publish", "--url", f"file://{tmp_path}", "--delay-s", "0"]
    done = CliRunner().invoke(app, arguments, env={"SARK_DATABASE_URL": database_url, "COLUMNS": "200"})
    assert done.exit_code == 0, done.stderr
    assert f"{_days_ago(2)[:10]}.csv.gz: 1 charges, revision 1" in done.stderr
    assert "2 files published" in done.stderr
