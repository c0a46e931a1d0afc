"""The command line on a real database: what it prints, what it changes, how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from sark_opa.cli import run
from sark_opa.cli.commands import app

SARK = [sys.executable, "-m", "sark_opa"]
COMMANDS = [*sorted(get_command(app).commands), "token create", "token list", "token revoke"]  # type: ignore[attr-defined]  # a group


def sark(*arguments: str, database_url: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user would; nothing of this process's own settings is inherited."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SARK_")}
    given = {"SARK_DATABASE_URL": database_url} if database_url else {}
    return subprocess.run(
        [*SARK, *arguments],
        env=inherited | given | {"COLUMNS": "200"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    """`--help` says what it does and what it takes."""
    told = sark(*command.split(), "--help")
    assert (told.returncode, told.stderr) == (0, "")
    assert "Usage:" in told.stdout
    lines = [line.strip() for line in told.stdout.splitlines() if line.strip()]
    assert lines[1][0].isupper(), "a sentence follows the usage"


def test_no_command_is_a_list_of_commands() -> None:
    """And the version is one line."""
    assert "migrate" in sark().stdout
    assert sark("--version").stdout.startswith("sark-opa ")


@pytest.mark.parametrize("command", [["migrate"], ["verify"], ["token", "list"]])
def test_without_a_database_it_says_what_to_give(command: list[str]) -> None:
    """The option and the variable, and exit status 1."""
    ended = sark(*command)
    assert ended.returncode == 1
    assert "--database-url" in ended.stderr
    assert "SARK_DATABASE_URL" in ended.stderr


@pytest.mark.parametrize(
    ("url", "told"),
    [("postgresql://127.0.0.1:9/none", "database_unavailable"), ("nonsense://", "SARK_DATABASE_URL")],
)
def test_a_database_that_is_not_there_is_one_message(url: str, told: str) -> None:
    """No trace, and the password is not shown."""
    ended = sark("verify", database_url=url)
    assert ended.returncode == 1
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


def test_migrate_twice(empty_database_url: str) -> None:
    """The second time finds nothing to do; a service refuses an empty database by name."""
    served = sark("serve", database_url=empty_database_url, SARK_PORT="0")
    assert served.returncode == 1
    assert "sark-opa migrate" in served.stderr
    first, second = sark("migrate", database_url=empty_database_url), sark("migrate", database_url=empty_database_url)
    assert "applied 0001_ledger" in first.stdout
    assert second.stdout.strip() == "the database is up to date"


def test_verify_tells_what_does_not_hold(database_url: str, execute: Callable[..., Any]) -> None:
    """Exit status 0 on a sound ledger; 1 and the invariant's name on one that was tampered with."""
    assert sark("verify", database_url=database_url).stdout.strip() == "every invariant is true"
    execute("drop trigger cost_tracking_no_truncate on sark.cost_tracking")
    found = sark("verify", database_url=database_url)
    assert found.returncode == 1
    assert "I9_guarded" in found.stdout


def test_a_token_is_printed_once_and_stored_hashed(database_url: str, execute: Callable[..., Any]) -> None:
    """Made, listed without its text, revoked; a second revocation says that there is none."""
    token = sark("token", "create", "gateway", "--role", "settle", "--days", "30", database_url=database_url).stdout
    assert token.startswith("sark_")
    assert token.count("\n") == 1
    stored = str(execute("select * from sark.access_tokens"))
    assert token.strip() not in stored
    listed = sark("token", "list", database_url=database_url).stdout
    assert "gateway" in listed
    assert "settle" in listed
    assert token.strip() not in listed
    assert sark("token", "revoke", "gateway", database_url=database_url).returncode == 0
    again = sark("token", "revoke", "gateway", database_url=database_url)
    assert again.returncode == 1
    assert "gateway" in again.stderr


def test_a_role_nobody_has_is_refused() -> None:
    """With the roles there are."""
    ended = sark("token", "create", "x", "--role", "god")
    assert ended.returncode == 2
    assert "admin" in ended.stderr


