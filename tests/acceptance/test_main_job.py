"""The main job over real sockets: decide, hold, settle; what the design promises about it."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

from fixtures.stack import LiveStack, chat

USAGE = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}
PRICE = Decimal("0.000225")  # gpt-4o: 10 * $2.50 + 20 * $10 per million

DESIGN_INPUT: dict[str, Any] = {
    "request_id": "c0ffee…",
    "principal": {"id": "user-123", "org": "acme", "team": "ml", "attributes": {}},
    "resource": {"id": "openai", "type": "llm"},
    "capability": {"id": "chat.completions"},
    "action": "invoke",
    "arguments": {"model": "gpt-4o", "messages": [{"role": "user", "content": "…"}], "max_tokens": 400},
    "environment": {"ip": "…"},
    "usage": {"input_tokens": 1200},
}


def test_the_designs_input_gives_the_designs_output(stack: LiveStack) -> None:
    """The example of the reference, word by word: allowed first, then denied by a short budget with what fits."""
    stack.put_account("acme", unknown_principals="create")
    allowed = stack.decide(DESIGN_INPUT)
    assert set(allowed) == {
        "allow", "reasons", "warnings", "estimate", "budget", "verdicts", "hold", "obligations", "facts",
    }  # fmt: skip
    assert (allowed["allow"], allowed["reasons"]) == (True, [])
    assert allowed["obligations"] == [{"type": "settle", "href": f"/v1/holds/{allowed['hold']['id']}/settle"}]
    assert set(allowed["hold"]) == {"id", "amount_usd", "expires_at"}
    assert {"id", "age_ms", "degraded", "price_revision"} == set(allowed["facts"])
    stack.api("POST", f"/v1/holds/{allowed['hold']['id']}/release", {})

    stack.put_account("acme/team/ml", parent="acme", daily_limit_usd=0.006)
    denied = stack.decide(DESIGN_INPUT | {"request_id": "c0ffee…2"})
    reason = denied["reasons"][0]
    assert (denied["allow"], denied["hold"], denied["obligations"]) == (False, None, [])
    assert (reason["code"], reason["source"]) == ("budget_exceeded", "budget")
    assert reason["message"].startswith("team ml has $0.006 left today, this call may cost $0.0")
    details = reason["details"]
    assert (details["account"], details["window"], details["remaining_usd"]) == ("acme/team/ml", "day", 0.006)
    fits = details["fits"]["max_tokens"]
    retried = DESIGN_INPUT | {"request_id": "c0ffee…3", "arguments": DESIGN_INPUT["arguments"] | {"max_tokens": fits}}
    assert stack.decide(retried)["allow"]


def test_a_call_is_held_settled_and_booked_at_every_level(stack: LiveStack) -> None:
    """To the nano-dollar, for the principal, its team and its org, in both windows."""
    org = stack.new_org()
    stack.put_account(f"{org}/team/ml", parent=org)
    decision = stack.decide(chat("r1", org=org, team="ml"))
    assert stack.spent(org)["held"] == Decimal(str(decision["hold"]["amount_usd"]))
    first = stack.api("POST", f"/v1/holds/{decision['hold']['id']}/settle", {"usage": USAGE}, token=stack.settle_token)
    again = stack.api("POST", f"/v1/holds/{decision['hold']['id']}/settle", {"usage": USAGE}, token=stack.settle_token)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.content == again.content
    for account in (org, f"{org}/team/ml", f"{org}/principal/user-1"):
        for window in ("day", "month"):
            assert stack.spent(account, window) == {"spent": PRICE, "held": 0}


def test_the_same_request_id_is_one_hold(stack: LiveStack) -> None:
    """A retry finds its hold; a different request under the same id is a conflict and holds nothing more."""
    org = stack.new_org()
    first = stack.decide(chat("same", org=org))
    again = stack.decide(chat("same", org=org))
    held = stack.spent(org)["held"]
    other = stack.decide(chat("same", org=org, arguments={"max_tokens": 4000}))
    assert first["hold"]["id"] == again["hold"]["id"]
    assert (other["allow"], [reason["code"] for reason in other["reasons"]]) == (False, ["request_id_conflict"])
    assert stack.spent(org)["held"] == held == Decimal(str(first["hold"]["amount_usd"]))


def test_an_ended_hold_is_no_second_call(stack: LiveStack) -> None:
    """After settling, the same request_id is denied: the money it stood for is spent."""
    org = stack.new_org()
    decision = stack.decide(chat("once", org=org))
    stack.api("POST", f"/v1/holds/{decision['hold']['id']}/settle", {"usage": USAGE})
    again = stack.decide(chat("once", org=org))
    assert (again["allow"], [reason["code"] for reason in again["reasons"]]) == (False, ["hold_ended"])


def test_settling_with_other_figures_is_refused(stack: LiveStack) -> None:
    """One of the two must be wrong; the first stays."""
    org = stack.new_org()
    decision = stack.decide(chat("figures", org=org))
    path = f"/v1/holds/{decision['hold']['id']}/settle"
    stack.api("POST", path, {"usage": USAGE})
    other = stack.api("POST", path, {"amount_usd": 1})
    assert (other.status_code, other.json()["code"]) == (409, "hold_ended")
    assert stack.spent(org)["spent"] == PRICE


def test_unreadable_usage_leaves_the_hold_alone(stack: LiveStack) -> None:
    """A settlement that cannot be priced is refused out loud, and can be repeated right."""
    org = stack.new_org()
    decision = stack.decide(chat("unreadable", org=org))
    path = f"/v1/holds/{decision['hold']['id']}/settle"
    for usage in (
        {},
        {"prompt_tokens": -1, "completion_tokens": 1},
        {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 6}},
        {"tokens": 5},
    ):
        answer = stack.api("POST", path, {"usage": usage})
        assert (answer.status_code, answer.json()["code"]) == (422, "usage_invalid"), usage
    assert stack.spent(org) == {"spent": 0, "held": Decimal(str(decision["hold"]["amount_usd"]))}
    assert stack.api("POST", path, {"usage": USAGE}).status_code == 200


def test_preview_holds_nothing(stack: LiveStack) -> None:
    """The same decision as a look, with and without a request_id."""
    org = stack.new_org(daily_limit_usd=0.0001)
    preview = stack.decide(chat(None, org=org), rule="preview")
    assert (preview["allow"], preview["reasons"][0]["code"]) == (False, "budget_exceeded")
    stack.put_account(org, daily_limit_usd=1, unknown_principals="create")
    assert stack.decide(chat(None, org=org), rule="preview")["allow"]
    assert stack.spent(org)["held"] == 0


def test_a_denied_call_is_released(stack: LiveStack) -> None:
    """An author's rule that needs facts fires after the money was held; nothing stays held."""
    org = stack.new_org()
    dear = chat("dear", org=org, team="interns", arguments={"model": "gpt-4o-mini", "max_tokens": 16_384, "n": 100})
    decision = stack.decide(dear)
    assert [reason["code"] for reason in decision["reasons"]] == ["call_too_dear"]
    assert stack.spent(org)["held"] == 0


