"""Liveness, readiness, metrics: for the platform, without a token."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request, Response

from sark_opa.api.answer import services_of
from sark_opa.errors import SarkError
from sark_opa.evaluation.facts import encode

router = APIRouter(tags=["operations"])

_PING_TIMEOUT_S = 2.0


async def _ping(ping: Callable[[], Awaitable[None]]) -> str:
    try:
        await asyncio.wait_for(ping(), _PING_TIMEOUT_S)
    except SarkError as error:
        return error.code
    except TimeoutError:
        return "timeout"
    return "ok"


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Whether the process answers at all."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(request: Request) -> Response:
    """Whether it can decide: every part pinged; 503 when one does not answer."""
    services = services_of(request)
    results = await asyncio.gather(*(_ping(ping) for ping in services.pings.values()))
    parts = dict(zip(services.pings, results, strict=True))
    ready = all(result == "ok" for result in results)
    body = {"status": "ready" if ready else "not_ready", "parts": parts, **services.about()}
    return Response(encode(body), 200 if ready else 503, media_type="application/json")


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """All counters, for Prometheus."""
    services = services_of(request)
    services.metrics.plugins(services.plugins.states())
    return Response(services.metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")
