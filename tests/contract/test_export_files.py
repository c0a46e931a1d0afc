"""Exports to files: whole or not there, and continued where they broke off."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fixtures.exports import Booker, table, total
from typer.testing import CliRunner

from sark_opa.cli.commands import app
from sark_opa.errors import SarkError

SARK = [sys.executable, "-m", "sark_opa", "cost"]
NOVEMBER = ["--from", "2026-11-01", "--to", "2026-12-01"]


@dataclass
class Done:
    """How a command ended, and what it said on standard error."""

    returncode: int
    stdout: bytes
    stderr: str


def sark(url: str, *arguments: str, file_bytes_max: int | None = None) -> Done:
    """`sark-opa cost …` in this process, with files of at most so many bytes if told so, as on a disk that fills."""
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    if file_bytes_max is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes_max, unlimited[1]))
    try:
        done = CliRunner().invoke(app, ["cost", *arguments], env={"SARK_DATABASE_URL": url, "COLUMNS": "200"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    if isinstance(done.exception, SarkError):
        return Done(1, done.stdout_bytes, f"{done.exception.code} {done.exception.message}")
    return Done(done.exit_code, done.stdout_bytes, done.stderr)


@pytest.fixture
def many(booker: Booker, execute: Any) -> int:
    """Charges of ten days, 300 a day; how many."""
    booker.org()
    execute(
        "insert into sark.cost_tracking (time, org, request_id, entry, kind, account, path, principal_id, resource_id, "
        "capability_id, estimated_nanousd, held_nanousd, actual_nanousd, late, hold_exceeded, estimated, budget_day) "
        "select t, 'acme', 'r' || row_number() over (), 1, 'charge', 'acme', '{acme}', 'p', 'r', 'c', 0, 0, 7, false, "
        "false, false, t::date from generate_series('2026-11-01Z'::timestamptz, '2026-11-10T23:59:59Z', '288 s') t"
    )
    return 3_000


def test_a_file_is_written_whole(database_url: str, many: int, tmp_path: Path) -> None:
    """It says what it wrote, with the checksum of the file, and leaves nothing beside it."""
    output = tmp_path / "november.csv"
    done = sark(database_url, "export", *NOVEMBER, "--output", str(output))
    assert done.returncode == 0, done.stderr
    rows = table(output.read_bytes())
    assert len(rows) == many
    assert f"{many} charges, {total(rows).normalize():f} USD" in done.stderr
    assert hashlib.sha256(output.read_bytes()).hexdigest() in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["november.csv"]
    piped = subprocess.run(
        [*SARK, "export", *NOVEMBER],
        env=os.environ | {"SARK_DATABASE_URL": database_url},
        capture_output=True,
        check=True,
    )
    assert piped.stdout == output.read_bytes()


@pytest.mark.parametrize("format_", ["csv", "csv.gz"])
def test_a_full_disk_leaves_no_file_and_can_be_resumed(
    database_url: str, many: int, tmp_path: Path, format_: str
) -> None:
    """What is resumed is byte for byte what would have been written at once, though charges came meanwhile."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    asked = ["export", *NOVEMBER, "--format", format_]
    assert sark(database_url, *asked, "--output", str(whole)).returncode == 0
    limit = whole.stat().st_size * 6 // 10
    broken = sark(database_url, *asked, "--output", str(cut), file_bytes_max=limit)
    assert broken.returncode == 1
    assert "export_failed" in broken.stderr
    assert not cut.exists()
    progress = json.loads((tmp_path / "cut.progress").read_text())
    assert 0 < progress["days"] < 10
    other = sark(database_url, *asked, "--focus-version", "1.4", "--output", str(cut), "--resume")
    assert "another export" in other.stderr
    resumed = sark(database_url, *asked, "--output", str(cut), "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert cut.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut", "whole"]
    data = cut.read_bytes() if format_ == "csv" else gzip.decompress(cut.read_bytes())
    assert len(table(data)) == many


def test_a_resumed_export_sees_what_it_saw_first(database_url: str, many: int, booker: Booker, tmp_path: Path) -> None:
    """Charges that were booked after it broke off are not in it; an export from the start has them."""
    output = tmp_path / "cut.csv"
    asked = ["export", *NOVEMBER, "--output", str(output)]
    assert sark(database_url, *asked, file_bytes_max=700_000).returncode == 1
    booker.charge("later", time="2026-11-02T01:00:00Z")
    assert sark(database_url, *asked, "--resume").returncode == 0
    assert len(table(output.read_bytes())) == many
    assert sark(database_url, *asked).returncode == 0
    assert len(table(output.read_bytes())) == many + 1


