"""docs/guides/operate.md: its commands run, its figures are the defaults."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from docs.pages import ROOT, blocks, read
from docs.shell import Shell
from fixtures.stack import LiveStack

from sark_opa.opa import server

PAGE = "docs/guides/operate.md"
RUN_OPA, _SPOOL, ROTATE = blocks(PAGE, "sh")  # tests/contract/test_spool.py runs those of the spool


def test_opa_is_run_as_the_code_runs_it() -> None:
    """The flags of the page are those of the local stack and the compose file."""
    shown = [part.split("=", 1) for part in shlex.split(RUN_OPA.text.replace("\\\n", "")) if part.startswith("--")]
    ours = server.command(Path("opa"), bundle=Path("rego"), address="127.0.0.1:8181", config=ROOT / "opa-config.yaml")
    for flag, *value in shown:
        if flag == "--config-file":
            assert (ROOT / value[0]).is_file()
        else:
            assert "=".join([flag, *value]) in ours


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
