"""What callers get wrong: a problem with a code and the field's path from the service, a denial through OPA."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from fixtures.stack import LiveStack, chat

MEDIA_TYPE = "application/problem+json"


def _facts(**changes: Any) -> dict[str, Any]:
    body = chat("bad-1", org="acme") | {"hold": False}
    body.update(changes)
    return body


def _assert_problem(answer: requests.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    problem: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "code"} <= set(problem)
    assert problem["code"] == code
    return problem


@pytest.mark.parametrize(
    "raw",
    [b"{", b'{"a": NaN}', b'{"a": Infinity}', b"\xff\xfe", b'{"a": 1}}', b"[" * 200_000, b'{"a": "\\ud800"}'],
    ids=["cut off", "NaN", "Infinity", "not UTF-8", "too much", "deep", "lone surrogate"],
)
@pytest.mark.parametrize("path", ["/v1/facts", "/v1/holds", "/v1/charges"])
def test_what_is_not_json_is_a_400(stack: LiveStack, path: str, raw: bytes) -> None:
    """Malformed JSON is told apart from JSON that says something wrong."""
    _assert_problem(stack.api("POST", path, raw=raw), 400, "malformed_json")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (_facts(surprise=1), "surprise"),
        (_facts(principal={"id": "u", "org": "acme", "tam": "ml"}), "principal.tam"),
        (_facts(principal={"org": "acme"}), "principal.id"),
        (_facts(principal={"id": "", "org": "acme"}), "principal.id"),
        (_facts(principal={"id": 7, "org": "acme"}), "principal.id"),
        (_facts(principal={"id": "u\n", "org": "acme"}), "principal.id"),
        (_facts(principal={"id": "u", "org": "a/b"}), "principal.org"),
        (_facts(principal={"id": "u" * 257, "org": "acme"}), "principal.id"),
        (_facts(resource="openai"), "resource"),
        (_facts(arguments=[]), "arguments"),
        (_facts(usage={"input_tokens": -1}), "usage.input_tokens"),
        (_facts(usage={"input_tokens": 1.5}), "usage.input_tokens"),
        (_facts(usage={"input_tokens": True}), "usage.input_tokens"),
        (_facts(usage={"input_tokens": 10**12}), "usage.input_tokens"),
        (_facts(hold="yes"), "hold"),
        (_facts(deadline_ms=0), "deadline_ms"),
        (_facts(request_id="r" * 129), "request_id"),
        (_facts(request_id=None, hold=True), ""),
    ],
)
def test_a_wrong_field_is_named(stack: LiveStack, body: dict[str, Any], path: str) -> None:
    """Unknown, missing, mistyped, out of range: 422 with the path of the field."""
    problem = _assert_problem(stack.api("POST", "/v1/facts", body), 422, "invalid_input")
    assert path in [fault["path"] for fault in problem["errors"]]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"amount_usd": -1}, "amount_usd"),
        ({"amount_usd": "1"}, "amount_usd"),
        ({"amount_usd": True}, "amount_usd"),
        ({"amount_usd": 1e300}, "amount_usd"),
        ({"amount_usd": 1, "currency": "EUR"}, "currency"),
        ({"amount_usd": 1, "ttl_s": 0}, "ttl_s"),
        ({"amount_usd": 1, "ttl_s": 999_999}, "ttl_s"),
        ({"amount_usd": 1, "arguments": {"model": "gpt-4o"}}, ""),
        ({}, ""),
    ],
)
def test_a_wrong_hold_is_refused(stack: LiveStack, body: dict[str, Any], path: str) -> None:
    """An amount is a number of dollars, not negative, in USD; a hold is either an amount or a call."""
    whole = {"request_id": "bad-hold", "principal": {"id": "u", "org": "acme"}} | body
    problem = _assert_problem(stack.api("POST", "/v1/holds", whole), 422, "invalid_input")
    assert path in [fault["path"] for fault in problem["errors"]]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"daily_limit_usd": -1}, "daily_limit_usd"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"enforcement": "gentle"}, "enforcement"),
        ({"parent": "other"}, "parent"),
        ({"currency": "EUR"}, "currency"),
        ({"default_limits": {"daily": 1}}, "default_limits.daily"),
    ],
)
def test_wrong_account_settings_are_refused(stack: LiveStack, body: dict[str, Any], path: str) -> None:
    """Nothing of a wrong setting is stored."""
    problem = _assert_problem(stack.api("PUT", "/v1/accounts/never-made", body), 422, "invalid_input")
    assert path in [fault["path"] for fault in problem["errors"]]
    _assert_problem(stack.api("GET", "/v1/accounts/never-made"), 404, "unknown_account")


def test_wrong_account_names_are_refused(stack: LiveStack) -> None:
    """A name is an org, or an org, a kind and an id; the problem names the part of the path."""
    for name in ("a b", "acme/team", "acme/Team/x", "-x", "acme//x"):
        problem = _assert_problem(stack.api("PUT", f"/v1/accounts/{name}", {}), 422, "invalid_input")
        assert [fault["path"] for fault in problem["errors"]] == ["name"], name


def test_a_call_without_a_price_holds_nothing(stack: LiveStack) -> None:
    """It says that the price is what is missing."""
    body = {
        "request_id": "unpriced-1", "principal": {"id": "u", "org": stack.new_org()}, "resource": {"id": "travel-api"},
        "capability": {"id": "search"}, "arguments": {"query": "flights"},
    }  # fmt: skip
    _assert_problem(stack.api("POST", "/v1/holds", body), 422, "unpriced")


def test_a_charge_of_somebody_else_is_a_conflict(stack: LiveStack) -> None:
    """The same request_id and amount for another principal is another charge, and not the first one's answer."""
    body = {
        "request_id": "twice", "principal": {"id": "ada", "org": stack.new_org()}, "resource": {"id": "openai"},
        "capability": {"id": "batch"}, "amount_usd": 1,
    }  # fmt: skip
    first = stack.api("POST", "/v1/charges", body)
    assert first.json() == stack.api("POST", "/v1/charges", body).json()
    other = body | {"principal": body["principal"] | {"id": "bob"}}
    _assert_problem(stack.api("POST", "/v1/charges", other), 409, "request_id_conflict")
    _assert_problem(stack.api("POST", "/v1/charges", body | {"currency": "EUR"}), 422, "invalid_input")
    for name in ("", "a=b"):  # in a report, `a=b=c` could be either of two tags
        _assert_problem(stack.api("POST", "/v1/charges", body | {"tags": {name: "c"}}), 422, "invalid_input")


