"""The client fails closed: an allow counts only when it is a well-formed one."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from sark_opa.client.decision import parse

ALLOW: dict[str, Any] = {
    "allow": True,
    "reasons": [],
    "warnings": [{"code": "price_default", "message": "m", "source": "estimate", "details": {}}],
    "estimate": {"status": "priced", "expected_usd": 0.1},
    "budget": {"status": "ok", "accounts": []},
    "verdicts": [],
    "hold": {"id": "aG9sZA", "amount_usd": 0.000000001, "expires_at": "2026-01-01T00:00:00Z"},
    "obligations": [{"type": "settle", "href": "/v1/holds/aG9sZA/settle"}],
    "facts": {"id": "f", "age_ms": 0, "degraded": False, "price_revision": "r"},
}


def _body(decision: object) -> bytes:
    return json.dumps({"decision_id": "d", "result": decision}).encode()


def test_a_whole_decision_is_taken() -> None:
    """Every field arrives, money without loss."""
    decision = parse(200, _body(ALLOW))
    assert decision.allow
    assert decision.hold is not None
    assert str(decision.hold.amount_usd) == "1E-9"
    assert decision.warnings[0].code == "price_default"


@pytest.mark.parametrize("key", sorted(ALLOW))
def test_a_missing_key_is_a_denial(key: str) -> None:
    """A decision without any one of its keys is none."""
    broken = {name: value for name, value in ALLOW.items() if name != key}
    assert [reason.code for reason in parse(200, _body(broken)).reasons] == ["decision_malformed"]


@pytest.mark.parametrize("wrong", [1, "true", None, [], {}])
def test_only_true_allows(wrong: object) -> None:
    """`allow` is true or it is a denial; 1 and "true" are neither."""
    assert not parse(200, _body(copy.deepcopy(ALLOW) | {"allow": wrong})).allow


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"null", b'{"result": true}', b"<html>", b'{"result": {"allow": true}}', b"[" * 5000, b"\xff",
        _body(ALLOW).replace(b"1e-09", b"1e-99999999999999999999"),
    ],
    ids=range(9),
)  # fmt: skip
def test_what_is_no_decision_denies(body: bytes) -> None:
    """An undefined result (OPA answers 200 without one), a page of a proxy, half an answer."""
    decision = parse(200, body)
    assert not decision.allow
    assert decision.reasons[0].code == "decision_malformed"


@pytest.mark.parametrize("status", [204, 301, 400, 404, 500, 503])
def test_any_other_status_denies(status: int) -> None:
    """Even with an allowing body."""
    assert not parse(status, _body(ALLOW)).allow


def test_an_allow_with_reasons_denies() -> None:
    """Something is wrong with a policy that allows and objects at once."""
    objecting = copy.deepcopy(ALLOW) | {"reasons": [{"code": "c", "message": "m", "source": "s", "details": {}}]}
    assert not parse(200, _body(objecting)).allow


def test_a_denial_without_reasons_denies() -> None:
    """And gets one, so that whoever shows the first reason has one to show."""
    silent = copy.deepcopy(ALLOW) | {"allow": False, "hold": None, "obligations": []}
    decision = parse(200, _body(silent))
    assert [decision.allow, *[reason.code for reason in decision.reasons]] == [False, "decision_malformed"]


@pytest.mark.parametrize(
    "changes",
    [
        {"hold": None},
        {"obligations": []},
        {"obligations": [{"type": "settle"}]},
        {"obligations": [{"type": "settle", "href": "/v1/holds/b3RoZXI/settle"}]},
        {"obligations": ALLOW["obligations"] * 2},
        {"obligations": [{"type": ["settle"], "href": "/v1/holds/aG9sZA/settle"}]},
    ],
    ids=str,
)
def test_money_and_obligation_go_together(changes: dict[str, Any]) -> None:
    """What is held is to be settled, and nothing else is: an allow that says otherwise was tampered with."""
    decision = parse(200, _body(copy.deepcopy(ALLOW) | changes))
    assert (decision.allow, decision.reasons[0].code) == (False, "decision_malformed")


def test_other_obligations_are_the_gateways_affair() -> None:
    """Such as holding the money itself, where the decision holds none."""
    obliged = copy.deepcopy(ALLOW) | {"hold": None, "obligations": [{"type": "hold", "href": "/v1/holds", "body": {}}]}
    assert parse(200, _body(obliged)).allow


def test_more_than_is_known_is_no_fault() -> None:
    """A newer bundle may say more."""
    assert parse(200, _body(copy.deepcopy(ALLOW) | {"new": {"x": [1]}})).allow


@pytest.mark.parametrize("key", ["allow", "reasons", "id", "result"])
def test_a_key_that_stands_twice_denies(key: str) -> None:
    """Whichever of the two was meant: readers differ in which one they take."""
    body = _body(ALLOW)
    twice = body.replace(f'"{key}": '.encode(), f'"{key}": 0, "{key}": '.encode(), 1)
    assert twice != body
    decision = parse(200, twice)
    assert (decision.allow, decision.reasons[0].code) == (False, "decision_malformed")
