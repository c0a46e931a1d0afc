"""Bodies: what is no JSON, money to the digit, and the path of each fault."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from fastapi import Request
from pydantic import BaseModel, ConfigDict, ValidationError

from sark_opa.api.body import MalformedJsonError, read
from sark_opa.api.problems import response
from sark_opa.errors import BudgetExceededError, UnauthenticatedError, UnavailableError
from sark_opa.evaluation.question import paths_of

pytestmark = pytest.mark.anyio


class Inner(BaseModel):
    """A part."""

    model_config = ConfigDict(extra="forbid", strict=True)
    amount: Decimal


class Outer(BaseModel):
    """A whole."""

    model_config = ConfigDict(extra="forbid", strict=True)
    parts: list[Inner] = []
    other: dict[str, Any] = {}


def request(raw: bytes) -> Request:
    """A request with that body."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": raw, "more_body": False}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


async def test_an_amount_keeps_its_digits() -> None:
    """Read exactly; no binary float comes between."""
    body = await read(request(b'{"parts": [{"amount": 0.1000000000000000055511151231257827}]}'), Outer, exact=True)
    assert str(body.parts[0].amount) == "0.1000000000000000055511151231257827"


async def test_no_body_is_an_empty_object() -> None:
    """Whoever releases a hold need not send any."""
    assert await read(request(b""), Outer) == Outer()


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(
    "raw",
    [
        b'{"other": {"n": NaN}}', b'{"other": {"n": -Infinity}}', b"[" * 100_000, b"\xff", b'{"a":1}{', b"'a'",
        b'{"other": {"n": ' + b"9" * 10_000 + b"}}", b'"\xed\xa0\x80"',
    ],
    ids=range(8),
)  # fmt: skip
async def test_what_is_not_json_is_refused(raw: bytes, exact: bool) -> None:  # noqa: FBT001  # a parameter
    """Whichever way numbers are read."""
    with pytest.raises(MalformedJsonError):
        await read(request(raw), Outer, exact=exact)


async def test_an_exponent_no_decimal_has_is_refused() -> None:
    """Not with a crash."""
    with pytest.raises(MalformedJsonError):
        await read(request(b'{"parts": [{"amount": 1e-99999999999999999999}]}'), Outer, exact=True)


async def test_a_fault_is_found_by_its_path() -> None:
    """Fields by dots, items by index, the body itself by nothing; and what was sent is not repeated."""
    with pytest.raises(ValidationError) as refused:
        await read(request(b'{"parts": [{"amount": 1}, {"amount": "sesame", "more": 1}]}'), Outer, exact=True)
    faults = paths_of(refused.value)
    assert {"parts[1].amount", "parts[1].more"} <= {fault["path"] for fault in faults}
    assert "sesame" not in str(faults)
    with pytest.raises(ValidationError) as refused:
        await read(request(b"[]"), Outer)
    assert [fault["path"] for fault in paths_of(refused.value)] == [""]


def test_a_problem_says_how_to_go_on() -> None:
    """401 which scheme, 503 when; details that JSON has no type for are written as text."""
    assert response(UnauthenticatedError()).headers["www-authenticate"] == "Bearer"
    assert response(UnavailableError()).headers["retry-after"] == "1"
    problem = response(BudgetExceededError("no", account="acme", left=Decimal("0.1"), of={1}))
    assert problem.status_code == 402
    assert b'"account":"acme"' in bytes(problem.body)
