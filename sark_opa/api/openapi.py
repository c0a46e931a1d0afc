"""The OpenAPI document: what each route reads and answers, from the types the code itself uses.

Handlers read and write bytes (`body.py`), so FastAPI cannot see their types; each route names them here.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from sark_opa.api import problems
from sark_opa.api.federation_bodies import FederationHoldBody, GrantAnswer, TransferAnswer
from sark_opa.evaluation.accounts import AccountAnswer, AccountBody, StatusAnswer
from sark_opa.evaluation.budget_plans import ApplyBody, BudgetsAnswer, PlanAnswer, PlanBody, StandingsAnswer
from sark_opa.evaluation.facts import EstimateFact, Facts
from sark_opa.evaluation.hold_bodies import ChargeAnswer, ChargeBody, ExtendBody, HoldAnswer, HoldBody, SettleBody
from sark_opa.evaluation.plugin_answers import ConfigBody, PluginAnswer, PluginsAnswer
from sark_opa.evaluation.question import FactsQuestion, Question
from sark_opa.evaluation.raises import RaiseAnswer, RaiseBody, RaisesAnswer
from sark_opa.evaluation.spooling import SpooledAnswer
from sark_opa.federation.costs import FederatedCosts
from sark_opa.federation.envelope import Envelope
from sark_opa.federation.exchange import StatementPage
from sark_opa.reports.accuracy import AccuracyAnswer
from sark_opa.reports.answers import SummaryAnswer
from sark_opa.reports.attention import UnpricedAnswer, UnsettledAnswer
from sark_opa.reports.trend import TrendAnswer
from sark_opa.storage.audit import AuditAnswer

_BODIES: Final[tuple[type[BaseModel], ...]] = (
    FactsQuestion,
    Question,
    HoldBody,
    SettleBody,
    ExtendBody,
    ChargeBody,
    AccountBody,
    PlanBody,
    ApplyBody,
    RaiseBody,
    ConfigBody,
    FederationHoldBody,
)
_ANSWERS: Final[tuple[type[msgspec.Struct], ...]] = (
    Facts,
    EstimateFact,
    HoldAnswer,
    ChargeAnswer,
    SpooledAnswer,
    AccountAnswer,
    StatusAnswer,
    PlanAnswer,
    BudgetsAnswer,
    StandingsAnswer,
    RaiseAnswer,
    RaisesAnswer,
    PluginAnswer,
    PluginsAnswer,
    AuditAnswer,
    SummaryAnswer,
    TrendAnswer,
    AccuracyAnswer,
    UnsettledAnswer,
    UnpricedAnswer,
    GrantAnswer,
    TransferAnswer,
    FederatedCosts,
    StatementPage,
    Envelope,
)
_REFERENCE: Final = "#/components/schemas/"


def documented(
    *,
    body: type[BaseModel] | None = None,
    answer: type[msgspec.Struct] | None = None,
    created: str | None = None,
    accepted: type[msgspec.Struct] | None = None,
) -> dict[str, Any]:
    """`openapi_extra` of a route.

    Args:
        body: what it reads.
        answer: what it answers with 200.
        created: when it answers the same with 201 instead.
        accepted: what it answers with 202, when it is kept to be done later.
    """
    extra: dict[str, Any] = {"responses": {}}
    if body is not None:
        assert body in _BODIES  # noqa: S101  # or the reference would lead nowhere
        extra["requestBody"] = {"required": True, "content": _json(body)}
    if answer is not None:
        assert answer in _ANSWERS  # noqa: S101  # same
        extra["responses"]["200"] = {"description": "OK", "content": _json(answer)}
        if created is not None:
            extra["responses"]["201"] = {"description": created, "content": _json(answer)}
    if accepted is not None:
        assert accepted in _ANSWERS  # noqa: S101  # same
        extra["responses"]["202"] = {"description": "Kept, and booked later.", "content": _json(accepted)}
    return extra


def describe(app: FastAPI) -> dict[str, Any]:
    """The whole document; made once, then kept by `app`."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        _, bodies = models_json_schema([(body, "validation") for body in _BODIES], ref_template=_REFERENCE + "{model}")
        _, answers = msgspec.json.schema_components(_ANSWERS, ref_template=_REFERENCE + "{name}")
        schemas = bodies["$defs"] | _with_numbers(answers)
        assert len(schemas) == len(bodies["$defs"]) + len(answers)  # noqa: S101  # no name means two things
        document["components"] = {
            "schemas": schemas | {"Problem": problems.SCHEMA},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        }
        document["security"] = [{"token": []}, {}]
        app.openapi_schema = document
    return app.openapi_schema


def _json(of: type) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REFERENCE + of.__name__}}}


def _with_numbers(schema: Any) -> Any:
    # msgspec takes decimals for texts; this service writes them as numbers.
    if isinstance(schema, list):
        return [_with_numbers(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "decimal":
        return {"type": "number"}
    return {key: _with_numbers(part) for key, part in schema.items()}
