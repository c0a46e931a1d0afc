"""The hot path without the framework's layers.

A third of an answer's time goes into routing, dependency solving and exit stacks, for a handler that uses none of it
(`python -m benchmarks.service`). So the one route that stands before every decision is called straight away. It is
registered with FastAPI all the same, which documents it and answers any other method. See
docs/decisions/0006-the-hot-path.md.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import FastAPI, Request, Response
from pydantic import ValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from sark_opa.api import problems
from sark_opa.errors import SarkError


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A route without path parameters: who may call it, and what answers."""

    method: str
    path: str
    check: Callable[[Request], Awaitable[None]]
    answer: Callable[[Request], Awaitable[Response]]


class Direct:
    """Calls `endpoint` for its method and path, and `app` for everything else."""

    def __init__(self, app: FastAPI, endpoint: Endpoint) -> None:
        self._app = app
        self._rest: ASGIApp = app
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        endpoint = self._endpoint
        if scope["type"] != "http" or scope["path"] != endpoint.path or scope["method"] != endpoint.method:
            await self._rest(scope, receive, send)
            return
        scope["app"] = self._app
        scope["route"] = endpoint
        request = Request(scope, receive)
        try:
            await endpoint.check(request)
            response = await endpoint.answer(request)
        except SarkError as error:
            response = problems.of_sark_error(request, error)
        except ValidationError as error:
            response = problems.of_validation_error(request, error)
        await response(scope, receive, send)