def test_unknown_principals_follow_the_org(stack: LiveStack) -> None:
    """Refused, or created under the default limit within the hold itself."""
    strict = stack.new_org(unknown_principals="deny")
    denied = stack.decide(chat("p1", org=strict, principal="stranger"))
    assert [reason["code"] for reason in denied["reasons"]] == ["unknown_account"]
    open_org = stack.new_org(default_limits={"daily_limit_usd": 0.0025})
    answers = [stack.decide(chat(f"p{n}", org=open_org, principal="newcomer")) for n in range(2)]
    assert [answer["allow"] for answer in answers] == [True, False]
    assert answers[1]["reasons"][0]["details"]["account"] == f"{open_org}/principal/newcomer"


def test_first_calls_of_one_principal_at_once_do_not_pass_its_default_limit(stack: LiveStack) -> None:
    """Eight first requests of somebody unknown, room for one by default: exactly one passes."""
    org = stack.new_org(default_limits={"daily_limit_usd": 0.0025})
    questions = [chat(f"first-{n}", org=org, principal="newcomer") for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(stack.decide, questions))
    assert sum(answer["allow"] for answer in answers) == 1


def test_a_hold_that_is_never_settled_ends_by_itself(stack: LiveStack) -> None:
    """Its account says whether it is charged or released; either way nothing stays held, and a late settle books."""
    org = stack.new_org(on_expiry="release")
    body = {"principal": {"id": "u", "org": org}, "amount_usd": 2, "ttl_s": 1}
    hold = stack.api("POST", "/v1/holds", body | {"request_id": "abandoned"}).json()
    ends_at = time.monotonic() + 15
    while stack.spent(org)["held"] and time.monotonic() < ends_at:
        time.sleep(0.2)
    assert stack.spent(org) == {"spent": 0, "held": 0}
    charge = stack.api("POST", f"/v1/holds/{hold['id']}/settle", {"amount_usd": 1.5})
    assert (charge.status_code, charge.json()["late"]) == (200, True)
    assert stack.spent(org) == {"spent": Decimal("1.5"), "held": 0}


def test_a_bill_above_the_hold_is_booked_in_full(stack: LiveStack) -> None:
    """The money is spent, whatever was held: booked, flagged, counted."""
    org = stack.new_org()
    hold = stack.api(
        "POST", "/v1/holds", {"request_id": "over", "principal": {"id": "u", "org": org}, "amount_usd": 1}
    ).json()
    charge = json.loads(stack.api("POST", f"/v1/holds/{hold['id']}/settle", {"amount_usd": 1.25}).text)
    assert charge["hold_exceeded"] is True
    assert stack.spent(org)["spent"] == Decimal("1.25")
    assert "sark_hold_exceeded_total" in stack.api("GET", "/metrics").text


def test_a_charge_without_a_hold_counts_once(stack: LiveStack) -> None:
    """A batch's cost, booked by request_id however often it is sent."""
    org = stack.new_org(daily_limit_usd=0.0001)
    body = {
        "request_id": "batch-1",
        "principal": {"id": "batch", "org": org},
        "resource": {"id": "openai"},
        "capability": {"id": "batches"},
        "model": "gpt-4o",
        "usage": USAGE,
    }
    answers = [stack.api("POST", "/v1/charges", body) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200], answers[0].text
    assert len({answer.content for answer in answers}) == 1
    assert stack.spent(org)["spent"] == PRICE


def test_extending_keeps_a_hold_alive(stack: LiveStack) -> None:
    """A long stream tops its hold's life up."""
    org = stack.new_org()
    body = {"request_id": "long", "principal": {"id": "u", "org": org}, "amount_usd": 1, "ttl_s": 1}
    hold = stack.api("POST", "/v1/holds", body).json()
    longer = stack.api("POST", f"/v1/holds/{hold['id']}/extend", {"ttl_s": 600})
    assert (longer.status_code, longer.json()["expires_at"] > hold["expires_at"]) == (200, True)
    time.sleep(2.5)
    assert stack.api("GET", f"/v1/holds/{hold['id']}").json()["state"] == "held"