def test_an_amount_beyond_all_decimals_is_a_400(stack: LiveStack) -> None:
    """A number no decimal can hold is no crash."""
    raw = b'{"request_id": "r", "principal": {"id": "u", "org": "acme"}, "amount_usd": 1e-99999999999999999999}'
    _assert_problem(stack.api("POST", "/v1/holds", raw=raw), 400, "malformed_json")


def test_unknown_ids_are_404(stack: LiveStack) -> None:
    """Hold ids that never were, or are no ids at all."""
    for hold_id in ("bm90aGluZwpoZXJl", "%20", "x" * 3000, "..%2f..", "ÿ"):
        answer = stack.api("POST", f"/v1/holds/{hold_id}/release", {})
        assert answer.status_code in {404, 422}, (hold_id, answer.text)
        assert answer.json()["code"] in {"unknown_hold", "invalid_input", "not_found"}


def test_unknown_routes_and_methods_are_problems(stack: LiveStack) -> None:
    """Every answer that is an error has the one shape."""
    _assert_problem(stack.api("GET", "/v1/nothing"), 404, "not_found")
    _assert_problem(stack.api("DELETE", "/v1/facts"), 405, "method_not_allowed")


def test_a_ten_megabyte_prompt_is_refused(stack: LiveStack) -> None:
    """413 from the service; through OPA a denial that says so."""
    big = _facts(arguments={"model": "gpt-4o", "messages": [{"role": "user", "content": "x" * 10_000_000}]})
    _assert_problem(stack.api("POST", "/v1/facts", big), 413, "payload_too_large")
    question = {key: value for key, value in big.items() if key != "hold"}
    decision = stack.decide(question)
    assert not decision["allow"]
    assert decision["reasons"][0]["details"]["problem"] == "payload_too_large"


def test_a_body_without_length_is_bounded_too(stack: LiveStack) -> None:
    """A chunked body is counted while it is read."""
    answer = requests.post(
        stack.service_url + "/v1/facts",
        data=(b"x" * 65_536 for _ in range(100)),
        headers={"Authorization": f"Bearer {stack.admin_token}"},
        timeout=30,
    )
    _assert_problem(answer, 413, "payload_too_large")


def test_a_hundred_thousand_messages_are_decided(stack: LiveStack) -> None:
    """Absurd, but within the bounds: an answer, not a hang."""
    org = stack.new_org()
    messages = [{"role": "user", "content": ""}] * 100_000
    question = chat("many", org=org, arguments={"messages": messages, "max_tokens": 1})
    assert len(json.dumps(question)) < 4 * 2**20
    decision = stack.decide(question)
    assert isinstance(decision["allow"], bool)
    assert decision["allow"] or decision["reasons"]


@pytest.mark.parametrize("depth", [100, 1_000, 9_000])
def test_deep_arguments_are_decided_or_refused(stack: LiveStack, depth: int) -> None:
    """However deep, the decision is one, with reasons if it denies; the service answers on."""
    org = stack.new_org()
    question = json.dumps({"input": chat(f"deep-{depth}", org=org, arguments={"metadata": "DEEP"})})
    raw = question.replace('"DEEP"', '{"d":' * depth + "1" + "}" * depth)
    answer = requests.post(f"{stack.opa_url}/v1/data/sark/authz/decision", data=raw, timeout=30).json()["result"]
    assert answer["allow"] is not bool(answer["reasons"])
    assert stack.decide(chat(f"after-{depth}", org=org))["allow"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"arguments": {"model": ""}}, "model_missing"),
        ({"arguments": {"model": 7}}, "arguments_invalid"),
        ({"arguments": {"messages": "hello"}}, "arguments_invalid"),
        ({"arguments": {"messages": [{"role": "user", "content": 5}]}}, "arguments_invalid"),
        ({"arguments": {"max_tokens": -5}}, "arguments_invalid"),
        ({"arguments": {"max_tokens": "many"}}, "arguments_invalid"),
        ({"arguments": {"n": 0}}, "arguments_invalid"),
        ({"principal": {"id": "u"}}, "input_invalid"),
        ({"principal": None}, "input_invalid"),
        ({"usage": {"input_tokens": "12"}}, "input_invalid"),
        ({"request_id": None}, "request_id_missing"),
    ],
)
def test_opa_denies_what_is_wrong(stack: LiveStack, changes: dict[str, Any], code: str) -> None:
    """Through OPA every wrong input is a denial that names a code, and holds nothing."""
    org = stack.new_org()
    question = chat("wrong", org=org, arguments=changes.get("arguments", {}))
    decision = stack.decide(question | {key: value for key, value in changes.items() if key != "arguments"})
    assert decision["allow"] is False
    assert code in [reason["code"] for reason in decision["reasons"]]
    assert decision["hold"] is None
    assert stack.spent(org)["held"] == 0
