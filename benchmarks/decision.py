"""The decision path, beside OPA alone and beside OPA with one `http.send` to a handler that does nothing.

Run `python -m benchmarks.decision`. Everything shares this machine, the load generator included, so the ratios count
and not the absolute figures. Each figure is the median of several short runs that take turns.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.table import Table

from benchmarks.load import Load, measure
from sark_opa.local.children import Child, base_environment, http_ready
from sark_opa.local.stack import Stack, StackOptions, free_port, running
from sark_opa.opa import server
from sark_opa.opa.binary import find_or_fetch

CONNECTIONS = (1, 16, 64)
QUESTION = {
    "request_id": "{serial}",
    "principal": {"id": "user-123", "org": "bench", "team": "ml", "attributes": {}},
    "resource": {"id": "openai", "type": "llm"},
    "capability": {"id": "chat.completions"},
    "action": "invoke",
    "arguments": {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "Compare optimistic and pessimistic locking. " * 20}],
        "max_tokens": 400,
    },
    "environment": {"ip": "10.0.0.1"},
}
PLUGINS = {
    "business_hours": {"start_hour": 0, "end_hour": 24, "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]},
    "rate_limit": {"max_requests": 100_000, "window_seconds": 1},
    "cost_aware": {},
}
BASELINE = """package baseline

alone := {"allow": true}

one_send := {"allow": response.body.ok} if {
	response := http.send({
		"method": "POST", "url": "unix://localhost/v1/facts?socket=%s", "body": input, "timeout": "2s",
		"raise_error": false,
	})
}
"""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is asked: a port and a path, and how it is called in the report."""

    name: str
    port: int
    path: str


async def children(folder: Path) -> tuple[Child, Child, int]:
    """The baseline: a handler that does nothing, an OPA that asks it, and that OPA's port."""
    socket, port = folder / "noop.sock", free_port()
    bundle = folder / "baseline"
    bundle.mkdir()
    (bundle / "baseline.rego").write_text(BASELINE % str(socket).replace("/", "%2F"))

    async def answers() -> None:
        _, writer = await asyncio.open_unix_connection(str(socket))
        writer.close()

    noop = Child(
        "no-op", [sys.executable, "-m", "benchmarks.noop", str(socket)],
        environment=base_environment() | {"PYTHONPATH": str(Path(__file__).parents[1])},
        log=folder / "noop.log", ready=answers,
    )  # fmt: skip
    opa = Child(
        "opa", server.command(find_or_fetch(print), bundle=bundle, address=f"127.0.0.1:{port}"),
        environment=server.environment(base_environment()), log=folder / "opa.log",
        ready=lambda: http_ready(port, "/health"),
    )  # fmt: skip
    await noop.start(timeout_s=30)
    await opa.start(timeout_s=30)
    return noop, opa, port


async def put_budgets(stack: Stack) -> None:
    """Accounts on three levels with limits nobody reaches."""
    headers = {"Authorization": f"Bearer {stack.ready['admin_token']}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for name, parent in (
            ("bench", None),
            ("bench/team/ml", "bench"),
            ("bench/principal/user-123", "bench/team/ml"),
        ):
            body = {"parent": parent, "daily_limit_usd": 10**6, "monthly_limit_usd": 10**7}
            async with session.put(f"{stack.ready['service_url']}/v1/accounts/{name}", json=body) as answer:
                answer.raise_for_status()


async def _measure(subjects: list[Subject], seconds: float, rounds: int) -> dict[tuple[str, int], list[Load]]:
    body = json.dumps({"input": QUESTION})
    seen: dict[tuple[str, int], list[Load]] = {}
    for number in range(rounds):
        for connections in CONNECTIONS:
            for subject in subjects:
                print(f"round {number + 1} of {rounds}: {subject.name}, {connections} at once", file=sys.stderr)
                load = await asyncio.to_thread(
                    measure, subject.port, subject.path, body,
                    connections=connections, seconds=seconds, expect='"allow":true',
                )  # fmt: skip
                if load.failed:
                    raise SystemExit(f"{subject.name}: {load.failed} of {load.answers} answers were not an allow")
                seen.setdefault((subject.name, connections), []).append(load)
    return seen


def _report(subjects: list[Subject], seen: dict[tuple[str, int], list[Load]], console: Console) -> None:
    baseline = "OPA, one http.send to a no-op"
    table = Table(title="Decision path; ratios to the no-op baseline (p50 at 1, rate at 16 and 64)")
    table.add_column("what is asked")
    for connections in CONNECTIONS:
        table.add_column(f"{connections} at once: p50 / p99 ms, per s", justify="right")
        table.add_column("ratio", justify="right")
    for subject in subjects:
        row = [subject.name]
        for connections in CONNECTIONS:
            loads, bases = seen[subject.name, connections], seen[baseline, connections]
            p50, p99, rate = (
                statistics.median(getattr(load, name) for load in loads) for name in ("p50_ms", "p99_ms", "rate_per_s")
            )
            pairs = zip(loads, bases, strict=True)
            ratio = statistics.median(
                (load.p50_ms / base.p50_ms) if connections == 1 else (load.rate_per_s / base.rate_per_s)
                for load, base in pairs
            )
            row += [f"{p50:.2f} / {p99:.1f}, {rate:,.0f}", f"{ratio:.2f}"]
        table.add_row(*row)
    console.print(table)


async def main(seconds: float, rounds: int) -> None:
    """Start everything, measure in turns, report."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="sark-bench-") as name:
        folder = Path(name)
        config = folder / "plugins.yaml"
        config.write_text(json.dumps(PLUGINS))
        settings = {"SARK_LOG_LEVEL": "warning"}
        with_plugins = {"SARK_PLUGINS": ",".join(PLUGINS), "SARK_PLUGINS_CONFIG_FILE": str(config)}
        bare = StackOptions(data=folder / "bare", port=0, opa_port=0, service_settings=settings)
        full = StackOptions(data=folder / "full", port=0, opa_port=0, service_settings=settings | with_plugins)
        noop, opa, port = await children(folder)
        try:
            async with running(bare, console.print) as first, running(full, console.print) as second:
                await put_budgets(first)
                await put_budgets(second)
                ports = [int(stack.ready["opa_url"].rpartition(":")[2]) for stack in (first, second)]
                subjects = [
                    Subject("OPA alone", port, "/v1/data/baseline/alone"),
                    Subject("OPA, one http.send to a no-op", port, "/v1/data/baseline/one_send"),
                    Subject("sark: estimate and budget status", ports[0], "/v1/data/sark/authz/preview"),
                    Subject("sark: estimate and hold", ports[0], "/v1/data/sark/authz/decision"),
                    Subject("sark: estimate, hold, three plugins", ports[1], "/v1/data/sark/authz/decision"),
                ]
                seen = await _measure(subjects, seconds, rounds)
        finally:
            await opa.stop()
            await noop.stop()
    _report(subjects, seen, console)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one run")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, taking turns")
    options = parser.parse_args()
    asyncio.run(main(options.seconds, options.rounds))
