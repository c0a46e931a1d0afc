"""`sark-opa up` as its user sees it: where it keeps things, what it says, how it stops."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from fixtures.stack import chat, up

READY = {"service_url", "opa_url", "database_url", "admin_token", "facts_token", "settle_token"}


def _command(folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "sark_opa", "up", "--data", str(folder), "--port", "0", "--opa-port", "0", *options]


def _run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(_command(folder, *options), capture_output=True, text=True, timeout=120, check=False)


def test_the_ready_file_says_where_everything_is(tmp_path: Path) -> None:
    """Exactly the promised names, readable by its owner only, and gone when the stack is."""
    with up(tmp_path) as stack:
        file = tmp_path / "ready.json"
        assert set(json.loads(file.read_text())) == READY
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE((stack.data / "tokens.json").stat().st_mode) == 0o600
    assert not file.exists()


def test_the_same_folder_again_is_the_same_ledger(tmp_path: Path) -> None:
    """Tokens, budgets and holds outlive the stack."""
    with up(tmp_path) as first:
        first.put_account("acme", daily_limit_usd=7, unknown_principals="create")
        held = first.decide(chat("kept", org="acme"))["hold"]
        token = first.admin_token
    with up(tmp_path) as second:
        assert second.admin_token == token
        assert second.api("GET", "/v1/accounts/acme").json()["daily_limit_usd"] == 7
        assert second.decide(chat("kept", org="acme"))["hold"]["id"] == held["id"]


def test_a_database_of_ones_own_is_used(tmp_path: Path, database_url: str) -> None:
    """SARK_DATABASE_URL wins over the embedded server, which is then never made."""
    with up(tmp_path, env={"SARK_DATABASE_URL": database_url}) as stack:
        assert stack.database_url == database_url
        org = stack.new_org()
        assert stack.decide(chat("elsewhere", org=org))["allow"]
        assert not (stack.data / "postgres").exists()


def test_plugins_are_on_only_when_named(tmp_path: Path) -> None:
    """By name of a bundled one, or by folder."""
    folder = Path(__file__).parents[2] / "plugins" / "rate_limit"
    with up(tmp_path, "--plugins", f"business_hours,{folder}") as stack:
        listed = stack.api("GET", "/v1/plugins").json()["plugins"]
        assert {plugin["name"] for plugin in listed} == {"business_hours", "rate_limit"}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--plugins", "no_such_plugin"], "no bundled plugin 'no_such_plugin'"),
        (["--plugins", "./no/such/folder"], "no/such/folder"),
        (["--prices", "/no/such/prices.yaml"], "prices.yaml"),
    ],
)
def test_what_cannot_start_says_why(tmp_path: Path, options: list[str], told: str) -> None:
    """One message that names what is wrong, exit status 1, nothing left running."""
    ended = _run(tmp_path, *options)
    assert ended.returncode == 1
    assert told in ended.stdout + ended.stderr
    assert "Traceback (most recent call last)" not in ended.stderr
    assert [p.pid for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(p.info["cmdline"] or [])] == []


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    """With the option to give another one by."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = _run(tmp_path, "--opa-port", str(port))
    assert ended.returncode == 1
    assert f"port {port} is taken" in ended.stdout + ended.stderr
    assert "--opa-port" in ended.stdout + ended.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("when", ["while starting", "when ready"])
def test_it_stops_cleanly_whenever_it_is_told(tmp_path: Path, number: signal.Signals, when: str) -> None:
    """Exit status 0, and no process of it is left, however far it had come."""
    process = subprocess.Popen(
        _command(tmp_path),
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    told = iter(process.stdout)
    line = next(told)
    while when == "when ready" and "ready" not in line:
        line = next(told)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert "Traceback" not in output
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
