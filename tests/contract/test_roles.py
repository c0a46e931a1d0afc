"""Who may do what, and what a token is worth."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import requests
from docs.pages import codes, sections
from fixtures.scoped import tokens_for
from fixtures.stack import LiveStack, chat

from sark_opa.api import application

ROLES = ("facts", "settle", "report", "budget", "admin")
SCOPED = {
    "POST /v1/facts", "POST /v1/estimates", "POST /v1/holds", "GET /v1/holds/{hold_id}",
    "POST /v1/holds/{hold_id}/settle", "POST /v1/holds/{hold_id}/release", "POST /v1/holds/{hold_id}/extend",
    "POST /v1/charges", "GET /v1/accounts/{name}", "GET /v1/accounts/{name}/status", "PUT /v1/accounts/{name}",
    "POST /v1/budgets/plan", "POST /v1/budgets/apply", "GET /v1/budgets", "GET /v1/budgets/status",
    "GET /v1/budgets/raises", "GET /v1/federation/costs",
    "POST /v1/federation/holds", "GET /v1/federation/transfers/{transfer_id}",
    "POST /v1/federation/transfers/{transfer_id}/settle", "POST /v1/federation/transfers/{transfer_id}/cancel",
}  # fmt: skip
"""Routes that take a token for one account. Each has a test that it stays within it: most in test_budgets_api.py."""
COSTS = "GET /v1/costs/"
"""So do these, which are all asked here."""
ALONE = "alone, and this is about more than one account"


def routes() -> Iterator[tuple[str, set[str], bool]]:
    """Method and path of every route, the roles the page on the API gives it, and whether it takes scoped tokens."""
    told = {heading: text.strip().splitlines()[0] for heading, text in sections(PAGE, "### ").items()}
    for router in application.ROUTERS:
        for route in router.routes:
            cells = [
                dict(zip(needed.dependency.__code__.co_freevars, needed.dependency.__closure__, strict=True))
                for needed in route.dependencies  # type: ignore[attr-defined]  # FastAPI's
            ]
            scoped = any(cell["scoped"].cell_contents for cell in cells if "scoped" in cell)
            for method in route.methods:  # type: ignore[attr-defined]  # same
                heading = f"{method} {route.path.replace(':path', '')}"  # type: ignore[attr-defined]  # same
                line = re.match(r"Roles? ([^.]*)\.", told.get(heading, ""))
                yield heading, set(codes(line[1])) if line else set(), scoped


PAGE = "docs/reference/http-api.md"


@pytest.fixture(scope="module")
def holders(stack: LiveStack) -> dict[str, str]:
    """A token of each role for everything, or as far as it goes; and those for one org."""
    org = stack.new_org()
    wanted = [("report", None), ("budget", org), ("facts", org), ("settle", org), ("report", org)]
    report, budget, *scoped = tokens_for(stack, *wanted)  # type: ignore[arg-type]  # roles, all of them
    everything = {"facts": stack.facts_token, "settle": stack.settle_token, "admin": stack.admin_token}
    of_org = {f"{role} of an org": token for role, token in zip(("facts", "settle", "report"), scoped, strict=True)}
    return everything | {"report": report, "budget": budget} | of_org


@pytest.mark.parametrize("role", ROLES)
def test_every_role_on_every_route(stack: LiveStack, holders: dict[str, str], role: str) -> None:
    """What the page says is let in, whatever comes of it; and nothing else is."""
    granted = {"admin": set(ROLES), "budget": {"budget", "report"}}.get(role, {role})
    for heading, wanted, scoped in routes():
        if not wanted:
            continue
        method, path = heading.split()
        body = None if method in {"GET", "DELETE"} else {}
        answer = stack.api(method, re.sub(r"\{\w+\}", "none", path), body, token=holders[role])
        refused = answer.status_code == 403 and "may not do this" in answer.text
        assert refused == (not wanted & granted), (heading, answer.text)
        assert answer.status_code != 401, heading
        if role == "budget" and not refused:
            assert (ALONE in answer.text) == (not scoped), heading


@pytest.mark.parametrize("role", ["facts", "settle", "report"])
def test_a_token_of_one_org_on_every_route(stack: LiveStack, holders: dict[str, str], role: str) -> None:
    """It is let in only where the route says so; a route that does is known here, with a test that it keeps to it."""
    for heading, wanted, scoped in routes():
        assert not scoped or heading in SCOPED or heading.startswith(COSTS), (
            f"{heading}: show in a test that it stays within the account"
        )
        if role in wanted:
            method, path = heading.split()
            body = None if method == "GET" else {}
            answer = stack.api(method, re.sub(r"\{\w+\}", "none", path), body, token=holders[f"{role} of an org"])
            assert (answer.status_code == 403 and ALONE in answer.text) == (not scoped), (heading, answer.text)


def test_no_token_is_401(stack: LiveStack) -> None:
    """Every route but the operational ones asks for a token over TCP."""
    for method, path in [
        ("GET", "/v1/accounts/acme"),
        ("POST", "/v1/facts"),
        ("POST", "/v1/holds/x/settle"),
        ("GET", "/v1/plugins"),
    ]:
        answer = requests.request(method, stack.service_url + path, json={}, timeout=10)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), path
        assert answer.headers["www-authenticate"] == "Bearer"


def test_a_wrong_token_is_401(stack: LiveStack) -> None:
    """A token nobody made, an empty one, another scheme."""
    for header in ("Bearer sark_wrong", "Bearer ", "Basic YWRtaW46YWRtaW4=", "x"):
        answer = requests.get(stack.service_url + "/v1/plugins", headers={"Authorization": header}, timeout=10)
        assert answer.status_code == 401, header


def test_roles_are_kept_apart(stack: LiveStack) -> None:
    """A facts token asks, a settle token settles, and neither sets a budget."""
    facts, settle = stack.facts_token, stack.settle_token
    body = chat("role", org=stack.new_org()) | {"hold": False}
    assert stack.api("POST", "/v1/facts", body, token=facts).status_code == 200
    assert stack.api("POST", "/v1/facts", body, token=settle).status_code == 403
    assert stack.api("PUT", "/v1/accounts/acme", {}, token=facts).status_code == 403
    assert stack.api("PUT", "/v1/accounts/acme", {}, token=settle).status_code == 403
    assert stack.api("POST", "/v1/holds/x/settle", {"amount_usd": 1}, token=facts).status_code == 403
    assert stack.api("GET", "/v1/plugins", token=facts).status_code == 403


def test_reports_of_one_org_tell_of_no_other(stack: LiveStack, holders: dict[str, str]) -> None:
    """By name or by account it is refused, or there is nothing; without either, it is the token's own."""
    other = stack.new_org()
    token = holders["report of an org"]
    body = {"request_id": "r", "principal": {"id": f"of-{other}", "org": other}, "amount_usd": 3}
    body |= {"resource": {"id": "x"}, "capability": {"id": "y"}}
    assert stack.api("POST", "/v1/charges", body, token=stack.settle_token).status_code == 200
    paths = [heading.removeprefix("GET ") for heading, _, scoped in routes() if scoped and heading.startswith(COSTS)]
    assert paths
    for path in paths:
        for query in (f"org={other}", f"account={other}", f"org={other}&account={other}/team/ml", ""):
            answer = stack.api("GET", f"{path}?{query}", token=token)
            assert answer.status_code in {403, 404} or f"of-{other}" not in answer.text, (path, query, answer.text)
            assert answer.status_code != 500, path


def test_operational_routes_need_none(stack: LiveStack) -> None:
    """A platform probes without secrets; what it reads holds none."""
    ready = requests.get(stack.service_url + "/readyz", timeout=10)
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert requests.get(stack.service_url + "/healthz", timeout=10).json() == {"status": "ok"}
    metrics = requests.get(stack.service_url + "/metrics", timeout=10).text
    assert "sark_request_seconds_bucket" in metrics


def test_the_log_holds_no_prompt_and_no_token(stack: LiveStack) -> None:
    """One canonical line a request; ids and figures, never words of the caller."""
    secret = "xyzzy-prompt-nobody-may-log"
    org = stack.new_org()
    question = chat("logged", org=org, arguments={"messages": [{"role": "user", "content": secret}]})
    assert stack.decide(question)["allow"]
    log = (stack.data / "log" / "service.log").read_text()
    assert secret not in log
    assert stack.admin_token not in log
    lines = [line for line in log.splitlines() if '"logged"' in line and org in line]
    assert len(lines) == 1
    assert '"path":"/v1/facts"' in lines[0]
    assert '"hold":"held"' in lines[0]
