"""What routes are made of: the parts of the service, and answers in JSON."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from sark_opa.api.services import Services
from sark_opa.evaluation.facts import encode


def services_of(request: Request) -> Services:
    """The parts of the service that answers."""
    services: Services = request.app.state.services
    return services


def json_answer(value: Any, status: int = 200) -> Response:
    """A value as JSON, amounts of money with their exact digits."""
    return Response(encode(value), status, media_type="application/json")
