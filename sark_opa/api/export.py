"""`GET /v1/costs/export`: charges as a FOCUS data set, streamed as the database hands them out.

How many rows follow, and what they sum up to, stands in the headers. When the rest cannot be sent, the connection is
closed in the middle of the body, which every HTTP client reports.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.types import Receive, Scope, Send

from sark_opa.api.access import allow, require_org
from sark_opa.api.answer import services_of
from sark_opa.errors import DeadlineExceededError, InvalidInputError, SarkError
from sark_opa.logs import get_logger
from sark_opa.reports.export.encoders import Encoder, encoder_of
from sark_opa.reports.export.export import Export
from sark_opa.reports.export.mapping import FocusVersion
from sark_opa.reports.export.request import ExportRequest, request_of

router = APIRouter(prefix="/v1", tags=["costs"])

_log: Final = get_logger("sark_opa.export")
_STALL_S: Final = 60.0
"""For a reader to take a megabyte."""
_DAY_S: Final = 900.0
"""For a reader to take a day: as long as its statement runs, the database cannot clean up behind the holds."""
_TOO_SLOW: Final = "the reader took too long; ask for a shorter period, or have the service publish exports"


@router.get(
    "/costs/export",
    response_class=Response,
    dependencies=[Depends(allow("report", scoped=True))],
    openapi_extra={
        "responses": {
            "200": {
                "description": "The charges. `Sark-Export-Rows` and `Sark-Export-Billed-Usd` say how many rows follow "
                "and the sum of BilledCost; a body that ends early is cut off, not closed.",
                "content": {
                    "text/csv": {"schema": {"type": "string"}},
                    "application/gzip": {"schema": {"type": "string", "format": "binary"}},
                    "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
                },
            }
        }
    },
)
async def export(
    request: Request,
    *,
    org: Annotated[str | None, Query(description="Whose charges; without it, an administrator gets all.")] = None,
    from_: Annotated[
        str | None, Query(alias="from", description="First day or instant; the start of the last month by default.")
    ] = None,
    to: Annotated[str | None, Query(description="First day or instant left out; now by default.")] = None,
    timezone: Annotated[str | None, Query(description="IANA zone of days and months; the org's by default.")] = None,
    account: Annotated[str | None, Query(description="Only what was charged below this account.")] = None,
    format_: Annotated[Literal["csv", "csv.gz", "parquet"], Query(alias="format")] = "csv",
    focus_version: Annotated[FocusVersion, Query(description="Which columns.")] = "1.2",
    escape_formulas: Annotated[
        bool, Query(description="An apostrophe before what a spreadsheet would take for a formula.")
    ] = False,
) -> Response:
    """Charges as a FOCUS data set."""
    scope = request.state.actor.account
    org = org or (scope.partition("/")[0] if scope else None)
    if org is None and request.state.actor.role != "admin":
        raise InvalidInputError("org: say whose charges; only an administrator exports those of every org", path="org")
    if scope is not None and scope.partition("/")[0] != org:
        require_org(request, org or "")
    if scope is not None and account is None and "/" in scope:
        account = scope
    asked = request_of(
        org=org,
        starts=from_,
        ends=to,
        timezone=timezone,
        within=tuple(sorted({name for name in (account, scope) if name is not None})),
        focus_version=focus_version,
        escape_formulas=escape_formulas,
    )
    request.state.line.update(org=org, format=format_)
    services = services_of(request)
    return _ExportResponse(services.exports.opened(asked), encoder_of(format_, focus_version), asked, format_)


class _ExportResponse(Response):
    """Opens the export when it is sent, so that whatever becomes of the request, it is closed again."""

    def __init__(
        self, opening: AbstractAsyncContextManager[Export], encoder: Encoder, asked: ExportRequest, format_: str
    ) -> None:
        super().__init__(media_type=encoder.media_type)
        self._opening = opening
        self._encoder = encoder
        self._whole = False
        self._name = f"focus-{asked.org or 'all'}.{format_}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. An error before the first byte is a problem like any other."""
        line: dict[str, Any] = scope["state"]["line"]
        sending = asyncio.create_task(self._send(line, send))
        gone = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
            if self._whole:  # and the client knows it, perhaps before everything is put away
                await sending
            elif not sending.done():
                line["code"] = "client_gone"
        finally:
            for task in (sending, gone):
                task.cancel()
            ended, _ = await asyncio.gather(sending, gone, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended

    async def _send(self, line: dict[str, Any], send: Send) -> None:
        async with self._opening as export:
            self.init_headers(
                {
                    "content-disposition": f'attachment; filename="{self._name}"',
                    "sark-export-rows": str(export.rows),
                    "sark-export-billed-usd": f"{export.billed_usd:f}",
                    "sark-export-taken-at": export.snapshot.taken_at,
                }
            )
            headers = [each for each in self.raw_headers if each[0] != b"content-length"]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            try:
                await self._body(export, send)
            except SarkError as error:
                # The answer has begun, so the only way to tell is not to end it: the server cuts the connection.
                line["code"] = error.code
                _log.warning("export_broke_off", code=error.code, error=error.message)

    async def _body(self, export: Export, send: Send) -> None:
        await _chunk(send, await asyncio.to_thread(self._encoder.begin))
        for day in export.days:
            try:
                async with asyncio.timeout(_DAY_S), aclosing(export.chunks_of(day, self._encoder)) as chunks:
                    async for chunk in chunks:
                        await _chunk(send, chunk)
            except TimeoutError as error:
                raise DeadlineExceededError(_TOO_SLOW) from error
        await _chunk(send, await asyncio.to_thread(self._encoder.end))
        self._whole = True
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _chunk(send: Send, data: bytes) -> None:
    if not data:
        return
    try:
        async with asyncio.timeout(_STALL_S):
            await send({"type": "http.response.body", "body": data, "more_body": True})
    except TimeoutError as error:
        raise DeadlineExceededError(_TOO_SLOW) from error


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
