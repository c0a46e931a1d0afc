"""What an answer to `/facts` costs the service itself: by the hot path, and through all of FastAPI's layers.

Run `python -m benchmarks.service`. The application is called in this process with the same question again and again;
the ledger's answer is a constant, so what is left is reading, estimating, writing, and the layers in between. Rounds
take turns; a round's figure is the mean of its calls, and the quickest quarter of the rounds counts, because other
work on the machine only ever adds.
"""

from __future__ import annotations

import asyncio
import json
import logging
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import structlog
from rich.console import Console
from rich.table import Table

from benchmarks.decision import QUESTION
from sark_opa.api import application
from sark_opa.api.edge import Edge
from sark_opa.budget.ledger import AccountWindow, Hold, HoldOutcome, HoldRequest
from sark_opa.cost import Costing
from sark_opa.evaluation.evaluator import Evaluator
from sark_opa.evaluation.load import HostLoad
from sark_opa.metrics import Metrics

ROUNDS, CALLS = 60, 50
NOW = datetime.now(UTC)
PATH = (("bench/principal/user-123", "principal"), ("bench/team/ml", "team"), ("bench", "org"))
WINDOWS = tuple(
    AccountWindow(account, kind, window, 10**15, 5, 5, NOW, NOW, "hard")
    for account, kind in PATH
    for window in ("day", "month")
)


class ConstantLedger:
    """Holds whatever it is asked for."""

    async def hold(self, request: HoldRequest, *, deadline_s: float | None = None) -> HoldOutcome:
        """Held, on three levels."""
        del deadline_s
        path = tuple(account for account, _ in PATH)
        hold = Hold(
            "id", request.org, request.request_id, path[0], path, "held", 5, None, NOW, NOW, request.attribution
        )
        return HoldOutcome("held", hold, None, WINDOWS)


def services() -> Any:
    """What the route needs, with everything real but the ledger."""
    costing, metrics = Costing(), Metrics()
    costing.warm_up()
    plugins = SimpleNamespace(plugins=tuple)
    evaluator = Evaluator(
        costing=costing,
        ledger=ConstantLedger(),  # type: ignore[arg-type]  # as much of a ledger as is asked here
        plugins=plugins,  # type: ignore[arg-type]  # same of a plugin host
        metrics=metrics,
        load=HostLoad(512),
        hold_ttl_s=60,
        deadline_ms=1_500,
    )
    return SimpleNamespace(evaluator=evaluator, metrics=metrics)


async def call(app: Any, body: bytes) -> None:
    """One request over the unix socket, without a server."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"x"), (b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    scope = {
        "type": "http", "method": "POST", "path": "/v1/facts", "raw_path": b"/v1/facts", "query_string": b"",
        "headers": headers, "server": ("/s", None), "client": None, "scheme": "http", "http_version": "1.1",
        "root_path": "", "asgi": {"version": "3.0"},
    }  # fmt: skip
    await app(scope, receive, send)
    assert sent[0]["status"] == 200, sent


async def main() -> None:
    """Measure in turns and print the table."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    parts = services()
    subjects: dict[str, Callable[..., Any]] = {
        "through FastAPI": Edge(
            application.routed(parts), body_bytes_max=4 << 20, in_flight_max=512, metrics=parts.metrics
        ),
        "hot path": application.build(parts, body_bytes_max=4 << 20, in_flight_max=512),
    }
    body = json.dumps(QUESTION | {"hold": True}).encode()
    seen: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(ROUNDS):
        for name, app in subjects.items():
            started = time.perf_counter()
            for _ in range(CALLS):
                await call(app, body)
            seen[name].append((time.perf_counter() - started) / CALLS * 1e6)
    table = Table("an answer to /facts, without its database call", "µs", "ratio")
    base = None
    for name, rounds in seen.items():
        figure = statistics.quantiles(rounds, n=4)[0]
        base = base or figure
        table.add_row(name, f"{figure:.0f}", f"{figure / base:.2f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    asyncio.run(main())
