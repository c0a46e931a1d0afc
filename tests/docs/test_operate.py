"""docs/guides/operate.md: its commands run, its figures are the defaults."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import requests
from docs.pages import ROOT, blocks, read
from docs.shell import Shell
from fixtures.opa import RunningOpa, wait_for
from fixtures.stack import LiveStack, chat

from sark_opa.local.stack import free_port
from sark_opa.opa import server
from sark_opa.storage.spool import Entry, Refusal
from sark_opa.storage.spool.file import SpoolFile

PAGE = "docs/guides/operate.md"
RUN_OPA, SPOOL, ROTATE = blocks(PAGE, "sh")


def test_opa_is_run_as_the_code_runs_it() -> None:
    """The flags of the page are those of the local stack and the compose file."""
    shown = [part.split("=", 1) for part in shlex.split(RUN_OPA.text.replace("\\\n", "")) if part.startswith("--")]
    ours = server.command(Path("opa"), bundle=Path("rego"), address="127.0.0.1:8181", config=ROOT / "opa-config.yaml")
    for flag, *value in shown:
        if flag == "--config-file":
            assert (ROOT / value[0]).is_file()
        else:
            assert "=".join([flag, *value]) in ours


def test_opa_decides_when_it_is_run_so(stack: LiveStack, opa_binary: Path, tmp_path: Path) -> None:
    """In the folder of the bundle, told by its environment where the service is."""
    (tmp_path / "opa").symlink_to(opa_binary)
    address = f"127.0.0.1:{free_port()}"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-euc", "exec " + RUN_OPA.typed().replace("127.0.0.1:8181", address)],
            cwd=ROOT,
            env=os.environ
            | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
            | {"SARK_SERVICE_URL": stack.service_url, "SARK_FACTS_TOKEN": stack.facts_token},
            stdout=log,
            stderr=log,
        )
    try:
        wait_for(RunningOpa(f"http://{address}", tmp_path / "log"), process)
        asked = {"input": chat("by-hand", org=stack.new_org())}
        decided = requests.post(f"http://{address}/v1/data/sark/authz/decision", json=asked, timeout=30).json()
        assert decided["result"]["allow"], decided
    finally:
        process.terminate()
        process.wait(20)


def test_a_refused_entry_is_listed_retried_and_dropped(stack: LiveStack, database_url: str, tmp_path: Path) -> None:
    """The commands of the spool, on a folder no service uses any more."""
    with SpoolFile(tmp_path / "spool", bytes_max=2**20, locked=True) as file:
        (kept,) = file.put([Entry.received("settle", "acme", "lost", fingerprint=b"", body=b"{}")])
        assert kept is not None
        file.finish([], [(kept.number, Refusal("unknown_hold", "No such hold.", datetime.now(UTC)))])
    example = replace(SPOOL, text=SPOOL.typed().replace("ID", kept.spool_id))
    settings = {"SARK_DATABASE_URL": database_url, "SARK_SPOOL_DIR": str(tmp_path / "spool"), "COLUMNS": "200"}
    (printed,) = Shell(stack, tmp_path).run([example], **settings)
    assert printed.count("unknown_hold") == 2
    assert f"{kept.spool_id} waits again" in printed
    assert '"request_id":"lost"' in printed
    assert printed.endswith("0 waiting, 0 refused")


def test_tokens_are_rotated_as_printed(stack: LiveStack, tmp_path: Path) -> None:
    """The second works beside the first until the first is revoked."""
    environment = {"SARK_DATABASE_URL": stack.database_url, "COLUMNS": "120"}
    command = [sys.executable, "-m", "sark_opa", "token", "create", "gateway", "--role", "settle"]
    subprocess.run(command, env=os.environ | environment, check=True, capture_output=True)
    try:
        (printed,) = Shell(stack, tmp_path).run([ROTATE], **environment)
        token, *listed, said = printed.splitlines()
        assert token.startswith("sark_")
        assert said == "revoked gateway"
        assert {"gateway", "gateway-2"} <= {line.split()[0] for line in listed}
    finally:
        command = [sys.executable, "-m", "sark_opa", "token", "revoke", "gateway-2"]
        subprocess.run(command, env=os.environ | environment, check=False, capture_output=True)


def test_the_figures_of_the_page_are_the_defaults() -> None:
    """Timeouts and limits stand in settings, configuration and the sandbox's limits."""
    page = read(PAGE)
    config = read("rego/sark/config/data.json")
    assert '"timeout": "2s"' in config
    assert "`timeout` (2 s)" in page
    assert '"deadline_ms": 1500' in config
    assert "deadline (1.5 s)" in page
