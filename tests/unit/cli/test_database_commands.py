"""`sark-opa migrate` and `sark-opa database …` on a real database: what they print, and what they refuse."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner, Result

from sark_opa.cli.commands import app
from sark_opa.errors import ConfigurationError, InvalidInputError, MigrationError


def sark(url: str, *arguments: str) -> Result:
    """Run a command in this process; an error raised on purpose is raised here."""
    environment = {"SARK_DATABASE_URL": url, "COLUMNS": "200"}
    return CliRunner().invoke(app, list(arguments), env=environment, catch_exceptions=False)


def answered(url: str, *arguments: str) -> Any:
    """The JSON a command prints."""
    return json.loads(sark(url, *arguments, "--json").stdout)


def test_migrate_says_what_it_applied(empty_database_url: str) -> None:
    """First everything, then nothing; and with --json."""
    applied = answered(empty_database_url, "migrate", "--tier", "plain")["applied"]
    assert applied[0] == "0001_ledger"
    assert applied[-1] == "functions"
    assert sark(empty_database_url, "migrate").stdout == "the database is up to date\n"
    assert sark(empty_database_url, "migrate", "--print").stdout.endswith("there is nothing to apply.\n")
    status = answered(empty_database_url, "migrate", "--status")
    assert (status["tier"], {step["state"] for step in status["steps"]}) == ("plain", {"applied"})
    assert "0001_ledger" in sark(empty_database_url, "migrate", "--status").stdout
    with pytest.raises(MigrationError, match="is of tier plain, and stays it"):
        sark(empty_database_url, "migrate", "--tier", "apache")


def test_verify_exits_with_1_on_a_difference(empty_database_url: str) -> None:
    """And names it, for people and for machines."""
    pending = sark(empty_database_url, "migrate", "--verify")
    assert (pending.exit_code, "0001_ledger is pending" in pending.stdout) == (1, True)
    sark(empty_database_url, "migrate")
    sound = sark(empty_database_url, "migrate", "--verify")
    assert (sound.exit_code, sound.stdout) == (0, "the schema is as this version makes it\n")
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("drop index sark.holds_overdue")
    (finding,) = answered(empty_database_url, "migrate", "--verify")["findings"]
    assert (finding["subject"], finding["problem"]) == ("index holds_overdue", "is missing")
    assert sark(empty_database_url, "migrate", "--verify").exit_code == 1


def test_migrate_takes_one_wish_at_a_time() -> None:
    """And --print alone needs no database."""
    with pytest.raises(InvalidInputError, match="one of --print, --status and --verify"):
        sark("", "migrate", "--status", "--verify")
    assert "create table sark.accounts" in sark("", "migrate", "--print").stdout
    for option in ("--status", "--verify"):
        with pytest.raises(ConfigurationError, match="SARK_DATABASE_URL"):
            sark("", "migrate", option)


def test_status_names_what_the_summaries_wait_for(database_url: str) -> None:
    """A transaction that wrote and was left open, by its session."""
    with psycopg.connect(database_url, application_name="left-open") as other:
        other.execute("create table other (i integer)")
        status = answered(database_url, "database", "status")
        assert "oldest writer" in sark(database_url, "database", "status").stdout
        assert status["oldest_transaction"]["kind"] == "transaction"
        assert status["oldest_transaction"]["age_s"] >= 0
    assert status["not_applied"] == []
    assert status["storage"]["unfolded_rows"] == 0
    assert status["table_bytes"] > 0


def test_maintain_and_size(database_url: str) -> None:
    """Partitions are made where there are some; every table is listed."""
    tier = answered(database_url, "database", "status")["storage"]["tier"]
    done = answered(database_url, "database", "maintain")
    assert done["partitions_made"] == (7 if tier == "plain" else 0)
    assert "partitions made" in sark(database_url, "database", "maintain").stdout
    size = answered(database_url, "database", "size")
    assert {"cost_tracking", "holds", "daily_costs"} <= {table["name"] for table in size["tables"]}
    assert len(size["weeks"]) == (8 if tier == "plain" else 0)
    assert "week of charges" in sark(database_url, "database", "size").stdout


def test_retain_takes_days_or_for_ever(database_url: str) -> None:
    """Two months at least."""
    assert answered(database_url, "database", "retain", "--charges", "400d")["keep_charges_days"] == 400
    assert sark(database_url, "database", "retain", "--charges", "90").stdout == "charges are kept for 90 days\n"
    assert sark(database_url, "database", "retain", "--charges", "forever").stdout == "charges are kept for ever\n"
    for wrong in ("61d", "0", "-400d", "a year", ""):
        with pytest.raises(InvalidInputError, match="at least 62"):
            sark(database_url, "database", "retain", "--charges", wrong)


def test_rebuild_asks_first(database_url: str) -> None:
    """Where nobody is there to ask, it refuses."""
    with pytest.raises(ConfigurationError, match="give --yes"):
        sark(database_url, "database", "rebuild")
    assert answered(database_url, "database", "rebuild", "--yes") == {"charges": 0}
    assert sark(database_url, "database", "rebuild", "--yes").stdout.startswith("0 charges summed up anew")


def test_grants_need_no_database() -> None:
    """They go to standard output alone, as they are."""
    printed = sark("", "database", "grants", "--service-role", "svc").stdout
    assert 'grant usage on schema sark to "svc", sark_reader;' in printed
