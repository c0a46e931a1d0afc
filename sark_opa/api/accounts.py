"""The routes of accounts: read one, see where it stands, write one."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Request, Response

from sark_opa.api.access import allow
from sark_opa.api.audit import refusals
from sark_opa.api.body import read
from sark_opa.api.openapi import documented
from sark_opa.api.services import Services
from sark_opa.budget.desired import AccountName
from sark_opa.evaluation.accounts import AccountAnswer, AccountBody, StatusAnswer
from sark_opa.evaluation.facts import encode

router = APIRouter(prefix="/v1", tags=["accounts"])

JSON: Final = "application/json"
Name = Annotated[AccountName, Path(description="`{org}` or `{org}/{kind}/{id}`.")]


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


# Before the account itself, whose id may hold slashes.
@router.get(
    "/accounts/{name:path}/status",
    dependencies=[Depends(allow("report", "facts", "settle", scoped=True))],
    openapi_extra=documented(answer=StatusAnswer),
)
async def account_status(request: Request, name: Name) -> Response:
    """Where an account and every ancestor stand, today and this month."""
    answer = await _services(request).accounts.status(name, within=request.state.actor.account)
    return Response(encode(answer), media_type=JSON)


@router.get(
    "/accounts/{name:path}",
    dependencies=[Depends(allow("report", scoped=True))],
    openapi_extra=documented(answer=AccountAnswer),
)
async def get_account(request: Request, name: Name) -> Response:
    """An account's settings."""
    answer = await _services(request).accounts.get(name, within=request.state.actor.account)
    return Response(encode(answer), media_type=JSON)


@router.put(
    "/accounts/{name:path}",
    dependencies=[Depends(refusals("account.put")), Depends(allow("budget", scoped=True))],
    openapi_extra=documented(body=AccountBody, answer=AccountAnswer, created="The account is new."),
)
async def put_account(request: Request, name: Name) -> Response:
    """Create or replace an account's settings; what it has spent stays."""
    body = await read(request, AccountBody, exact=True)
    answer, created = await _services(request).accounts.put(name, body, request.state.actor)
    return Response(encode(answer), 201 if created else 200, media_type=JSON)
