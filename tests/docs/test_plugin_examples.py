"""The README of each plugin that ships: its commands run."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from docs.pages import ROOT, blocks
from fixtures.stack import up

NAMES = sorted(path.parent.name for path in (ROOT / "plugins").glob("*/README.md"))


@pytest.mark.parametrize("name", NAMES)
def test_its_commands_run(name: str, database_url: str, tmp_path: Path) -> None:
    """Beside the folder of plugins; a stack is started on free ports, and stopped once it has the plugin."""
    (tmp_path / "plugins").symlink_to(ROOT / "plugins")
    printed = ""
    for block in blocks(f"plugins/{name}/README.md", "bash"):
        for line in block.typed().splitlines():
            if line.startswith("sark-opa up "):
                words = [str(tmp_path / word) if word.endswith(".yaml") else word for word in shlex.split(line)[2:]]
                with up(tmp_path, *words, env={"SARK_DATABASE_URL": database_url}) as stack:
                    (listed,) = stack.api("GET", "/v1/plugins").json()["plugins"]
                    assert (listed["name"], listed["state"]) == (name, "running")
            else:
                printed += typed(line, tmp_path)
    assert printed.strip().endswith(", 0 failed")


def typed(line: str, folder: Path) -> str:
    """What a command prints in a folder."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        cwd=folder,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
