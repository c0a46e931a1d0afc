"""docs/guides/cells.md, followed on a live stack: an organisation gets a database of its own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest
import requests
from docs.pages import Block, blocks, codes, rows, sections
from docs.shell import Shell
from fixtures.moving import killed_at
from fixtures.stack import LiveStack, chat, service_process, soon
from psycopg import conninfo

from sark_opa.cli import main
from sark_opa.errors import OrgMovedError, OrgMovingError
from sark_opa.storage.cells import file
from sark_opa.storage.cells.side import label_of

PAGE = "docs/guides/cells.md"
MOVE, DROP = blocks(PAGE, "sh")


@dataclass(frozen=True)
class Cells:
    """A service whose file names cells, an org at home with one charge, and a database for it."""

    stack: LiveStack
    shell: Shell
    url: str
    cell_url: str
    file: Path

    def typed(self, block: Block, **environment: str) -> str:
        """What a command of the page prints to whoever says yes."""
        urls = {"HOME_OWNER_URL": self.stack.database_url, "ACME_OWNER_URL": self.cell_url}
        (printed,) = self.shell.run([block], answer="y", **urls, **environment)
        return printed

    def command(self, *words: str) -> str:
        """What `sark-opa` prints with the file of this service."""
        settings = {"SARK_DATABASE_URL": self.stack.database_url, "SARK_CELLS_FILE": str(self.file)}
        done = subprocess.run(
            [sys.executable, "-m", "sark_opa", *words],
            env=os.environ | settings | {"COLUMNS": "200"},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def charge(self) -> requests.Response:
        """One more call of the org that is over."""
        return requests.post(
            self.url + "/v1/charges",
            json={
                "request_id": uuid.uuid4().hex,
                "principal": {"id": "ada", "org": self.shell.org},
                "resource": {"id": "openai"},
                "capability": {"id": "chat.completions"},
                "amount_usd": 0.25,
            },
            headers={"Authorization": f"Bearer {self.stack.admin_token}"},
            timeout=30,
        )

    def charges(self, url: str) -> int:
        """How many of the org lie in a database."""
        with psycopg.connect(url) as connection:
            found = connection.execute("select count(*) from sark.cost_tracking where org = %s", (self.shell.org,))
            (count,) = found.fetchone() or (0,)
        return int(count)


@pytest.fixture
def cells(stack: LiveStack, cell_url: str, tmp_path: Path) -> Iterator[Cells]:
    """Before anything is moved."""
    shell, listed = Shell(stack, tmp_path), tmp_path / "cells.yaml"
    listed.write_text("cells: {}\n")
    stack.put_account(shell.org, unknown_principals="create")
    settings = {"SARK_CELLS_FILE": str(listed), "SARK_SPOOL_DIR": str(tmp_path / "spool")}
    with service_process(stack, tmp_path / "log", **settings) as url:
        made = Cells(stack, shell, url, cell_url, listed)
        assert made.charge().status_code == 200
        yield made


def test_an_organisation_gets_a_database_of_its_own(cells: Cells) -> None:
    """Moved, named in the file, deleted at the source, each as the page says."""
    org, home = cells.shell.org, label_of(cells.stack.database_url)
    before = cells.charges(cells.stack.database_url)
    said = cells.typed(MOVE)
    assert f"{org} lives in {label_of(cells.cell_url)} now" in said
    assert "closed for " in said
    kept = cells.charge()
    assert kept.status_code == 202, kept.text

    (line,) = (line for line in said.splitlines() if line.startswith(f"  {org}: "))
    cells.file.write_text(f"cells:\n{line.replace(f'<libpq URL of {label_of(cells.cell_url)}>', cells.cell_url)}\n")
    soon(lambda: cells.charges(cells.cell_url) == before + 1, 30)
    assert cells.charge().status_code == 200
    old = cells.stack.api("PUT", f"/v1/accounts/{org}", {"daily_limit_usd": 1})
    assert (old.status_code, old.json()["code"]) == (503, OrgMovedError.code)

    listed = {line.split()[0]: line for line in cells.command("cells", "list").splitlines()[1:]}
    assert f"{org}: moved, out" in listed[home]
    assert f"  {org}  " in listed[label_of(cells.cell_url)]

    assert "rows of" in cells.typed(DROP)
    assert (cells.charges(cells.stack.database_url), cells.charges(cells.cell_url)) == (0, before + 2)


def test_an_interrupted_move_is_given_up(cells: Cells) -> None:
    """Killed when it had closed the org: calls wait in the spool, until the org goes on where it was."""
    org, home = cells.shell.org, cells.stack.database_url
    before = cells.charges(home)
    killed_at("closed", org, home, cells.cell_url)
    (reason,) = cells.stack.decide(chat("meanwhile", org=org))["reasons"]
    assert reason["code"] == OrgMovingError.code
    assert cells.charge().status_code == 202
    said = cells.typed(replace(MOVE, text=f"{MOVE.text.strip()} --abort"))
    assert said == f"{org} goes on in {label_of(home)}; what was copied is deleted"
    soon(lambda: cells.stack.decide(chat("afterwards", org=org))["allow"], 30)  # services look once a second
    soon(lambda: cells.charges(home) == before + 1, 30)
    assert cells.charges(cells.cell_url) == 0


def test_the_file_is_read_as_printed(tmp_path: Path) -> None:
    """Two orgs in two databases, with the passwords of the environment."""
    (shown,) = blocks(PAGE, "yaml")
    (tmp_path / "cells.yaml").write_text(shown.text)
    read = file.read(tmp_path / "cells.yaml", {"ACME_PASSWORD": "one", "GLOBEX_PASSWORD": "two"})
    found = {org: conninfo.conninfo_to_dict(url) for org, url in read.items()}
    assert {org: (each["host"], each["password"]) for org, each in found.items()} == {
        "acme": ("acme-db", "one"),
        "globex": ("globex-db", "two"),
    }


def test_commands_that_go_to_every_database(
    database_url: str, cell_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the table, with the file: each names both databases."""
    (tmp_path / "cells.yaml").write_text(f"cells: {{acme: '{cell_url}'}}\n")
    monkeypatch.setenv("SARK_DATABASE_URL", database_url)
    monkeypatch.setenv("SARK_CELLS_FILE", str(tmp_path / "cells.yaml"))
    monkeypatch.setenv("COLUMNS", "200")
    (told,) = (row[0] for row in rows(sections(PAGE, "## ")["Say who lives where"]) if "SARK_CELLS_FILE" in row[1])
    words = [words.removeprefix("sark-opa ").split() for words in codes(told)]
    assert words == [["verify"], ["migrate"], ["database", "status"], ["maintain"], ["retain"], ["size"]]
    more = {"retain": ["--charges", "forever"]}
    for command in words:
        inner = command if command[0] in {"verify", "migrate", "database"} else ["database", *command]
        output = io.StringIO()
        monkeypatch.setattr(sys, "argv", ["sark-opa", *inner, *more.get(inner[-1], [])])
        with redirect_stdout(output), pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code in {0, None}, inner
        assert {label_of(database_url), label_of(cell_url)} <= set(output.getvalue().splitlines()), inner
