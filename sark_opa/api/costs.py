"""The routes of reports: what was charged, by what, and how it goes on."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from sark_opa.api.access import allow, require_org
from sark_opa.api.answer import json_answer, services_of
from sark_opa.api.openapi import documented
from sark_opa.errors import InvalidInputError
from sark_opa.reports.accuracy import AccuracyAnswer
from sark_opa.reports.answers import SummaryAnswer
from sark_opa.reports.attention import OLDER_THAN_S, UnpricedAnswer, UnsettledAnswer
from sark_opa.reports.costs import Costs
from sark_opa.reports.request import (
    LIMIT,
    LIMIT_MAX,
    Filters,
    Order,
    Period,
    cost_request,
    filters_of,
    period_of,
)
from sark_opa.reports.trend import By, TrendAnswer

router = APIRouter(prefix="/v1", tags=["costs"])

_Values = Annotated[list[str] | None, Query()]


def _costs(request: Request) -> Costs:
    return services_of(request).costs


def _org(
    request: Request,
    org: Annotated[str | None, Query(description="Whose costs; by default of every org the token is for.")] = None,
    account: Annotated[str | None, Query(description="Only what was charged below this account.")] = None,
) -> tuple[str | None, tuple[str, ...]]:
    """The org that is asked about, and the accounts on whose paths the charges have to lie."""
    scope = request.state.actor.account
    org = org or (account or scope or "").partition("/")[0] or None
    if scope is not None and scope.partition("/")[0] != org:
        require_org(request, org or "every org")
    request.state.line.update(org=org)
    return org, tuple(name for name in (account, scope) if name is not None)


def _period(
    from_: Annotated[
        str | None, Query(alias="from", description="First day or instant; by default 30 days up to today.")
    ] = None,
    to: Annotated[str | None, Query(description="First day or instant left out; by default the end of today.")] = None,
    timezone: Annotated[str | None, Query(description="IANA zone of the days; the org's own by default.")] = None,
) -> Period:
    return period_of(from_, to, timezone)


def _filters(
    place: Annotated[tuple[str | None, tuple[str, ...]], Depends(_org)],
    *,
    principal: _Values = None,
    team: _Values = None,
    resource: _Values = None,
    capability: _Values = None,
    provider: _Values = None,
    model: _Values = None,
    tag: Annotated[list[str] | None, Query(description="`name=value`.")] = None,
) -> tuple[str | None, Filters]:
    org, within = place
    given = {
        "principal": principal, "team": team, "resource": resource, "capability": capability, "provider": provider,
        "model": model,
    }  # fmt: skip
    return org, filters_of(org, {kind: values or () for kind, values in given.items()}, tag or (), within)


Place = Annotated[tuple[str | None, tuple[str, ...]], Depends(_org)]
Of = Annotated[tuple[str | None, Filters], Depends(_filters)]
In = Annotated[Period, Depends(_period)]


@router.get(
    "/costs/summary",
    dependencies=[Depends(allow("report", scoped=True))],
    openapi_extra=documented(answer=SummaryAnswer),
)
async def summary(
    request: Request,
    of: Of,
    period: In,
    *,
    group_by: Annotated[
        list[str] | None,
        Query(description="org, principal, team, resource, capability, provider, model, tag:NAME, hour, day, month."),
    ] = None,
    order: Annotated[
        Order | None, Query(description="`key`, or a figure, largest first. By time where there is one.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT,
    after: Annotated[str | None, Query(max_length=4_096, description="`next_after` of the page before.")] = None,
) -> Response:
    """What was charged in a period, in groups, with the sums over all of them."""
    org, filters = of
    asked = cost_request(
        org=org, period=period, group_by=group_by or [], filters=filters, order=order, limit=limit, after=after
    )
    return json_answer(await _costs(request).summary(asked))


@router.get(
    "/costs/trend",
    dependencies=[Depends(allow("report", scoped=True))],
    openapi_extra=documented(answer=TrendAnswer),
)
async def trend(request: Request, of: Of, period: In, by: Annotated[By, Query()] = "day") -> Response:
    """Spending by day or month, against the period before, and to the end of the month at the present rate."""
    org, filters = of
    return json_answer(await _costs(request).trend(org, period, by, filters))


@router.get(
    "/costs/accuracy",
    dependencies=[Depends(allow("report", scoped=True))],
    openapi_extra=documented(answer=AccuracyAnswer),
)
async def accuracy(
    request: Request, place: Place, period: In, *, provider: _Values = None, model: _Values = None
) -> Response:
    """How far estimates were off, over all and by model."""
    org = _whole_org(request, place)
    if org is None:
        raise InvalidInputError("org: say whose estimates", path="org")
    filters = filters_of(org, {"provider": provider or (), "model": model or ()})
    return json_answer(await _costs(request).accuracy(org, period, filters))


@router.get(
    "/costs/unsettled",
    dependencies=[Depends(allow("report", scoped=True))],
    openapi_extra=documented(answer=UnsettledAnswer),
)
async def unsettled(
    request: Request,
    place: Place,
    period: In,
    *,
    older_than_s: Annotated[
        int, Query(ge=0, le=31_536_000, description="Open holds younger than that are left out.")
    ] = OLDER_THAN_S,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT,
    after: Annotated[str | None, Query(max_length=4_096, description="`next_after` of the page before.")] = None,
) -> Response:
    """Holds nobody settled: open for some time, or expired."""
    org, within = place
    kept = filters_of(org, {}, (), within).within
    answer = await _costs(request).unsettled(org, period, kept, older_than_s=older_than_s, limit=limit, after=after)
    return json_answer(answer)


@router.get(
    "/costs/unpriced",
    dependencies=[Depends(allow("report", scoped=True))],
    openapi_extra=documented(answer=UnpricedAnswer),
)
async def unpriced(
    request: Request, place: Place, period: In, limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT
) -> Response:
    """Calls no price was known for, by model."""
    org = _whole_org(request, place)
    return json_answer(await _costs(request).unpriced(org, period, limit=limit))


def _whole_org(request: Request, place: tuple[str | None, tuple[str, ...]]) -> str | None:
    """The org, of what is not told apart by account."""
    org, within = place
    if request.state.actor.account is not None:
        require_org(request, org or "")
    if any(account != org for account in within):
        raise InvalidInputError("account: this is told of an org as a whole", path="account")
    return org
