"""The audit record: reading it, and writing down what was refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import ValidationError

from sark_opa.api.access import allow
from sark_opa.api.answer import services_of
from sark_opa.api.openapi import documented
from sark_opa.errors import InvalidInputError, SarkError
from sark_opa.evaluation.facts import encode
from sark_opa.logs import get_logger
from sark_opa.storage.audit import AuditAnswer, Event

router = APIRouter(prefix="/v1", tags=["audit"])

_LIMIT: Final = 100
_LIMIT_MAX: Final = 1_000
_SUBJECT_CHARS_MAX: Final = 400
_log: Final = get_logger("sark_opa.audit")


def refusals(action: str) -> Callable[[Request], AsyncIterator[None]]:
    """A dependency, the first of its route, that writes down what a caller who showed a token was refused."""

    async def watch(request: Request) -> AsyncIterator[None]:
        try:
            yield
        except SarkError as error:
            await _write(request, action, error.code, error.details)
            raise
        except ValidationError:
            await _write(request, action, InvalidInputError.code, {})
            raise

    return watch


async def _write(request: Request, action: str, code: str, details: dict[str, Any]) -> None:
    actor = getattr(request.state, "actor", None)
    if actor is None:
        return
    services = services_of(request)
    subject = str(request.path_params.get("name", ""))[:_SUBJECT_CHARS_MAX]
    try:
        await services.audit.write(Event(actor, action, subject, "refused", code, details))
    except SarkError as error:  # what is answered is the refusal; that it is not on record is told in the log
        _log.error("refusal_not_recorded", action=action, subject=subject, refused=code, code=error.code)


@router.get("/audit", dependencies=[Depends(allow("report"))], openapi_extra=documented(answer=AuditAnswer))
async def audit(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=_LIMIT_MAX)] = _LIMIT,
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
    action: Annotated[str | None, Query(max_length=64)] = None,
    subject: Annotated[str | None, Query(max_length=_SUBJECT_CHARS_MAX)] = None,
) -> Response:
    """Who changed what, and what was refused; the latest first."""
    services = services_of(request)
    events = await services.audit.read(limit=limit, before=before, action=action, subject=subject)
    answer = AuditAnswer(events, events[-1].id if len(events) == limit else None)
    return Response(encode(answer), media_type="application/json")
