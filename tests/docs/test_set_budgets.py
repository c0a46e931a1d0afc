"""docs/guides/set-budgets.md, followed step by step on a live stack."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from docs.pages import blocks
from docs.shell import Shell
from fixtures.stack import LiveStack, chat

PAGE = "docs/guides/set-budgets.md"


@pytest.fixture(scope="module")
def followed(stack: LiveStack, tmp_path_factory: pytest.TempPathFactory) -> tuple[Shell, list[str]]:
    """Everything typed as printed, and what came back."""
    shell = Shell(stack, tmp_path_factory.mktemp("budgets"))
    return shell, shell.run(blocks(PAGE, "sh"), SARK_DATABASE_URL=stack.database_url)


def test_the_status_reads_as_printed(followed: tuple[Shell, list[str]]) -> None:
    """The table of step 4, but for the width of names."""
    shell, printed = followed
    (shown,) = blocks(PAGE, "text")
    expected = [line.split() for line in shell.translated(shown.text).splitlines()]
    output = next(text for text in printed if "spent 0, held 0" in text)
    assert [line.split() for line in output.splitlines()] == expected


def test_every_put_is_taken(followed: tuple[Shell, list[str]]) -> None:
    """Each answers the account with what was set."""
    accounts: list[dict[str, Any]] = [json.loads(text) for text in followed[1] if text.startswith("{")]
    assert [account["name"].partition("/")[2] for account in accounts] == [
        "", "team/ml", "principal/user-123", "team/web", "team/ml", "team/ml",
    ]  # fmt: skip
    assert accounts[0]["default_limits"]["daily_limit_usd"] == 5
    assert accounts[2]["parent"] == accounts[1]["name"]
    assert accounts[3]["enforcement"] == "shadow"
    assert accounts[4]["on_expiry"] == "release"


def test_the_file_is_applied_and_its_export_changes_nothing(followed: tuple[Shell, list[str]]) -> None:
    """The plan shows who is new; the export is applied without a change, or the shell would have stopped."""
    shell, printed = followed
    planned = next(text for text in printed if "applied: " in text)
    assert f"+ {shell.org}/principal/user-124" in planned
    assert f"{shell.org}/team/web" in planned
    assert any(text.startswith("plan: ") and text.endswith("as they are to be") for text in printed)


def test_the_raise_and_the_split_are_as_told(followed: tuple[Shell, list[str]], stack: LiveStack) -> None:
    """The team has fifty more for a while, and its lead has given all of its hundred away."""
    shell, printed = followed
    assert any("launch week" in text for text in printed)
    (day, _), *_ = [
        row["windows"]
        for row in stack.api("GET", f"/v1/budgets/status?account={shell.org}/team/ml").json()["budgets"]
        if row["account"] == f"{shell.org}/team/ml"
    ]
    assert day["limit_usd"] == 150
    rows = stack.api("GET", f"/v1/budgets?account={shell.org}/team/ml").json()["accounts"]
    below = [row["daily_limit_usd"] for row in rows if row["parent"] == f"{shell.org}/team/ml"]
    assert below == [40, 60]


def test_somebody_new_gets_the_default_limits(followed: tuple[Shell, list[str]], stack: LiveStack) -> None:
    """Below the team the gateway names, in the org's time zone."""
    org = followed[0].org
    decision = stack.decide(chat("new", org=org, principal="newcomer", team="web"))
    assert decision["allow"]
    first, *_ = decision["budget"]["accounts"]
    assert (first["account"], first["limit_usd"]) == (f"{org}/principal/newcomer", 5)
    assert [row["account"] for row in decision["budget"]["accounts"][2:3]] == [f"{org}/team/web"]


def test_the_queries_say_where_the_money_went(followed: tuple[Shell, list[str]], stack: LiveStack) -> None:
    """By model, by team, and everybody's standing, after one settled call."""
    shell, _ = followed
    decision = stack.decide(chat("spent", org=shell.org, principal="user-123"))
    path = decision["obligations"][0]["href"]
    usage = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}
    assert stack.api("POST", path, {"usage": usage}).status_code == 200
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        by_model, by_team, standing = (
            connection.execute(shell.translated(block.typed())).fetchall()  # type: ignore[arg-type]  # our own page
            for block in blocks(PAGE, "sql")
        )
    assert [(row[:3], float(row[3])) for row in by_model] == [(("openai", "gpt-4o", 1), 0.000225)]
    assert [(row[0], float(row[1])) for row in by_team] == [(f"{shell.org}/team/ml", 0.000225)]
    assert "user-123" in {row[0] for row in standing}


def test_a_refused_call_holds_nothing_and_may_be_asked_again(stack: LiveStack) -> None:
    """Under the same request_id, once the limit is raised."""
    org = stack.new_org(daily_limit_usd=0.0001)
    assert [reason["code"] for reason in stack.decide(chat("again", org=org))["reasons"]] == ["budget_exceeded"]
    stack.put_account(org, unknown_principals="create", daily_limit_usd=1)
    assert stack.decide(chat("again", org=org))["allow"]
