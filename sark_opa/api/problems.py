"""Errors over HTTP: problem+json (RFC 9457) with a stable `code` and the path of each faulty field."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from sark_opa.errors import InvalidInputError, SarkError
from sark_opa.evaluation.question import paths_of

MEDIA_TYPE = "application/problem+json"

CRASHED = "something went wrong inside; the log of the service says what"

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["path", "message"],
                "properties": {"path": {"type": "string"}, "message": {"type": "string"}},
            },
        },
        "details": {"type": "object"},
    },
}


_RESPONSE: dict[str, Any] = {
    "description": "A problem.",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
RESPONSES: dict[int | str, dict[str, Any]] = {422: _RESPONSE, "default": _RESPONSE}
"""What every route may answer beside its own; 422 by name, or FastAPI would document a shape of its own."""


def encode(
    status: int,
    code: str,
    detail: str,
    *,
    errors: Sequence[dict[str, str]] = (),
    details: dict[str, Any] | None = None,
) -> bytes:
    """The body of a problem."""
    body: dict[str, Any] = {
        "type": f"urn:sark-opa:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if errors:
        body["errors"] = list(errors)
    if details:
        body["details"] = details
    return msgspec.json.encode(body, enc_hook=str)


def response(error: SarkError) -> Response:
    """The answer to an error raised on purpose."""
    path = error.details.get("path")
    errors = [{"path": str(path), "message": error.message}] if path else []
    headers = {"WWW-Authenticate": "Bearer"} if error.status == HTTPStatus.UNAUTHORIZED else None
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers = {"Retry-After": "1"}
    details = {name: value for name, value in error.details.items() if name != "path"}
    body = encode(error.status, error.code, error.message, errors=errors, details=details)
    return Response(body, error.status, headers, MEDIA_TYPE)


def of_sark_error(request: Request, error: SarkError) -> Response:
    """The answer to an error raised on purpose, noted in the request's log line."""
    request.state.line["code"] = error.code
    return response(error)


def of_validation_error(request: Request, error: ValidationError) -> Response:
    """The answer to a body of the wrong shape, noted in the request's log line."""
    request.state.line["code"] = InvalidInputError.code
    return _of_faults(paths_of(error))


def _of_faults(faults: list[dict[str, str]]) -> Response:
    detail = "; ".join(f"{fault['path'] or 'body'}: {fault['message']}" for fault in faults[:5])
    status, code = InvalidInputError.status, InvalidInputError.code
    return Response(encode(status, code, detail, errors=faults), status, None, MEDIA_TYPE)


async def _on_sark_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, SarkError)  # noqa: S101  # registered for this class
    return of_sark_error(request, error)


async def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ValidationError)  # noqa: S101  # registered for this class
    return of_validation_error(request, error)


async def _on_parameter_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # registered for this class
    request.state.line["code"] = InvalidInputError.code
    faults = [{"path": str(fault["loc"][-1]), "message": fault["msg"]} for fault in error.errors()]
    return _of_faults(faults)


async def _on_crash(request: Request, _error: Exception) -> Response:
    # The edge, which the error goes on to, logs it.
    return of_sark_error(request, SarkError(CRASHED))


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for this class
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    request.state.line["code"] = code
    detail = f"{request.method} {request.scope['path']}: {error.detail}"
    return Response(encode(error.status_code, code, detail), error.status_code, error.headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every error of `app` as a problem."""
    app.add_exception_handler(SarkError, _on_sark_error)
    app.add_exception_handler(ValidationError, _on_validation_error)
    app.add_exception_handler(RequestValidationError, _on_parameter_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_crash)
