"""The routes of design §4: each reads, asks one use-case, answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request, Response

from sark_opa.api.access import Role, allow
from sark_opa.api.audit import refusals
from sark_opa.api.body import read
from sark_opa.api.openapi import documented
from sark_opa.api.services import Services
from sark_opa.evaluation.accounts import AccountAnswer, AccountBody, AccountName, StatusAnswer
from sark_opa.evaluation.evaluator import call_of
from sark_opa.evaluation.facts import EstimateFact, Facts, encode
from sark_opa.evaluation.hold_bodies import ChargeAnswer, ChargeBody, ExtendBody, HoldAnswer, HoldBody, SettleBody
from sark_opa.evaluation.question import FactsQuestion, Question

facts = APIRouter(prefix="/v1", tags=["facts"])
holds = APIRouter(prefix="/v1", tags=["holds"])
accounts = APIRouter(prefix="/v1", tags=["accounts"])

FACTS_ROLES: Final[tuple[Role, ...]] = ("facts",)
Name = Annotated[AccountName, Path(description="`{org}` or `{org}/{kind}/{id}`.")]


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def _json(value: Any, status: int = 200) -> Response:
    return Response(encode(value), status, media_type="application/json")


@facts.post(
    "/facts", dependencies=[Depends(allow(*FACTS_ROLES))], openapi_extra=documented(body=FactsQuestion, answer=Facts)
)
async def ask_facts(request: Request) -> Response:
    """Estimate, budget of every ancestor, verdicts, and a hold when asked: what Rego decides with."""
    question = await read(request, FactsQuestion)
    request.state.line.update(request_id=question.request_id, org=question.principal.org)
    found = await _services(request).evaluator.answer(question, hold=question.hold, deadline_ms=question.deadline_ms)
    hold = found.budget.hold
    request.state.line.update(
        facts_id=found.id,
        principal=question.principal.id,
        estimate=found.estimate.status,
        budget=found.budget.status,
        hold=hold.outcome if hold else None,
        codes=[fault.code for fault in found.errors],
    )
    return _json(found)


@facts.post(
    "/estimates",
    dependencies=[Depends(allow("facts", "settle"))],
    openapi_extra=documented(body=Question, answer=EstimateFact),
)
async def estimate(request: Request) -> Response:
    """What a call would cost."""
    question = await read(request, Question)
    return _json(EstimateFact.of(await _services(request).costing.estimate(call_of(question), datetime.now(UTC))))


@holds.post(
    "/holds",
    dependencies=[Depends(allow("settle"))],
    openapi_extra=documented(body=HoldBody, answer=HoldAnswer, created="The hold is new."),
)
async def hold(request: Request) -> Response:
    """Set money aside for one request: an amount, or the estimated upper bound of a call."""
    body = await read(request, HoldBody, exact=True)
    request.state.line.update(request_id=body.request_id, org=body.principal.org)
    answer, created = await _services(request).holds.hold(body)
    return _json(answer, 201 if created else 200)


@holds.get(
    "/holds/{hold_id}",
    dependencies=[Depends(allow("settle", "report"))],
    openapi_extra=documented(answer=HoldAnswer),
)
async def find_hold(request: Request, hold_id: str) -> Response:
    """A hold as it stands."""
    return _json(await _services(request).holds.find(hold_id))


@holds.post(
    "/holds/{hold_id}/settle",
    dependencies=[Depends(allow("settle"))],
    openapi_extra=documented(body=SettleBody, answer=ChargeAnswer),
)
async def settle(request: Request, hold_id: str) -> Response:
    """End a hold with the provider's raw `usage` object, or with an amount."""
    body = await read(request, SettleBody, exact=True)
    return _json(await _services(request).holds.settle(hold_id, body))


@holds.post(
    "/holds/{hold_id}/release",
    dependencies=[Depends(allow("settle", "facts"))],
    openapi_extra=documented(answer=HoldAnswer),
)
async def release(request: Request, hold_id: str) -> Response:
    """End a hold unused. OPA does so itself when it denies after holding."""
    return _json(await _services(request).holds.release(hold_id))


@holds.post(
    "/holds/{hold_id}/extend",
    dependencies=[Depends(allow("settle"))],
    openapi_extra=documented(body=ExtendBody, answer=HoldAnswer),
)
async def extend(request: Request, hold_id: str) -> Response:
    """Let a hold live `ttl_s` seconds from now."""
    body = await read(request, ExtendBody)
    return _json(await _services(request).holds.extend(hold_id, body))


@holds.post(
    "/charges", dependencies=[Depends(allow("settle"))], openapi_extra=documented(body=ChargeBody, answer=ChargeAnswer)
)
async def charge(request: Request) -> Response:
    """Book a cost that never had a hold."""
    body = await read(request, ChargeBody, exact=True)
    request.state.line.update(request_id=body.request_id, org=body.principal.org)
    return _json(await _services(request).holds.charge(body))


# Before the account itself, whose id may hold slashes.
@accounts.get(
    "/accounts/{name:path}/status",
    dependencies=[Depends(allow("report", "facts", "settle"))],
    openapi_extra=documented(answer=StatusAnswer),
)
async def account_status(request: Request, name: Name) -> Response:
    """Where an account and every ancestor stand, today and this month."""
    return _json(await _services(request).accounts.status(name))


@accounts.get(
    "/accounts/{name:path}",
    dependencies=[Depends(allow("report"))],
    openapi_extra=documented(answer=AccountAnswer),
)
async def get_account(request: Request, name: Name) -> Response:
    """An account's settings."""
    return _json(await _services(request).accounts.get(name))


@accounts.put(
    "/accounts/{name:path}",
    dependencies=[Depends(refusals("account.put")), Depends(allow("admin"))],
    openapi_extra=documented(body=AccountBody, answer=AccountAnswer, created="The account is new."),
)
async def put_account(request: Request, name: Name) -> Response:
    """Create or replace an account's settings; what it has spent stays."""
    body = await read(request, AccountBody, exact=True)
    answer, created = await _services(request).accounts.put(name, body, request.state.actor)
    return _json(answer, 201 if created else 200)