def test_a_killed_export_leaves_no_file(database_url: str, many: int, execute: Any, tmp_path: Path) -> None:
    """Killed while the database makes it wait; the old file is still there, and a rerun replaces it."""
    output = tmp_path / "november.csv"
    output.write_text("old")
    with subprocess.Popen(
        [*SARK, "export", *NOVEMBER, "--output", str(output)],
        env=os.environ | {"SARK_DATABASE_URL": database_url},
        stderr=subprocess.DEVNULL,
    ) as process:
        ends_at = time.monotonic() + 60
        while not (tmp_path / "november.csv.partial").exists():
            assert time.monotonic() < ends_at
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    assert output.read_text() == "old" or len(table(output.read_bytes())) == many
    assert sark(database_url, "export", *NOVEMBER, "--output", str(output)).returncode == 0
    assert len(table(output.read_bytes())) == many


def test_two_exports_do_not_mix(database_url: str, many: int, tmp_path: Path) -> None:
    """The second one to the same file is told."""
    output = tmp_path / "november.csv"
    with (tmp_path / "november.csv.partial").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        told = sark(database_url, "export", *NOVEMBER, "--output", str(output))
    assert told.returncode == 1
    assert "conflict" in told.stderr


def test_a_file_a_day_with_a_manifest(database_url: str, many: int, tmp_path: Path) -> None:
    """The manifest comes last, and every file is what it says; resuming keeps the days that are done."""
    folder = tmp_path / "days"
    asked = ["export", *NOVEMBER, "--by-day", "--output", str(folder)]
    assert sark(database_url, *asked).returncode == 0
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["rows"], len(manifest["files"])) == (many, 10)
    first = folder / "acme-2026-11-01.csv"
    for file in manifest["files"]:
        assert hashlib.sha256((folder / file["name"]).read_bytes()).hexdigest() == file["sha256"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["manifest.json", *(f["name"] for f in manifest["files"])]
    )
    (folder / "acme-2026-11-05.csv.partial").mkdir()
    broken = sark(database_url, *asked)
    assert broken.returncode == 1
    assert not (folder / "manifest.json").exists()
    (folder / "acme-2026-11-05.csv.partial").rmdir()
    written = first.stat().st_mtime_ns
    assert sark(database_url, *asked, "--resume").returncode == 0
    assert first.stat().st_mtime_ns == written
    again = json.loads((folder / "manifest.json").read_text())
    assert again["files"] == manifest["files"]


def test_what_cannot_be_is_said(database_url: str, many: int, tmp_path: Path) -> None:
    """One message, exit status 1, before anything is written."""
    for arguments, told in [
        (["--by-day"], "--output"),
        (["--from", "2026-11-01", "--to", "2026-11-01"], "zero length"),
        (["--org", "nobody"], "unknown_account"),
        ([*NOVEMBER, "--output", str(tmp_path / "none" / "x.csv")], "No such file"),
    ]:
        done = sark(database_url, "export", *arguments)
        assert (done.returncode, done.stdout) == (1, b""), arguments
        assert told in done.stderr


def test_without_pyarrow_it_says_what_to_install(
    database_url: str, many: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra by its name, and no file."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    output = tmp_path / "x"
    done = sark(database_url, "export", *NOVEMBER, "--format", "parquet", "--output", str(output))
    assert (done.returncode, output.exists()) == (1, False)
    assert "sark-opa[parquet]" in done.stderr


def test_parquet_is_read_by_others(database_url: str, many: int, tmp_path: Path) -> None:
    """In row groups of the size asked for."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    output = tmp_path / "x.parquet"
    done = sark(
        database_url, "export", *NOVEMBER, "--format", "parquet", "--row-group-rows", "1000", "--output", str(output)
    )
    assert done.returncode == 0, done.stderr
    found = parquet.ParquetFile(output)
    assert (found.metadata.num_rows, found.metadata.num_row_groups) == (many, 3)
    assert found.schema_arrow.metadata[b"focus_version"] == b"1.2"
    assert sum(found.read(["BilledCost"])["BilledCost"].to_pylist()) * 10**9 == many * 7
