"""Where the time of a decision goes: inside OPA, and as CPU of each process.

Run `python -m benchmarks.breakdown`. The first table asks one at a time with OPA's own timers (`?metrics=true`); the
second loads the path with 64 connections and counts the CPU time of every process a decision. The same is shown for
OPA with one `http.send` to a handler that does nothing.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import requests
from rich.console import Console
from rich.table import Table

from benchmarks.decision import PLUGINS, QUESTION, children, put_budgets
from benchmarks.load import measure
from sark_opa.local.stack import Stack, StackOptions, running

CALLS = 300
CONNECTIONS = 64
SECONDS = 4.0
TIMERS = {
    "whole": lambda timers: timers["timer_server_handler_ns"],
    "input parsed": lambda timers: timers["timer_rego_input_parse_ns"],
    "http.send": lambda timers: timers["timer_rego_builtin_http_send_ns"],
    "rules": lambda timers: timers["timer_rego_query_eval_ns"] - timers["timer_rego_builtin_http_send_ns"],
}


def timers(port: int, path: str) -> Mapping[str, float]:
    """Median milliseconds of each part of `CALLS` decisions, asked one at a time."""
    session = requests.Session()
    seen: dict[str, list[float]] = {name: [] for name in TIMERS}
    for serial in range(CALLS):
        body = {"input": QUESTION | {"request_id": f"{time.time_ns()}-{serial}"}}
        answer = session.post(
            f"http://127.0.0.1:{port}{path}", params={"metrics": "true"}, json=body, timeout=10
        ).json()
        assert answer["result"]["allow"] is True, answer
        for name, read in TIMERS.items():
            seen[name].append(read(answer["metrics"]) / 1e6)
    return {name: statistics.median(values) for name, values in seen.items()}


def cpu_s(processes: Sequence[psutil.Process]) -> float:
    """CPU seconds these processes have used, in user and kernel mode."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


async def cpu_us(port: int, path: str, parts: Mapping[str, Sequence[psutil.Process]]) -> dict[str, float]:
    """CPU microseconds of each part for one decision under load, and the rate under `per s`."""

    async def load(seconds: float) -> Any:
        return await asyncio.to_thread(
            measure, port, path, json.dumps({"input": QUESTION}),
            connections=CONNECTIONS, seconds=seconds, expect='"allow":true',
        )  # fmt: skip

    await load(1.0)
    before = {name: cpu_s(processes) for name, processes in parts.items()}
    seen = await load(SECONDS)
    used = {name: (cpu_s(processes) - before[name]) / seen.answers * 1e6 for name, processes in parts.items()}
    return used | {"per s": seen.rate_per_s}


def processes_of(stack: Stack) -> dict[str, list[psutil.Process]]:
    """The processes behind each part of a stack."""
    assert stack.opa.pid is not None
    assert stack.service.pid is not None
    service = psutil.Process(stack.service.pid)
    data = str(stack.service.log.parent.parent / "postgres")
    servers = [process for process in psutil.process_iter() if data in _command(process)]
    backends = [child for server in servers for child in server.children(recursive=True)]
    return {
        "OPA": [psutil.Process(stack.opa.pid)],
        "service": [service],
        "plugins": service.children(recursive=True),
        "PostgreSQL": servers + backends,
    }


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it has ended, or is somebody else's
        return ""


def _show(console: Console, title: str, rows: Mapping[str, Mapping[str, float]], digits: int) -> None:
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    table = Table(title=title)
    table.add_column("what is asked")
    for column in columns:
        table.add_column(column, justify="right")
    for name, row in rows.items():
        table.add_row(name, *(f"{row[column]:,.{digits}f}" if column in row else "" for column in columns))
    console.print(table)


async def main() -> None:
    """Start everything, measure, report."""
    console = Console(width=110)
    with tempfile.TemporaryDirectory(prefix="sark-bench-") as name:
        folder = Path(name)
        config = folder / "plugins.yaml"
        config.write_text(json.dumps(PLUGINS))
        settings = {
            "SARK_LOG_LEVEL": "warning",
            "SARK_PLUGINS": ",".join(PLUGINS),
            "SARK_PLUGINS_CONFIG_FILE": str(config),
        }
        noop, opa, port = await children(folder)
        try:
            async with running(
                StackOptions(data=folder / "stack", port=0, opa_port=0, service_settings=settings), lambda _: None
            ) as stack:
                await put_budgets(stack)
                ours = int(stack.ready["opa_url"].rpartition(":")[2])
                baseline, decision = "/v1/data/baseline/one_send", "/v1/data/sark/authz/decision"
                assert opa.pid is not None
                assert noop.pid is not None
                alone = {"OPA": [psutil.Process(opa.pid)], "service": [psutil.Process(noop.pid)]}
                one = {
                    "no-op": await asyncio.to_thread(timers, port, baseline),
                    "decision": await asyncio.to_thread(timers, ours, decision),
                }
                many = {
                    "no-op": await cpu_us(port, baseline, alone),
                    "decision": await cpu_us(ours, decision, processes_of(stack)),
                }
        finally:
            await opa.stop()
            await noop.stop()
    _show(console, "Inside OPA, one at a time, median ms", one, 2)
    _show(console, f"CPU of each process a decision, {CONNECTIONS} at once, µs", many, 0)


if __name__ == "__main__":
    asyncio.run(main())
