"""Quotas in tokens and in calls, as a gateway and an administrator see them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from fixtures.stack import LiveStack, chat
from typer.testing import CliRunner

from sark_opa.cli.commands import app

QUOTAS = {"tokens": {"daily": 2_000}, "calls": {"daily": 2, "monthly": 50}}


def facts(stack: LiveStack, question: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The facts of a question."""
    answer = stack.api("POST", "/v1/facts", question | {"hold": True} | changes)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = json.loads(answer.text, parse_float=Decimal)
    return found


def test_facts_tell_quotas_and_what_blocks(stack: LiveStack) -> None:
    """A hold counts in every quota above it; the third call is blocked by the quota of two, and so is a look."""
    org = stack.new_org(unknown_principals="create", quotas=QUOTAS)
    budget = facts(stack, chat("a", org=org, principal="ada"))["budget"]
    held = {(quota["unit"], quota["window"]): quota for quota in budget["quotas"]}
    assert set(held) == {("calls", "day"), ("calls", "month"), ("tokens", "day")}
    assert (held["calls", "day"]["held"], held["calls", "day"]["remaining"]) == (1, 1)
    assert held["tokens", "day"]["held"] > 0
    assert (budget["status"], budget["blocked_by"]) == ("ok", None)
    settled = stack.api(
        "POST",
        f"/v1/holds/{budget['hold']['id']}/settle",
        {"usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}},
    )
    assert settled.status_code == 200, settled.text
    used = {(quota["unit"], quota["window"]): quota["used"] for quota in status_of(stack, org)}
    assert used == {("calls", "day"): 1, ("calls", "month"): 1, ("tokens", "day"): 18}

    facts(stack, chat("b", org=org, principal="ada"))
    for question in ({"hold": True}, {"hold": False}):
        refused = facts(stack, chat("c", org=org, principal="ada"), **question)["budget"]
        assert (refused["status"], refused["hold"]) == ("exceeded", None)
        blocked = refused["blocked_by"]
        assert (blocked["account"], blocked["unit"], blocked["window"]) == (org, "calls", "day")
        assert (blocked["limit"], blocked["remaining"], blocked["needed"], blocked["limit_usd"]) == (2, 0, 1, None)
    problem = stack.api(
        "POST", "/v1/holds", {"request_id": "d", "principal": {"id": "ada", "org": org}, "amount_usd": 1}
    )
    assert (problem.status_code, problem.json()["code"], problem.json()["details"]["unit"]) == (
        402,
        "quota_exceeded",
        "calls",
    )


def status_of(stack: LiveStack, org: str) -> list[dict[str, Any]]:
    """Quotas of an account."""
    found: list[dict[str, Any]] = stack.api("GET", f"/v1/accounts/{org}/status").json()["quotas"]
    return found


def test_opa_denies_what_a_quota_has_no_room_for(stack: LiveStack) -> None:
    """The decision names account, unit, window and its end; a preview, which holds nothing, says the same."""
    org = stack.new_org(unknown_principals="create")
    stack.put_account(f"{org}/team/ml", parent=org, quotas={"tokens": {"monthly": 20}})
    question = chat("a", org=org, principal="ada", team="ml")
    for rule in ("preview", "decision"):
        decision = stack.decide(question, rule)
        (reason,) = decision["reasons"]
        assert (decision["allow"], reason["code"]) == (False, "quota_exceeded")
        assert reason["message"].startswith("team ml has 20 of its 20 tokens left this month, this call may use ")
        assert set(reason["details"]) == {"account", "unit", "window", "limit", "remaining", "needed", "resets_at"}
    assert decision["hold"] is None


@pytest.mark.parametrize(
    "quotas",
    [{"tokens": 5}, {"tokens": {"daily": -1}}, {"calls": {"daily": 1.5}}, {"calls": {"daily": "1"}}, {"gpus": {}},
     {"calls": {"weekly": 1}}, {"tokens": {"daily": 10**15 + 1}}],
)  # fmt: skip
def test_quotas_are_whole_numbers_under_their_names(stack: LiveStack, quotas: dict[str, Any]) -> None:
    """Anything else is refused, with its place."""
    answer = stack.api("PUT", "/v1/accounts/quota-faults", {"quotas": quotas})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert answer.json()["errors"][0]["path"].startswith("quotas")


def test_a_file_of_quotas_goes_there_and_back(stack: LiveStack, tmp_path: Any) -> None:
    """Applied, shown by status in their unit, exported to the same file; a change is named; pruning ends them."""
    org = stack.new_org()

    def run(*arguments: str) -> str:
        environment = {"SARK_TOKEN": stack.admin_token, "COLUMNS": "160"}
        result = CliRunner().invoke(app, ["budget", *arguments, "--url", stack.service_url], env=environment)
        assert result.exit_code == 0, (result.output, result.exception)
        return result.output

    file = tmp_path / "budgets.yaml"
    text = (
        "version: 1\ntemplates:\n  small: {quotas: {calls: {daily: 7}}}\norgs:\n  ORG:\n    daily_limit_usd: 5\n"
        "    quotas: {tokens: {daily: 2000000}}\n    teams:\n      ml: {extends: small}\n"
    )
    file.write_text(text.replace("ORG", org))
    planned = run("apply", "-f", str(file), "--plan")
    assert "    quotas.tokens.daily: none -> 2000000\n" in planned
    assert "    quotas.calls.daily: 7\n" in planned
    run("apply", "-f", str(file), "--yes")
    lines = run("status", org).splitlines()
    assert [line.split()[:3] for line in lines if "tokens" in line] == [["day", "2,000,000", "tokens"]]
    assert [line.split()[:3] for line in lines if "calls" in line] == [["day", "7", "calls"]]
    exported = tmp_path / "exported.yaml"
    run("export", org, "-o", str(exported))
    assert run("apply", "-f", str(exported), "--plan", "--prune") == "plan: 2 as they are to be\n"
    file.write_text(text.replace("ORG", org).replace("    teams:\n      ml: {extends: small}\n", ""))
    unmanaged = run("apply", "-f", str(file), "--plan")
    assert f"    {org}/team/ml: 7 calls a day\n" in unmanaged
    run("apply", "-f", str(file), "--yes", "--prune")
    assert [quota["account"] for quota in status_of(stack, f"{org}/team/ml")] == [org]
