"""The routes of design §4: each reads, asks one use-case, answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from fastapi import APIRouter, Depends, Request, Response

from sark_opa.api.access import Role, allow, require_org
from sark_opa.api.answer import json_answer, services_of
from sark_opa.api.body import read
from sark_opa.api.openapi import documented
from sark_opa.budget.hold_id import decode
from sark_opa.evaluation.evaluator import call_of
from sark_opa.evaluation.facts import EstimateFact, Facts
from sark_opa.evaluation.hold_bodies import ChargeAnswer, ChargeBody, ExtendBody, HoldAnswer, HoldBody, SettleBody
from sark_opa.evaluation.question import FactsQuestion, Question
from sark_opa.evaluation.spooling import SpooledAnswer

facts = APIRouter(prefix="/v1", tags=["facts"])
holds = APIRouter(prefix="/v1", tags=["holds"])

FACTS_ROLES: Final[tuple[Role, ...]] = ("facts",)


def _booked(request: Request, answer: ChargeAnswer | SpooledAnswer) -> Response:
    if isinstance(answer, ChargeAnswer):
        return json_answer(answer)
    request.state.line.update(code=answer.code, spool_id=answer.spool_id)
    return json_answer(answer, 202)


@facts.post(
    "/facts",
    dependencies=[Depends(allow(*FACTS_ROLES, scoped=True))],
    openapi_extra=documented(body=FactsQuestion, answer=Facts),
)
async def ask_facts(request: Request) -> Response:
    """Estimate, budget of every ancestor, verdicts, and a hold when asked: what Rego decides with."""
    question = await read(request, FactsQuestion)
    require_org(request, question.principal.org)
    request.state.line.update(request_id=question.request_id, org=question.principal.org)
    found = await services_of(request).evaluator.answer(question, hold=question.hold, deadline_ms=question.deadline_ms)
    hold = found.budget.hold
    request.state.line.update(
        facts_id=found.id,
        principal=question.principal.id,
        estimate=found.estimate.status,
        budget=found.budget.status,
        hold=hold.outcome if hold else None,
        codes=[fault.code for fault in found.errors],
    )
    return json_answer(found)


@facts.post(
    "/estimates",
    dependencies=[Depends(allow("facts", "settle", scoped=True))],
    openapi_extra=documented(body=Question, answer=EstimateFact),
)
async def estimate(request: Request) -> Response:
    """What a call would cost."""
    question = await read(request, Question)
    return json_answer(
        EstimateFact.of(await services_of(request).costing.estimate(call_of(question), datetime.now(UTC)))
    )


@holds.post(
    "/holds",
    dependencies=[Depends(allow("settle", scoped=True))],
    openapi_extra=documented(body=HoldBody, answer=HoldAnswer, created="The hold is new."),
)
async def hold(request: Request) -> Response:
    """Set money aside for one request: an amount, or the estimated upper bound of a call."""
    body = await read(request, HoldBody, exact=True)
    require_org(request, body.principal.org)
    request.state.line.update(request_id=body.request_id, org=body.principal.org)
    answer, created = await services_of(request).holds.hold(body)
    return json_answer(answer, 201 if created else 200)


@holds.get(
    "/holds/{hold_id}",
    dependencies=[Depends(allow("settle", "report", scoped=True))],
    openapi_extra=documented(answer=HoldAnswer),
)
async def find_hold(request: Request, hold_id: str) -> Response:
    """A hold as it stands."""
    require_org(request, decode(hold_id)[0])
    return json_answer(await services_of(request).holds.find(hold_id))


@holds.post(
    "/holds/{hold_id}/settle",
    dependencies=[Depends(allow("settle", scoped=True))],
    openapi_extra=documented(body=SettleBody, answer=ChargeAnswer, accepted=SpooledAnswer),
)
async def settle(request: Request, hold_id: str) -> Response:
    """End a hold with the provider's raw `usage` object, or with an amount."""
    require_org(request, decode(hold_id)[0])
    body = await read(request, SettleBody, exact=True)
    return _booked(request, await services_of(request).spooling.settle(hold_id, body, await request.body()))


@holds.post(
    "/holds/{hold_id}/release",
    dependencies=[Depends(allow("settle", "facts", scoped=True))],
    openapi_extra=documented(answer=HoldAnswer),
)
async def release(request: Request, hold_id: str) -> Response:
    """End a hold unused. OPA does so itself when it denies after holding."""
    require_org(request, decode(hold_id)[0])
    return json_answer(await services_of(request).holds.release(hold_id))


@holds.post(
    "/holds/{hold_id}/extend",
    dependencies=[Depends(allow("settle", scoped=True))],
    openapi_extra=documented(body=ExtendBody, answer=HoldAnswer),
)
async def extend(request: Request, hold_id: str) -> Response:
    """Let a hold live `ttl_s` seconds from now."""
    require_org(request, decode(hold_id)[0])
    body = await read(request, ExtendBody)
    return json_answer(await services_of(request).holds.extend(hold_id, body))


@holds.post(
    "/charges",
    dependencies=[Depends(allow("settle", scoped=True))],
    openapi_extra=documented(body=ChargeBody, answer=ChargeAnswer, accepted=SpooledAnswer),
)
async def charge(request: Request) -> Response:
    """Book a cost that never had a hold."""
    body = await read(request, ChargeBody, exact=True)
    require_org(request, body.principal.org)
    request.state.line.update(request_id=body.request_id, org=body.principal.org)
    return _booked(request, await services_of(request).spooling.charge(body, await request.body()))
