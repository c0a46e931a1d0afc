"""Budgets as a whole over HTTP: planned, applied, listed, split, raised."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from fixtures.scoped import tokens_for
from fixtures.stack import LiveStack, chat


def post(stack: LiveStack, path: str, body: Any, token: str | None = None) -> tuple[int, dict[str, Any]]:
    """Status and body of an answer."""
    answer = stack.api("POST", f"/v1/budgets/{path}", body, token=token)
    return answer.status_code, json.loads(answer.text, parse_float=Decimal)


def wanted(org: str, **team: Any) -> list[dict[str, Any]]:
    """An org, its team, and one member."""
    return [
        {"name": org, "settings": {"daily_limit_usd": 100, "timezone": "Asia/Tokyo", "unknown_principals": "create"}},
        {"name": f"{org}/team/ml", "parent": org, "settings": {"daily_limit_usd": 50} | team},
        {"name": f"{org}/principal/ada", "parent": f"{org}/team/ml", "settings": {"daily_limit_usd": 5}},
    ]


def test_a_plan_is_made_applied_and_then_empty(stack: LiveStack) -> None:
    """It writes nothing, says what it would do, is applied by its revision, and is recorded with its author."""
    org = "plan-a"
    status, plan = post(stack, "plan", {"accounts": wanted(org)})
    assert status == 200
    assert [(change["account"], change["action"]) for change in plan["changes"]] == [
        (org, "create"), (f"{org}/team/ml", "create"), (f"{org}/principal/ada", "create"),
    ]  # fmt: skip
    assert stack.api("GET", f"/v1/accounts/{org}").status_code == 404
    status, applied = post(stack, "apply", {"accounts": wanted(org), "revision": plan["revision"]})
    assert (status, applied["applied"], applied["changes"]) == (200, True, plan["changes"])
    ada = stack.api("GET", f"/v1/accounts/{org}/principal/ada").json()
    assert (ada["parent"], ada["timezone"], ada["daily_limit_usd"]) == (f"{org}/team/ml", "Asia/Tokyo", 5)
    status, again = post(stack, "plan", {"accounts": wanted(org)})
    assert (again["changes"], again["unchanged"], again["unmanaged"]) == ([], 3, [])
    (event,) = stack.api("GET", f"/v1/audit?subject={org}/team/ml").json()["events"]
    assert (event["action"], event["details"]["plan"]) == ("account.put", plan["revision"])


def test_a_plan_that_is_old_is_refused_whole(stack: LiveStack) -> None:
    """Someone edited, or made, one of its accounts; nothing of it is done, and who tried is on record."""
    org = stack.new_org(daily_limit_usd=1)
    body = {"accounts": wanted(org)}
    _, plan = post(stack, "plan", body)
    stack.put_account(f"{org}/team/ml", daily_limit_usd=49)
    status, problem = post(stack, "apply", body | {"revision": plan["revision"]})
    assert (status, problem["code"]) == (409, "plan_outdated")
    assert stack.api("GET", f"/v1/accounts/{org}").json()["daily_limit_usd"] == 1
    _, plan = post(stack, "plan", body)
    assert [change["fields"] for change in plan["changes"][1:2]] == [["daily_limit_usd", "timezone"]]
    assert post(stack, "apply", body | {"revision": plan["revision"]})[0] == 200
    assert post(stack, "apply", body | {"revision": plan["revision"]})[1]["code"] == "plan_outdated"
    refused = stack.api("GET", "/v1/audit?action=budgets.apply&limit=1").json()["events"][0]
    assert (refused["outcome"], refused["code"]) == ("refused", "plan_outdated")


def test_of_two_who_apply_at_once_one_wins(stack: LiveStack) -> None:
    """Both planned on the same tree; the second is told, whoever it is."""
    org = stack.new_org()
    bodies = [{"accounts": wanted(org, daily_limit_usd=limit)} for limit in (10, 20)]
    plans = [post(stack, "plan", body)[1] for body in bodies]
    with ThreadPoolExecutor(2) as both:
        answers = list(
            both.map(
                lambda pair: post(stack, "apply", pair[0] | {"revision": pair[1]["revision"]}),
                zip(bodies, plans, strict=True),
            )
        )
    assert sorted(status for status, _ in answers) == [200, 409]
    won = [status for status, _ in answers].index(200)
    assert stack.api("GET", f"/v1/accounts/{org}/team/ml").json()["daily_limit_usd"] == (10, 20)[won]


def test_what_is_not_stated_is_left_or_reset(stack: LiveStack) -> None:
    """Listed; with prune, its limits become those it would have come up with; it is never removed."""
    org = stack.new_org(unknown_principals="create", default_limits={"daily_limit_usd": 3})
    stack.put_account(f"{org}/team/old", daily_limit_usd=7, enforcement="warn")
    stack.put_account(f"{org}/principal/eve", daily_limit_usd=9, timezone="Asia/Tokyo")
    assert stack.decide(chat("known", org=org, principal="came-up"))["allow"]
    settings = {"unknown_principals": "create", "default_limits": {"daily_limit_usd": 3}}
    body = {"accounts": [{"name": org, "settings": settings}]}
    _, plan = post(stack, "plan", body)
    assert [account["name"] for account in plan["unmanaged"]] == [f"{org}/principal/eve", f"{org}/team/old"]
    assert plan["changes"] == []
    body["prune"] = True  # type: ignore[assignment]
    _, plan = post(stack, "plan", body)
    limits = [(change["account"], change["action"], change["after"]["daily_limit_usd"]) for change in plan["changes"]]
    assert limits == [(f"{org}/principal/eve", "reset", 3), (f"{org}/team/old", "reset", None)]
    assert post(stack, "apply", body | {"revision": plan["revision"]})[0] == 200
    old = stack.api("GET", f"/v1/accounts/{org}/team/old").json()
    assert (old["daily_limit_usd"], old["enforcement"]) == (None, "warn")


def test_a_plan_warns(stack: LiveStack) -> None:
    """Of a limit above what its parent has, and of one that is used up already."""
    org = stack.new_org()
    body = {"request_id": "r", "principal": {"id": "ada", "org": org}, "amount_usd": 30}
    body |= {"resource": {"id": "x"}, "capability": {"id": "y"}}
    assert stack.api("POST", "/v1/charges", body, token=stack.settle_token).status_code == 200
    accounts = [
        {"name": org, "settings": {"daily_limit_usd": 10, "monthly_limit_usd": 1}},
        {"name": f"{org}/team/ml", "parent": org},
        {"name": f"{org}/principal/bob", "parent": f"{org}/team/ml", "settings": {"daily_limit_usd": 11}},
    ]
    _, plan = post(stack, "plan", {"accounts": accounts})
    assert [(warning["code"], warning["account"]) for warning in plan["warnings"]] == [
        ("above_parent", f"{org}/principal/bob"), ("already_used", org), ("already_used", org),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "accounts",
    [
        [],
        [{"name": "bad"}],
        [{"name": "bad", "settings": {}}, {"name": "bad", "settings": {}}],
        [{"name": "bad/team/a", "parent": "bad", "settings": {}}, {"name": "bad", "settings": {}}],
        [{"name": "bad", "settings": {"daily_limit_usd": -1}}],
        [{"name": "bad", "settings": {"timezone": "Mars/Base"}}],
        [{"name": "bad", "settings": {"limit": 1}}],
        [{"name": "bad", "parent": "bad", "settings": {}}],
        [{"name": "bad/x/a", "settings": {}}],
    ],
)
def test_a_plan_of_nonsense_is_refused(stack: LiveStack, accounts: Any) -> None:
    """With the field, and without a trace."""
    status, problem = post(stack, "plan", {"accounts": accounts})
    if status == 200:  # what only the whole step can tell
        status, problem = post(stack, "apply", {"accounts": accounts, "revision": problem["revision"]})
    assert (status, problem["code"]) == (422, "invalid_input")
    assert stack.api("GET", "/v1/accounts/bad").status_code == 404


def test_budgets_are_listed_in_pages(stack: LiveStack) -> None:
    """By name, an account and all below it, each once; settings and standing alike."""
    org = stack.new_org(daily_limit_usd=10)
    for number in range(5):
        stack.put_account(f"{org}/team/t{number}", daily_limit_usd=number)
    for path, key, name in (("", "accounts", "name"), ("/status", "budgets", "account")):
        found, after = [], None
        while True:
            query = f"?account={org}&limit=4" + (f"&after={after}" if after else "")
            page = stack.api("GET", f"/v1/budgets{path}{query}").json()
            assert key in page, page
            found += [row[name] for row in page[key]]
            after = page["next_after"]
            if after is None:
                break
        assert found == [org, *(f"{org}/team/t{number}" for number in range(5))]
    (row,) = stack.api("GET", f"/v1/budgets/status?account={org}/team/t3").json()["budgets"]
    assert (row["parent"], row["windows"][0]["limit_usd"]) == (org, 3)
    assert stack.api("GET", f"/v1/budgets?account={org}/team/none").json()["code"] == "unknown_account"


def test_a_lead_sees_and_splits_one_team(stack: LiveStack) -> None:
    """Nothing above, nothing beside; a plan of the team states its members, and the rest is only a place."""
    org = stack.new_org(daily_limit_usd=100)
    ml = f"{org}/team/ml"
    stack.put_account(ml, daily_limit_usd=50)
    stack.put_account(f"{org}/team/web", daily_limit_usd=50)
    lead, report = tokens_for(stack, ("budget", ml), ("report", ml))
    members = [{"name": f"{org}/principal/m{n}", "parent": ml, "settings": {"daily_limit_usd": 25}} for n in range(2)]
    body = {"accounts": [{"name": org}, {"name": ml, "parent": org}, *members]}
    _, plan = post(stack, "plan", body, lead)
    assert [change["action"] for change in plan["changes"]] == ["create", "create"]
    assert plan["unmanaged"] == []
    assert post(stack, "apply", body | {"revision": plan["revision"]}, lead)[0] == 200
    third = f"/v1/accounts/{org}/principal/m2"
    answer = stack.api("PUT", third, {"daily_limit_usd": 1}, token=lead)
    assert (answer.status_code, answer.json()["code"]) == (409, "split_exceeded")
    assert stack.api("PUT", f"/v1/accounts/{ml}", {"daily_limit_usd": 1}, token=lead).json()["code"] == "forbidden"
    assert stack.api("PUT", third, {"daily_limit_usd": 0}, token=lead).json()["parent"] == ml
    for stated in ({"daily_limit_usd": 51}, {"daily_limit_usd": 50, "enforcement": "soft"}):
        status, problem = post(stack, "plan", {"accounts": [{"name": ml, "parent": org, "settings": stated}]}, lead)
        assert (status, problem["code"]) == (403, "forbidden")
    status, problem = post(
        stack, "plan", {"accounts": [{"name": f"{org}/team/web", "parent": ml, "settings": {}}]}, lead
    )
    assert (status, problem["code"]) == (403, "forbidden")
    stated_above = [{"name": org, "settings": {}}, {"name": ml, "parent": org}, *members]
    assert post(stack, "plan", {"accounts": stated_above}, lead)[1]["code"] == "forbidden"
    for token in (lead, report):
        seen = stack.api("GET", "/v1/budgets", token=token).json()["accounts"]
        assert [row["name"] for row in seen] == [*(f"{org}/principal/m{n}" for n in range(3)), ml]
        rows = stack.api("GET", f"/v1/accounts/{org}/principal/m0/status", token=token).json()["accounts"]
        assert {row["account"] for row in rows} == {f"{org}/principal/m0", ml}
        for other in (org, f"{org}/team/web", f"{org}/team/none", "acme"):
            for path in (f"/v1/accounts/{other}", f"/v1/accounts/{other}/status", f"/v1/budgets?account={other}"):
                answer = stack.api("GET", path, token=token)
                assert (answer.status_code, answer.json()["code"]) == (404, "unknown_account"), path
    assert stack.api("PUT", third, {"daily_limit_usd": 0}, token=report).status_code == 403


def test_a_gateway_of_one_org_serves_no_other(stack: LiveStack) -> None:
    """It asks, holds, settles and charges for its org alone; the id of another one's hold is of no use to it."""
    mine, other = stack.new_org(), stack.new_org()
    facts, settle = tokens_for(stack, ("facts", mine), ("settle", mine))
    question = {"hold": False}
    assert stack.api("POST", "/v1/facts", chat("f", org=mine) | question, token=facts).status_code == 200
    assert stack.api("POST", "/v1/facts", chat("f", org=other) | question, token=facts).status_code == 403
    place = {"resource": {"id": "x"}, "capability": {"id": "y"}, "amount_usd": 1}
    ids = {}
    for org, token in ((mine, settle), (other, stack.settle_token)):
        body = {"request_id": "r", "principal": {"id": "ada", "org": org}} | place
        ids[org] = stack.api("POST", "/v1/holds", body, token=token).json()["id"]
    body = {"request_id": "s", "principal": {"id": "ada", "org": other}} | place
    for path in ("/v1/holds", "/v1/charges"):
        assert stack.api("POST", path, body, token=settle).json()["code"] == "forbidden"
    for end, end_body in (("settle", {"amount_usd": 1}), ("release", {}), ("extend", {"ttl_s": 60})):
        answer = stack.api("POST", f"/v1/holds/{ids[other]}/{end}", end_body, token=settle)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert stack.api("GET", f"/v1/holds/{ids[other]}", token=settle).status_code == 403
    assert stack.api("GET", f"/v1/holds/{ids[mine]}", token=settle).json()["state"] == "held"
    assert stack.api("POST", f"/v1/holds/{ids[mine]}/settle", {"amount_usd": 1}, token=settle).status_code == 200
    assert stack.api("GET", f"/v1/accounts/{other}/status", token=settle).status_code == 404
