"""OPA's decision as a gateway reads it: an allow only when it is a well-formed one."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec


class Reason(msgspec.Struct, frozen=True):
    """Why a call was refused, or what to know although it was not."""

    code: str
    message: str
    source: str = ""
    details: dict[str, Any] = {}


class Hold(msgspec.Struct, frozen=True):
    """The money set aside for this call; settle it with the real usage."""

    id: str
    amount_usd: Decimal
    expires_at: str


class Decision(msgspec.Struct, frozen=True):
    """The decision of `data.sark.authz.decision`; `docs/reference/decision.md` tells every field."""

    allow: bool
    reasons: tuple[Reason, ...]
    warnings: tuple[Reason, ...]
    estimate: dict[str, Any] | None
    budget: dict[str, Any] | None
    verdicts: tuple[dict[str, Any], ...]
    hold: Hold | None
    obligations: tuple[dict[str, Any], ...]
    facts: dict[str, Any] | None


class _Answer(msgspec.Struct, frozen=True):
    result: Decision


_decoder = msgspec.json.Decoder(_Answer, float_hook=Decimal)


def denied(code: str, message: str) -> Decision:
    """A denial made here, because OPA gave no decision that could be trusted."""
    reason = Reason(code, message, "client")
    return Decision(
        allow=False,
        reasons=(reason,),
        warnings=(),
        estimate=None,
        budget=None,
        verdicts=(),
        hold=None,
        obligations=(),
        facts=None,
    )


def parse(status: int, body: bytes) -> Decision:
    """OPA's answer as a decision.

    An answer that is not 200, has no `result`, lacks a key, has one of another type or one twice, or contradicts
    itself, is a denial with code `decision_malformed`.
    """
    if status != 200:  # noqa: PLR2004  # the only status OPA's Data API decides with
        return denied("decision_malformed", f"OPA answered with status {status}")
    try:
        decision = _decoder.decode(body).result
        if decision.allow:
            json.loads(body, object_pairs_hook=_each_once)
    except (ValueError, RecursionError, ArithmeticError) as error:
        return denied("decision_malformed", f"OPA's answer is no decision: {error}")
    contradiction = _contradiction(decision)
    return denied("decision_malformed", f"OPA's answer {contradiction}") if contradiction else decision


def _contradiction(decision: Decision) -> str | None:
    if not decision.allow:
        return None if decision.reasons else "denies without a reason"
    if decision.reasons:
        return "allows and gives reasons against it"
    to_settle = [obligation.get("href") for obligation in decision.obligations if obligation.get("type") == "settle"]
    if to_settle != ([] if decision.hold is None else [f"/v1/holds/{decision.hold.id}/settle"]):
        return "allows, but what it holds is not what it says to settle"
    return None


def _each_once(pairs: list[tuple[str, Any]]) -> None:
    # The parser takes the last of two, whoever wrote the answer may have meant the first.
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("it has a key twice")
