"""What tells one request, settlement or charge from another."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sark_opa.errors import InvalidInputError
from sark_opa.evaluation.hold_bodies import ChargeBody, HoldBody, SettleBody

CHARGE: dict[str, Any] = {
    "request_id": "r",
    "principal": {"id": "ada", "org": "acme", "team": "ml"},
    "resource": {"id": "openai"},
    "capability": {"id": "batch"},
    "model": "gpt-4o",
    "tags": {"a": "1", "b": "2"},
    "amount_usd": 1,
}


def test_the_same_charge_is_the_same() -> None:
    """However its fields are ordered."""
    other = dict(reversed(CHARGE.items())) | {"tags": {"b": "2", "a": "1"}}
    assert ChargeBody.model_validate(CHARGE).fingerprint() == ChargeBody.model_validate(other).fingerprint()


@pytest.mark.parametrize(
    "changes",
    [
        {"principal": {"id": "bob", "org": "acme", "team": "ml"}},
        {"principal": {"id": "ada", "org": "acme", "team": "ops"}},
        {"resource": {"id": "anthropic"}},
        {"capability": {"id": "chat"}},
        {"model": "gpt-4o-mini"},
        {"tags": {}},
        {"amount_usd": 2},
        {"amount_usd": None, "usage": {"input_tokens": 1}},
        {"estimated": True},
    ],
    ids=str,
)
def test_another_charge_is_another(changes: dict[str, Any]) -> None:
    """In whatever it differs: under the same request_id it is then a conflict, and not somebody else's charge."""
    body, other = ChargeBody.model_validate(CHARGE), ChargeBody.model_validate(CHARGE | changes)
    assert other.fingerprint() != body.fingerprint()


@pytest.mark.parametrize("body", [SettleBody, ChargeBody, HoldBody])
@pytest.mark.parametrize("currency", ["EUR", "usd", "USD\n", "", 1, None])
def test_other_currencies_are_refused(body: Any, currency: object) -> None:
    """Everything is in USD; an amount in anything else must not be booked as if it were."""
    whole = {name: CHARGE[name] for name in body.model_fields if name in CHARGE} | {"currency": currency}
    with pytest.raises(ValidationError) as refused:
        body.model_validate(whole)
    assert [fault["loc"] for fault in refused.value.errors()] == [("currency",)]


def test_a_usage_too_deep_to_digest_is_refused() -> None:
    """By the name of its field, not by a crash."""
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"d": deep}
    with pytest.raises(InvalidInputError) as refused:
        SettleBody(usage=deep).digest()
    assert refused.value.details == {"path": "usage"}
    while deep:  # or freeing it would be as deep
        deep = deep.popitem()[1]
