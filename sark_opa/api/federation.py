"""The routes of the federation: for our gateways and reports by token, for other members by signature."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, Response

from sark_opa.api.access import allow, require_org
from sark_opa.api.answer import json_answer, services_of
from sark_opa.api.body import read
from sark_opa.api.federation_bodies import FederationHoldBody, GrantAnswer, TransferAnswer
from sark_opa.api.openapi import documented
from sark_opa.budget import hold_id
from sark_opa.errors import (
    FederationOffError,
    FederationSignatureError,
    InvalidInputError,
    UnknownTransferError,
)
from sark_opa.evaluation.hold_bodies import ChargeAnswer, SettleBody
from sark_opa.evaluation.spooling import SpooledAnswer
from sark_opa.federation import Federation
from sark_opa.federation.costs import Days, FederatedCosts
from sark_opa.federation.envelope import MEDIA_TYPE, Envelope
from sark_opa.federation.exchange import StatementPage
from sark_opa.federation.home import Call
from sark_opa.federation.link import SCHEME
from sark_opa.money import from_usd

router = APIRouter(prefix="/v1/federation", tags=["federation"])

_ENVELOPE: Final = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{Envelope.__name__}"}}}
_SIGNED: Final[dict[str, Any]] = {
    "requestBody": {"required": True, "content": _ENVELOPE},
    "responses": {"200": {"description": "A signed word.", "content": _ENVELOPE}},
}


def _federation(request: Request) -> Federation:
    federation = services_of(request).federation
    if federation is None:
        raise FederationOffError
    return federation


@router.post(
    "/holds",
    dependencies=[Depends(allow("settle", scoped=True))],
    openapi_extra=documented(body=FederationHoldBody, answer=GrantAnswer),
)
async def hold(request: Request) -> Response:
    """Set money aside here and at the member that is called, both or neither."""
    federation = _federation(request)
    body = await read(request, FederationHoldBody, exact=True)
    require_org(request, body.principal.org)
    if body.principal.org != federation.membership.org:
        raise InvalidInputError(
            f"principal.org: the member {federation.membership.member} is the org {federation.membership.org}",
            path="principal.org",
        )
    request.state.line.update(request_id=body.request_id, org=body.principal.org, peer=body.host)
    grant = await federation.hold(
        Call(
            request_id=body.request_id,
            principal_id=body.principal.id,
            team=body.principal.team,
            host=body.host,
            resource_id=body.resource.id,
            capability_id=body.capability.id,
            amount_nanousd=from_usd(body.amount_usd),
            ttl_s=federation.ttl_s(body.ttl_s),
        )
    )
    return json_answer(GrantAnswer.of(grant))


@router.get(
    "/transfers/{transfer_id}",
    dependencies=[Depends(allow("settle", "report", scoped=True))],
    openapi_extra=documented(answer=TransferAnswer),
)
async def transfer(request: Request, transfer_id: str) -> Response:
    """A call across organisations as it stands here."""
    federation = _federation(request)
    require_org(request, federation.membership.org)
    return json_answer(TransferAnswer.of(await federation.transfer(transfer_id)))


@router.post(
    "/transfers/{transfer_id}/settle",
    dependencies=[Depends(allow("settle", scoped=True))],
    openapi_extra=documented(body=SettleBody, answer=ChargeAnswer, accepted=SpooledAnswer),
)
async def settle(request: Request, transfer_id: str) -> Response:
    """At the host: end the acceptance hold with what the call cost, and tell the caller's home."""
    federation = _federation(request)
    org = federation.membership.org
    require_org(request, org)
    body = await read(request, SettleBody, exact=True)
    if (await federation.transfer(transfer_id)).direction != "provided":
        raise UnknownTransferError("this call is another member's to settle; we hear of it")
    answer = await services_of(request).spooling.settle(hold_id.encode(org, transfer_id), body, await request.body())
    if isinstance(answer, SpooledAnswer):  # booked later; the home is told then
        return json_answer(answer, 202)
    await federation.ended(transfer_id)
    return json_answer(answer)


@router.post(
    "/transfers/{transfer_id}/cancel",
    dependencies=[Depends(allow("settle", scoped=True))],
    openapi_extra=documented(answer=TransferAnswer),
)
async def cancel(request: Request, transfer_id: str) -> Response:
    """At home: give a call up that was granted and is not made."""
    federation = _federation(request)
    require_org(request, federation.membership.org)
    return json_answer(TransferAnswer.of(await federation.home.cancel(transfer_id)))


@router.get(
    "/costs",
    dependencies=[Depends(allow("report", scoped=True))],
    openapi_extra=documented(answer=FederatedCosts),
)
async def costs(
    request: Request,
    first: Annotated[date, Query(alias="from", description="The first day.")],
    after: Annotated[date, Query(alias="to", description="The day after the last one.")],
    principal: Annotated[str | None, Query(min_length=1, max_length=256)] = None,
) -> Response:
    """What the org or one principal spent, here and at other members, each call counted once."""
    federation = _federation(request)
    require_org(request, federation.membership.org)
    return json_answer(await federation.costs(Days(first, after), principal))


@router.post("/accept", response_class=Response, openapi_extra=_SIGNED)
async def accept(request: Request) -> Response:
    """From a caller's home: set the acceptance limit aside for a call."""
    return await _answered(request, _federation(request).accepted)


@router.post("/cancel", response_class=Response, openapi_extra=_SIGNED)
async def call_off(request: Request) -> Response:
    """From a caller's home: let go of a call."""
    return await _answered(request, _federation(request).cancelled)


@router.post("/ask", response_class=Response, openapi_extra=_SIGNED)
async def ask(request: Request) -> Response:
    """From a caller's home: how a call stands."""
    return await _answered(request, _federation(request).asked)


@router.post("/receipts", response_class=Response, openapi_extra=_SIGNED)
async def receipts(request: Request) -> Response:
    """From a host: how a call of ours ended."""
    return await _answered(request, _federation(request).receipt)


@router.get("/statements", openapi_extra=documented(answer=StatementPage))
async def statements(request: Request, after: Annotated[int, Query(ge=0, lt=2**53)] = 0) -> Response:
    """From a member: the statements for it after one."""
    federation = _federation(request)
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != SCHEME.lower():
        raise FederationSignatureError(f"send a signed pull: `Authorization: {SCHEME} <envelope in base64>`")
    try:
        envelope = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise FederationSignatureError("the header holds no envelope in base64") from error
    return json_answer(await federation.page(envelope, after))


async def _answered(request: Request, answer: Callable[[bytes], Awaitable[bytes]]) -> Response:
    return Response(await answer(await request.body()), media_type=MEDIA_TYPE)
