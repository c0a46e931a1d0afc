"""docs/guides/federate.md, typed as it is printed: two organisations on one machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docs.pages import blocks
from fixtures.database import create_database, drop_database, url_of

from sark_opa.local.stack import free_port

PAGE = "docs/guides/federate.md"
_END = "==== end of example ===="


@pytest.fixture(scope="module")
def printed(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """What each block prints."""
    folder = tmp_path_factory.mktemp("federate")
    databases = [create_database(server_url) for _ in range(2)]
    (program,) = blocks(PAGE, "python")
    (folder / "total.py").write_text(program.typed())
    text = "".join(f"{block.typed()}\necho\necho '{_END}'\n" for block in blocks(PAGE, "sh"))
    text += f"{sys.executable} total.py\necho '{_END}'\n"
    for port in ("8088", "8089"):
        text = text.replace(port, str(free_port()))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SARK_")} | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "ACME_DB": url_of(server_url, databases[0]),
        "GLOBEX_DB": url_of(server_url, databases[1]),
        "COLUMNS": "200",
    }
    # The services end with the shell.
    script = f"trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\n{text}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    try:
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        yield [part.strip() for part in done.stdout.split(_END)[:-1]]
    finally:
        for name in databases:
            drop_database(server_url, name)


def test_the_call_is_booked_on_both_sides(printed: list[str]) -> None:
    """Accepted at the host, settled there, known at home."""
    at_host, charge, at_home = (json.loads(text) for text in _json(printed)[3:6])
    assert (at_host["state"], at_host["direction"]) == ("accepted", "provided")
    assert charge["actual_usd"] == 0.32
    assert (at_home["state"], at_home["direction"], at_home["actual_usd"]) == ("settled", "consumed", 0.32)


def test_the_statements_agree(printed: list[str]) -> None:
    """Stated once by each, taken once by each, no difference, one total."""
    text = "\n".join(printed)
    assert text.count("1 day stated") == text.count("1 statement taken") == 2
    assert "0 differences" in text
    (costs,) = (json.loads(each) for each in _json(printed) if "total_usd" in each)
    assert printed[-1] == "0.32"
    assert (costs["total_usd"], costs["consumed_usd"], costs["local_usd"]) == (0.32, 0.32, 0)


def _json(printed: list[str]) -> list[Any]:
    found = []
    for text in printed:
        lines = re.sub(r"\}\{", "}\n{", text).splitlines()
        found += [line for line in lines if line.startswith("{")]
    return found
