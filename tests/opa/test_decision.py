"""The decision of a real OPA on the bundle as it is shipped, and exactly what it asks of the service."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
import requests
from fixtures.opa import BASE, RunningOpa, Script, bundle_with, facts, question, running_opa, scripted_service, send

from sark_opa.client.decision import parse
from sark_opa.evaluation.hold_bodies import HoldBody

READS_OFTEN = """package policies.reads_often
import data.sark.budget
import data.sark.cost
import data.sark.facts
import data.sark.plugins
deny contains "dear" if cost.expected_usd > 100
deny contains "dearer" if cost.upper_bound_usd > 100
deny contains "poor" if budget.remaining_usd("team", "day") < 0
deny contains "poor org" if budget.remaining_usd("org", "month") < 0
deny contains "closed" if not plugins.verdict("business_hours").allowed
warn contains "old" if facts.response.body.age_ms > 1000
warn contains message if {
	some i in numbers.range(1, 50)
	facts.known.age_ms > i * 1000
	message := sprintf("older than %d s", [i])
}
"""


def test_decision_has_the_documented_shape(opa: RunningOpa, service: Script) -> None:
    """An allowed call carries its estimate, budget, verdicts, hold and what to do next."""
    expected = facts()
    assert opa.decide(question()) == {
        "allow": True,
        "reasons": [],
        "warnings": [],
        "estimate": expected["estimate"],
        "budget": expected["budget"],
        "verdicts": expected["verdicts"],
        "hold": {"id": "h-1", "amount_usd": 0.02, "expires_at": "2026-01-01T00:10:00Z"},
        "obligations": [{"type": "settle", "href": "/v1/holds/h-1/settle"}],
        "facts": {name: expected[name] for name in ("id", "age_ms", "degraded", "price_revision")},
    }


@pytest.mark.parametrize("rule", ["decision", "allow", "preview"])
def test_facts_are_asked_for_once(opa: RunningOpa, service: Script, rule: str) -> None:
    """One decision is one request, whichever entry point is used."""
    opa.decide(question(), rule)
    assert [asked.path for asked in service.asked] == ["/v1/facts"]
    assert service.asked[0].body["hold"] is (rule != "preview")


@pytest.mark.parametrize("rule", ["decision", "preview"])
def test_facts_are_asked_for_once_by_policies_that_read_them_often(opa_binary: Path, tmp_path: Path, rule: str) -> None:
    """However many policies read facts, and although a preview is evaluated within a `with`."""
    bundle = bundle_with(tmp_path, policies={"reads_often": READS_OFTEN})
    with (
        scripted_service() as (script, url),
        running_opa(opa_binary, tmp_path, bundle=bundle, service_url=url) as opa,
    ):
        assert opa.decide(question(), rule)["allow"] is True
        assert len(script.asked) == 1
        script.facts(facts() | {"age_ms": 25_000})
        assert len(opa.decide(question(), rule)["warnings"]) == 25
        assert len(script.asked) == 2


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"request_id": None}, "request_id_missing"),
        ({"principal": {"id": "user-123"}}, "input_invalid"),
        ({"tokens": 5}, "input_invalid"),
        ({"principal": {"id": "u", "org": "acme", "team": "interns"}}, "model_not_allowed"),
    ],
)
def test_nothing_is_asked_after_an_early_denial(opa: RunningOpa, service: Script, changes, code: str) -> None:
    """What can be refused without facts costs no request and holds no money."""
    decision = opa.decide(question(**changes))
    assert decision["allow"] is False
    assert code in {reason["code"] for reason in decision["reasons"]}
    assert service.asked == []


KEYS = {"allow", "reasons", "warnings", "estimate", "budget", "verdicts", "hold", "obligations", "facts"}


@pytest.mark.parametrize("rule", ["decision", "preview"])
def test_no_input_is_a_whole_denial(opa: RunningOpa, service: Script, rule: str) -> None:
    """A query without input, as a misconfigured gateway sends it, is an object that denies."""
    decision = opa.document(f"sark/authz/{rule}")["result"]
    assert set(decision) == KEYS
    assert decision["allow"] is False
    assert [reason["code"] for reason in decision["reasons"]] == ["input_invalid"]
    assert opa.document("sark/authz/allow")["result"] is False
    assert service.asked == []


ODD_INPUTS = {
    "null": None,
    "false": False,
    "zero": 0,
    "a text": "allow",
    "an empty text": "",
    "an empty array": [],
    "an array": [question()],
    "an empty object": {},
    "a decision": {"allow": True, "reasons": []},
    "nested input": {"input": question()},
    "arrays for parts": {"request_id": "r", "principal": [], "resource": [], "capability": []},
    "texts for parts": {"request_id": "r", "principal": "id", "resource": "id", "capability": "id"},
    "null ids": {"request_id": "r", "principal": {"id": None, "org": None}, "resource": {}, "capability": {}},
    "asks to hold nothing itself": question(hold=False, deadline_ms=1),
}


@pytest.mark.parametrize("case", ODD_INPUTS)
def test_an_input_of_any_other_shape_is_a_whole_denial(opa: RunningOpa, service: Script, case: str) -> None:
    """By every entry point, with the same keys, and without a request to the service."""
    for rule in ("decision", "preview"):
        decision = opa.decide(ODD_INPUTS[case], rule)
        assert set(decision) == KEYS
        assert decision["allow"] is False
        assert {reason["code"] for reason in decision["reasons"]} <= {"input_invalid", "request_id_missing"}
        assert decision["reasons"] != []
    assert opa.decide(ODD_INPUTS[case], "allow") is False
    assert service.asked == []


@pytest.mark.parametrize("request_id", [7, True, ["r"], {"id": "r"}])
def test_a_request_id_of_another_type_is_the_service_s_to_refuse(
    opa: RunningOpa, service: Script, request_id: object
) -> None:
    """It is passed on as it is, and what the service objects to is the reason."""
    service.answer = lambda handler: send(handler, 422, {"code": "invalid_input", "detail": "request_id: no text"})
    decision = opa.decide(question(request_id=request_id))
    assert [(reason["code"], reason["message"]) for reason in decision["reasons"]] == [
        ("input_invalid", "request_id: no text")
    ]
    assert service.asked[0].body["request_id"] == request_id


def test_money_keeps_its_exact_digits(opa: RunningOpa, service: Script) -> None:
    """Amounts pass through OPA as they were written: no figure becomes a binary fraction."""
    text = json.dumps(facts()).replace('"expected_usd": 0.01', '"expected_usd": 123456789012.123456788')
    text = text.replace('"upper_bound_usd": 0.02', '"upper_bound_usd": 123456789012.123456789')
    service.answer = lambda handler: send(handler, 200, text.replace("0.02", "0.100000000000000001").encode())
    raw = requests.post(f"{opa.url}/v1/data/sark/authz/decision", json={"input": question()}, timeout=30)
    decision = json.loads(raw.text, parse_float=Decimal)["result"]
    assert decision["allow"] is True
    assert decision["estimate"]["upper_bound_usd"] == Decimal("123456789012.123456789")
    assert decision["hold"]["amount_usd"] == Decimal("0.100000000000000001")


def test_an_upper_bound_a_nano_dollar_too_low_is_no_estimate(opa: RunningOpa, service: Script) -> None:
    """Compared by all its digits, of which a binary fraction would lose the last."""
    text = json.dumps(facts()).replace('"expected_usd": 0.01', '"expected_usd": 123456789012.123456789')
    text = text.replace('"upper_bound_usd": 0.02', '"upper_bound_usd": 123456789012.123456788')
    service.answer = lambda handler: send(handler, 200, text.encode())
    assert [reason["code"] for reason in opa.decide(question())["reasons"]] == ["facts_unavailable"]


def test_the_question_is_passed_on_unchanged(opa: RunningOpa, service: Script) -> None:
    """The service sees the input itself, with `hold` and the deadline added."""
    opa.decide(question())
    assert service.asked[0].body == BASE["input"] | {"hold": True, "deadline_ms": 1500}
    assert "Authorization" not in service.asked[0].headers


def test_a_denied_hold_is_released_once(opa_binary: Path, tmp_path: Path) -> None:
    """A hold this evaluation made is let go when a policy denies after all; a failed release is a warning."""
    bundle = bundle_with(
        tmp_path, policies={"no": 'package policies.no\ndeny contains "no" if data.sark.cost.status\n'}
    )
    with (
        scripted_service() as (script, url),
        running_opa(opa_binary, tmp_path, bundle=bundle, service_url=url) as opa,
    ):
        decision = opa.decide(question())
        assert (decision["allow"], decision["hold"], decision["warnings"]) == (False, None, [])
        assert [asked.path for asked in script.asked] == ["/v1/facts", "/v1/holds/h-1/release"]
        script.release_status = 503
        assert [warning["code"] for warning in opa.decide(question())["warnings"]] == ["release_failed"]
        opa.decide(question(), "preview")
        assert len([asked for asked in script.asked if asked.path.endswith("/release")]) == 2


def test_the_body_of_a_hold_obligation_is_one_the_service_takes(opa_binary: Path, tmp_path: Path) -> None:
    """As it stands: with arguments, with counted tokens only, and with neither, where the known amount is named."""
    bundle = bundle_with(tmp_path, config={"hold_mode": "by_gateway"})
    unheld = facts()
    unheld["budget"]["hold"] = None
    bare = question()
    del bare["arguments"]
    with (
        scripted_service() as (script, url),
        running_opa(opa_binary, tmp_path, bundle=bundle, service_url=url) as opa,
    ):
        script.facts(unheld)
        for asked, amount in (
            (question(), None),
            (question(arguments={}, usage={"input_tokens": 5}), None),
            (question(arguments={}, usage=None), Decimal("0.02")),
            (bare, Decimal("0.02")),
        ):
            decision = opa.decide(asked)
            assert (decision["allow"], decision["hold"]) == (True, None)
            (obligation,) = decision["obligations"]
            body = HoldBody.model_validate(json.loads(json.dumps(obligation["body"]), parse_float=Decimal))
            assert body.amount_usd == amount
            assert script.asked[-1].body["hold"] is False
    assert len(script.asked) == 4


@pytest.mark.parametrize("rule", ["decision", "allow"])
def test_each_entry_point_releases_what_it_held_and_denied(opa_binary: Path, tmp_path: Path, rule: str) -> None:
    """A gateway that reads one boolean leaves no money behind either."""
    bundle = bundle_with(
        tmp_path, policies={"no": 'package policies.no\ndeny contains "no" if data.sark.cost.status\n'}
    )
    with (
        scripted_service() as (script, url),
        running_opa(opa_binary, tmp_path, bundle=bundle, service_url=url) as opa,
    ):
        opa.decide(question(), rule)
        assert [asked.path for asked in script.asked] == ["/v1/facts", "/v1/holds/h-1/release"]


CONFLICT = """package policies.torn
deny := "one" if input.action == "invoke"
deny := "other" if input.principal.org == "acme"
"""


def test_a_policy_in_conflict_with_itself_is_no_permission(opa_binary: Path, tmp_path: Path) -> None:
    """Rego cannot catch it: OPA answers with an error, which a gateway has to treat as a denial."""
    bundle = bundle_with(tmp_path, policies={"torn": CONFLICT})
    with (
        scripted_service() as (_, url),
        running_opa(opa_binary, tmp_path, bundle=bundle, service_url=url) as opa,
    ):
        for rule in ("decision", "allow", "preview"):
            answer = requests.post(f"{opa.url}/v1/data/sark/authz/{rule}", json={"input": question()}, timeout=30)
            assert answer.status_code == 500
            assert "result" not in answer.json()
            assert parse(answer.status_code, answer.content).allow is False


def test_the_hold_of_an_earlier_evaluation_is_left_alone(opa_binary: Path, tmp_path: Path) -> None:
    """The call may be running on that money: the first evaluation of the same request may have allowed it."""
    bundle = bundle_with(
        tmp_path, policies={"no": 'package policies.no\ndeny contains "no" if data.sark.cost.status\n'}
    )
    duplicate = facts()
    duplicate["budget"]["hold"]["outcome"] = "duplicate"
    with (
        scripted_service() as (script, url),
        running_opa(opa_binary, tmp_path, bundle=bundle, service_url=url) as opa,
    ):
        script.facts(duplicate)
        assert opa.decide(question())["allow"] is False
        assert [asked.path for asked in script.asked] == ["/v1/facts"]


def test_the_service_may_listen_on_a_unix_socket(opa_binary: Path, tmp_path: Path) -> None:
    """For a sidecar: the socket named in OPA's environment is used."""
    with (
        scripted_service(tmp_path / "s") as (script, path),
        running_opa(opa_binary, tmp_path, service_socket=Path(path)) as opa,
    ):
        assert opa.decide(question())["allow"] is True
        assert [asked.path for asked in script.asked] == ["/v1/facts"]
