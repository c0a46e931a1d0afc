"""The routes of budgets as a whole: plan, apply, list, see where they stand, raise for a while."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from sark_opa.api.access import allow
from sark_opa.api.answer import json_answer, services_of
from sark_opa.api.audit import refusals
from sark_opa.api.body import read
from sark_opa.api.openapi import documented
from sark_opa.budget.desired import AccountName
from sark_opa.evaluation.budget_plans import ApplyBody, BudgetsAnswer, PlanAnswer, PlanBody, StandingsAnswer
from sark_opa.evaluation.raises import RaiseAnswer, RaiseBody, RaiseId, RaisesAnswer

router = APIRouter(prefix="/v1", tags=["budgets"])

_LIMIT: Final = 200
_LIMIT_MAX: Final = 1_000
Below = Annotated[AccountName | None, Query(description="Only this account and all below it.")]
After = Annotated[AccountName | None, Query(description="Only accounts after this one: `next_after` of a page before.")]
Limit = Annotated[int, Query(ge=1, le=_LIMIT_MAX)]


@router.post(
    "/budgets/plan",
    dependencies=[Depends(allow("budget", scoped=True))],
    openapi_extra=documented(body=PlanBody, answer=PlanAnswer),
)
async def plan(request: Request) -> Response:
    """What would change so that accounts become as stated. Nothing is written."""
    body = await read(request, PlanBody, exact=True)
    return json_answer(await services_of(request).budgets.plan(body, request.state.actor))


@router.post(
    "/budgets/apply",
    dependencies=[Depends(refusals("budgets.apply")), Depends(allow("budget", scoped=True))],
    openapi_extra=documented(body=ApplyBody, answer=PlanAnswer),
)
async def apply(request: Request) -> Response:
    """Carry a plan out in one step, unless what it was made on has changed."""
    body = await read(request, ApplyBody, exact=True)
    return json_answer(await services_of(request).budgets.apply(body, request.state.actor))


@router.get(
    "/budgets",
    dependencies=[Depends(allow("report", scoped=True))],
    openapi_extra=documented(answer=BudgetsAnswer),
)
async def budgets(request: Request, account: Below = None, after: After = None, limit: Limit = _LIMIT) -> Response:
    """Settings of accounts, by name."""
    answer = await services_of(request).budgets.listed(account, request.state.actor, after=after, limit=limit)
    return json_answer(answer)


@router.get(
    "/budgets/status",
    dependencies=[Depends(allow("report", scoped=True))],
    openapi_extra=documented(answer=StandingsAnswer),
)
async def standings(request: Request, account: Below = None, after: After = None, limit: Limit = _LIMIT) -> Response:
    """Where accounts stand now, by name."""
    answer = await services_of(request).budgets.standings(account, request.state.actor, after=after, limit=limit)
    return json_answer(answer)


@router.get(
    "/budgets/raises",
    dependencies=[Depends(allow("report", scoped=True))],
    openapi_extra=documented(answer=RaisesAnswer),
)
async def raises(
    request: Request,
    account: Below = None,
    ended: Annotated[bool, Query(description="Also those that are over.")] = False,  # noqa: FBT002  # a parameter
    limit: Limit = _LIMIT,
) -> Response:
    """Limits that are raised for a while, the latest first."""
    answer = await services_of(request).raises.listed(account, request.state.actor, ended=ended, limit=limit)
    return json_answer(answer)


@router.post(
    "/budgets/raises",
    dependencies=[Depends(refusals("raise.put")), Depends(allow("admin"))],
    openapi_extra=documented(body=RaiseBody, answer=RaiseAnswer, created="The raise is new."),
)
async def put_raise(request: Request) -> Response:
    """Raise an account's limits until an instant; then they are what they were, without anybody's doing."""
    body = await read(request, RaiseBody, exact=True)
    answer, created = await services_of(request).raises.put(body, request.state.actor)
    return json_answer(answer, 201 if created else 200)


@router.delete(
    "/budgets/raises/{raise_id}",
    dependencies=[Depends(refusals("raise.cancel")), Depends(allow("admin"))],
    openapi_extra=documented(answer=RaiseAnswer),
)
async def cancel_raise(
    request: Request,
    raise_id: Annotated[RaiseId, Path(description="As it was answered.")],
    account: Annotated[AccountName, Query(description="Whose limits were raised.")],
) -> Response:
    """End a raise before its time."""
    return json_answer(await services_of(request).raises.cancel(account, raise_id, request.state.actor))
