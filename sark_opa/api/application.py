"""The ASGI application: routes, error answers, the edge."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI

import sark_opa
from sark_opa.api import (
    accounts,
    audit,
    budgets,
    costs,
    export,
    federation,
    openapi,
    operations,
    plugins,
    problems,
    routes,
)
from sark_opa.api.access import allow
from sark_opa.api.direct import Direct, Endpoint
from sark_opa.api.edge import Edge
from sark_opa.api.services import Services

ROUTERS: Final = (
    routes.facts,
    routes.holds,
    accounts.router,
    budgets.router,
    plugins.router,
    audit.router,
    costs.router,
    export.router,
    federation.router,
    operations.router,
)


def build(services: Services, *, body_bytes_max: int, in_flight_max: int) -> Edge:
    """The application: the edge around the hot path and the routes.

    Args:
        services: everything the routes need, open already.
        body_bytes_max: largest request body, bytes.
        in_flight_max: most requests answered at once.
    """
    hot = Endpoint("POST", "/v1/facts", allow(*routes.FACTS_ROLES, scoped=True), routes.ask_facts)
    return Edge(
        Direct(routed(services), hot),
        body_bytes_max=body_bytes_max,
        in_flight_max=in_flight_max,
        metrics=services.metrics,
    )


def routed(services: Services) -> FastAPI:
    """All routes, their errors and their document."""
    app = FastAPI(
        title="sark-opa",
        version=sark_opa.__version__,
        summary="Facts for Open Policy Agent: cost, budgets, plugin verdicts.",
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=problems.RESPONSES,
    )
    app.openapi = lambda: openapi.describe(app)  # type: ignore[method-assign]  # FastAPI's own way to extend it
    app.state.services = services
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router)
    return app