def test_doctor_looks_at_every_part(database_url: str) -> None:
    """All well: 0. A database that does not answer: 1, and the other parts are still told."""
    well = sark("doctor", database_url=database_url)
    assert well.returncode == 0, well.stdout
    assert [line.split()[0] for line in well.stdout.splitlines()] == ["ok"] * len(well.stdout.splitlines())
    ill = sark("doctor", database_url="postgresql://127.0.0.1:9/none")
    assert ill.returncode == 1
    assert "fails PostgreSQL" in ill.stdout
    assert "OPA" in ill.stdout


@pytest.mark.parametrize(
    ("variable", "value"),
    [("SARK_PORT", "eighty"), ("SARK_POOL_SIZE_MAX", "0"), ("SARK_LOG_LEVEL", "loud"), ("SARK_SOCKET_MODE", "rw")],
)
def test_a_wrong_setting_is_named(variable: str, value: str) -> None:
    """Before anything is opened."""
    ended = sark("serve", database_url="postgresql://127.0.0.1:9/none", **{variable: value})
    assert ended.returncode == 1
    assert variable in ended.stderr
    assert "Traceback" not in ended.stderr


def test_settings_prints_each_variable() -> None:
    """With its default, and `required` where there is none."""
    lines = sark("settings").stdout.splitlines()
    rows = {line.split()[0]: line for line in lines if line.startswith("SARK_")}
    assert "required" in rows["SARK_DATABASE_URL"]
    assert "8088" in rows["SARK_PORT"]
    assert "()" not in rows["SARK_PLUGINS"]


def test_a_message_is_told_as_it_is(tmp_path: Path) -> None:
    """Brackets are no markup, and no line is broken: it may be searched for."""
    path = tmp_path / "[red] a [/nothing] and a name that is longer than a narrow terminal is wide.yaml"
    ended = sark("serve", database_url="postgresql://127.0.0.1:9/none", SARK_PRICES_FILE=str(path), COLUMNS="40")
    assert ended.returncode == 1
    assert str(path) in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_listed_name_can_be_revoked(database_url: str) -> None:
    """Names are listed whole, however long and however odd."""
    name = "[bold]gateway of the team that looks after everything [/x]"
    assert sark("token", "create", name, "--role", "facts", database_url=database_url).returncode == 0
    listed = sark("token", "list", database_url=database_url, COLUMNS="60").stdout
    column = "".join(line[: line.index("  ")] if "  " in line else line for line in listed.splitlines()[1:])
    assert column.replace(" ", "") == name.replace(" ", "")
    revoked = sark("token", "revoke", name, database_url=database_url, COLUMNS="40")
    assert revoked.stdout == f"revoked {name}\n"


def test_doctor_looks_at_the_embedded_server_too() -> None:
    """Where no other is given."""
    well = sark("doctor")
    assert well.returncode == 0, well.stdout
    assert "ok    PostgreSQL: embedded" in well.stdout


def test_doctor_says_what_to_do_about_an_empty_database(empty_database_url: str) -> None:
    """The server is well, the ledger is not."""
    ill = sark("doctor", database_url=empty_database_url)
    assert ill.returncode == 1
    assert "ok    PostgreSQL" in ill.stdout
    assert "fails ledger" in ill.stdout
    assert "sark-opa migrate" in ill.stdout


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        ([], {}, "create"),
        ([], {"SARK_UNKNOWN_ORGS": "deny"}, "deny"),
        (["--unknown-orgs", "create"], {"SARK_UNKNOWN_ORGS": "deny"}, "create"),
    ],
)
def test_up_keeps_what_the_user_has_set(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], environment: dict[str, str], expected: str
) -> None:
    """Its own default is for who has not decided; an option wins over the variable."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(run, "up", lambda **options: given.update(options))
    monkeypatch.delenv("SARK_UNKNOWN_ORGS", raising=False)
    ended = CliRunner().invoke(app, ["up", *arguments], env=environment)
    assert ended.exit_code == 0, ended.output
    assert given["settings"]["SARK_UNKNOWN_ORGS"] == expected


def test_folders_of_plugins_are_made_absolute() -> None:
    """Names are those of bundled ones."""
    here = Path.cwd()
    assert run.absolute_plugins(" rate_limit, ./mine,../other ,a/b,") == (
        f"rate_limit,{here / 'mine'},{here.parent / 'other'},{here / 'a/b'}"
    )
