"""The routes of accounts: read one, see where it stands, write one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from sark_opa.api.access import allow
from sark_opa.api.answer import json_answer, services_of
from sark_opa.api.audit import refusals
from sark_opa.api.body import read
from sark_opa.api.openapi import documented
from sark_opa.budget.desired import AccountName
from sark_opa.evaluation.accounts import AccountAnswer, AccountBody, StatusAnswer

router = APIRouter(prefix="/v1", tags=["accounts"])

Name = Annotated[AccountName, Path(description="`{org}` or `{org}/{kind}/{id}`.")]


# Before the account itself, whose id may hold slashes.
@router.get(
    "/accounts/{name:path}/status",
    dependencies=[Depends(allow("report", "facts", "settle", scoped=True))],
    openapi_extra=documented(answer=StatusAnswer),
)
async def account_status(request: Request, name: Name) -> Response:
    """Where an account and every ancestor stand, today and this month."""
    answer = await services_of(request).accounts.status(name, within=request.state.actor.account)
    return json_answer(answer)


@router.get(
    "/accounts/{name:path}",
    dependencies=[Depends(allow("report", scoped=True))],
    openapi_extra=documented(answer=AccountAnswer),
)
async def get_account(request: Request, name: Name) -> Response:
    """An account's settings."""
    answer = await services_of(request).accounts.get(name, within=request.state.actor.account)
    return json_answer(answer)


@router.put(
    "/accounts/{name:path}",
    dependencies=[Depends(refusals("account.put")), Depends(allow("budget", scoped=True))],
    openapi_extra=documented(body=AccountBody, answer=AccountAnswer, created="The account is new."),
)
async def put_account(request: Request, name: Name) -> Response:
    """Create or replace an account's settings; what it has spent stays."""
    body = await read(request, AccountBody, exact=True)
    answer, created = await services_of(request).accounts.put(name, body, request.state.actor)
    return json_answer(answer, 201 if created else 200)
