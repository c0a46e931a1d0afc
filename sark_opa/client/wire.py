"""What both clients put on the wire and make of the answers."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, Final

import msgspec

from sark_opa.client.decision import Decision
from sark_opa.errors import InvalidInputError, SarkError

DECISION_PATH: Final = "/v1/data/sark/authz/decision"
PREVIEW_PATH: Final = "/v1/data/sark/authz/preview"
RETRIED: Final = frozenset({502, 503, 504})
"""Statuses after which the same settle or release is tried again; both are idempotent."""

_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


class RefusedError(SarkError):
    """The service refused; `problem_code` says why."""

    code: ClassVar[str] = "refused"

    def __init__(self, http_status: int, problem_code: str, message: str) -> None:
        super().__init__(message, http_status=http_status, problem_code=problem_code)
        self.http_status = http_status
        self.problem_code = problem_code


class UnreachableError(SarkError):
    """The service did not answer; whether it booked is unknown, and the same call again finds out."""

    code: ClassVar[str] = "unreachable"


def hold_id_of(decision_or_id: Decision | str) -> str:
    """The id of the hold to end.

    Raises:
        InvalidInputError: the decision holds no money.
    """
    if isinstance(decision_or_id, str):
        return decision_or_id
    if decision_or_id.hold is None:
        raise InvalidInputError("this decision holds no money; there is nothing to settle or release")
    return decision_or_id.hold.id


def settle_body(usage: Mapping[str, Any] | None, amount_usd: Decimal | None, *, estimated: bool) -> bytes:
    """The body of a settlement."""
    body: dict[str, Any] = {"estimated": estimated}
    if usage is not None:
        body["usage"] = usage
    if amount_usd is not None:
        body["amount_usd"] = amount_usd
    return encode(body)


def encode(body: Any) -> bytes:
    """A body as JSON, money as numbers."""
    return _encoder.encode(body)


def answer_of(status: int, body: bytes) -> dict[str, Any]:
    """The service's answer, decimals exact.

    Raises:
        RefusedError: the service answered with a problem.
        UnreachableError: what answered was not the service.
    """
    try:
        answer = _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnreachableError(f"status {status}, and no JSON object in the body: {error}") from error
    if status >= 400:  # noqa: PLR2004  # HTTP's border between answers and refusals
        raise RefusedError(status, str(answer.get("code", "unknown")), str(answer.get("detail", "")))
    return answer
