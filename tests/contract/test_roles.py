"""Who may do what, and what a token is worth."""

from __future__ import annotations

import requests
from fixtures.stack import LiveStack, chat


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
