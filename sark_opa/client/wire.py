"""What both clients put on the wire and make of the answers."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, Final, Literal
from urllib.parse import quote

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


class Settlement(dict[str, Any]):
    """The service's answer to a settle: the charge, or, while its database is away, that the settlement is kept.

    Kept, it is booked later without anything more to do; it has `code`, `spool_id`, `hold_id` and `received_at` then.
    """

    @property
    def spooled(self) -> bool:
        """Whether it is kept, and no charge yet."""
        return self.get("code") == "settlement_spooled"


def end_path(decision_or_id: Decision | str, end: Literal["settle", "release"]) -> str:
    """Where a hold is ended.

    Raises:
        InvalidInputError: the decision holds no money.
    """
    if isinstance(decision_or_id, str):
        hold_id = decision_or_id
    elif decision_or_id.hold is not None:
        hold_id = decision_or_id.hold.id
    else:
        raise InvalidInputError("this decision holds no money; there is nothing to settle or release")
    # An id is a name, whatever it holds: it must not lead to another route.
    return f"/v1/holds/{quote(hold_id, safe='')}/{end}"


def settle_body(usage: Mapping[str, Any] | None, amount_usd: Decimal | None, *, estimated: bool) -> bytes:
    """The body of a settlement.

    Raises:
        InvalidInputError: the usage is nothing that JSON can say.
    """
    body: dict[str, Any] = {"estimated": estimated}
    if usage is not None:
        body["usage"] = usage
    if amount_usd is not None:
        body["amount_usd"] = amount_usd
    return _encode(body, "usage")


def question_body(question: Mapping[str, Any]) -> bytes:
    """The body of a question to OPA.

    Raises:
        InvalidInputError: it is nothing that JSON can say.
    """
    return _encode({"input": question}, "question")


def _encode(body: dict[str, Any], what: str) -> bytes:
    try:
        return _encoder.encode(body)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidInputError(f"the {what} cannot be written as JSON: {error}") from error


def answer_of(status: int, body: bytes) -> dict[str, Any]:
    """The service's answer, decimals exact.

    Raises:
        RefusedError: the service answered with a problem.
        UnreachableError: what answered was not the service.
    """
    try:
        answer = _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, ArithmeticError) as error:
        raise UnreachableError(f"status {status}, and no JSON object in the body: {error}") from error
    if not 200 <= status < 300:  # noqa: PLR2004  # HTTP's borders of success
        raise RefusedError(status, str(answer.get("code", "unknown")), str(answer.get("detail", "")))
    return answer
