"""A plugin in its own process, beside the same plugin awaited in this one and in a process without the kernel's walls.

Run `python -m benchmarks.plugins`. Both sides of the socket share this machine's cores with whatever else runs, so
the ratios and the medians count.
"""

from __future__ import annotations

import asyncio
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import structlog
from rich.console import Console
from rich.table import Table

from sark_opa.plugin import PolicyContext, PolicyDecision, PolicyPlugin
from sark_opa.sandbox import Limits, PluginHost, Question
from sark_opa.sandbox.contract import WALLS
from sark_opa.sandbox.doctor import Requirements

CALLS = 5_000
CONCURRENT = 64
LOADS = 30
PEERS = 5
TURNS = 20
SPARE_S = 0.1
"""More than it takes until there is a spare process again."""
BARE = tuple(wall for wall in WALLS if wall not in {"namespaces", "landlock", "seccomp"})

SOURCE = """
from sark_opa.plugin import PolicyContext, PolicyDecision, PolicyPlugin


class Bench(PolicyPlugin):
    name = "{name}"
    version = "1.0.0"

    async def evaluate(self, context: PolicyContext) -> PolicyDecision:
        if context.action == "die":
            raise MemoryError
        allowed = context.arguments["max_tokens"] <= 1000
        return PolicyDecision(allowed, "small enough", {{"max_tokens": context.arguments["max_tokens"]}})
"""


class InProcess(PolicyPlugin):
    """The same rule as `SOURCE`, without a process."""

    name = "in_process"
    version = "1.0.0"

    async def evaluate(self, context: PolicyContext) -> PolicyDecision:
        """Allow small calls."""
        allowed = context.arguments["max_tokens"] <= 1000
        return PolicyDecision(
            allowed=allowed, reason="small enough", metadata={"max_tokens": context.arguments["max_tokens"]}
        )


def question(action: str = "invoke", text_bytes: int = 300) -> Question:
    """A chat call with a prompt of so many bytes."""
    return Question(
        principal_id="user-123",
        resource_id="openai",
        capability_id="chat.completions",
        action=action,
        arguments={
            "model": "gpt-4o",
            "messages": [{"role": "user", "content": "x" * text_bytes}],
            "max_tokens": 400,
        },
        environment={"ip": "10.0.0.1"},
        timestamp=datetime.now(UTC),
    )


async def no_facts(need: str) -> Any:
    """The benchmark's plugins need none."""
    raise AssertionError(need)


async def times_us(call: Callable[[], Awaitable[Any]], count: int) -> list[float]:
    """How long each of `count` calls in a row took, in microseconds, ascending."""
    taken = []
    for _ in range(count):
        started = time.perf_counter()
        await call()
        taken.append((time.perf_counter() - started) * 1e6)
    return sorted(taken)


def percentile(ascending: list[float], share: float) -> float:
    """The value below which `share` of the others lie."""
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))]


class Bench:
    """Measures one host and fills one table."""

    def __init__(self, host: PluginHost, folder: Path) -> None:
        self.host = host
        self.folder = folder
        self.table = Table("figure", "measured", "target", "", title="plugins in their own processes")

    def row(
        self, figure: str, measured: float, unit: str, target: float | None = None, *, at_least: bool = False
    ) -> None:
        """One line; without a target it is there for comparison."""
        if target is None:
            self.table.add_row(
                figure, f"{measured:,.3g} {unit}" if measured < 1000 else f"{measured:,.0f} {unit}", "", ""
            )
            return
        met = measured >= target if at_least else measured <= target
        sign = "≥" if at_least else "≤"
        shown = f"{measured:,.0f}" if measured >= 1000 else f"{measured:.3g}"
        self.table.add_row(figure, f"{shown} {unit}", f"{sign} {target:,g} {unit}", "met" if met else "missed")

    async def ask(self, asked: Question) -> tuple[Any, ...]:
        """The verdicts."""
        return await self.host.evaluate(asked, deadline_s=10, facts=no_facts)

    def write(self, name: str) -> Path:
        """A plugin file."""
        path = self.folder / f"{name}.py"
        path.write_text(SOURCE.format(name=name))
        return path

    async def calls(self) -> None:
        """Warm calls one after the other and many at once."""
        await self.host.load(self.write("bench"))
        plugin, context = (
            InProcess(),
            PolicyContext("u", "r", "c", "invoke", {"max_tokens": 400}, {}, datetime.now(UTC)),
        )
        await times_us(lambda: plugin.evaluate(context), 1_000)
        inside = await times_us(lambda: plugin.evaluate(context), CALLS)
        asked = question()
        await times_us(lambda: self.ask(asked), 500)
        outside = await times_us(lambda: self.ask(asked), CALLS)
        self.row("in process, await plugin.evaluate, p50", percentile(inside, 0.5) / 1000, "ms")
        self.row("warm call, p50", percentile(outside, 0.5) / 1000, "ms", 0.25)
        self.row("warm call, p99", percentile(outside, 0.99) / 1000, "ms", 1.0)
        self.row("warm call / in process, p50", percentile(outside, 0.5) / percentile(inside, 0.5), "x")
        for kilobytes in (10, 100):
            large = question(text_bytes=kilobytes << 10)
            taken = await times_us(lambda large=large: self.ask(large), 500)  # type: ignore[misc]  # bound as default
            self.row(f"warm call with {kilobytes} KB, p50", percentile(taken, 0.5) / 1000, "ms")
        await self._concurrent_calls(asked)

    async def walls(self, bare: PluginHost) -> None:
        """The same worker behind all walls and without the kernel's, turn by turn, since the machine's speed drifts."""
        await bare.load(self.write("bench"))
        asked = question()
        walled: list[float] = []
        open_: list[float] = []
        for _ in range(TURNS):
            for host, taken in ((self.host, walled), (bare, open_)):
                ask = partial(host.evaluate, asked, deadline_s=10, facts=no_facts)
                await times_us(ask, 50)
                taken.extend(await times_us(ask, CALLS // TURNS))
        behind, without = (statistics.median(taken) for taken in (walled, open_))
        self.row("warm call without kernel walls, p50", without / 1000, "ms")
        self.row("warm call behind all walls / without, p50", behind / without, "x", 1.1)

    async def _concurrent_calls(self, asked: Question) -> None:
        taken: list[float] = []

        async def caller() -> None:
            taken.extend(await times_us(lambda: self.ask(asked), 2 * CALLS // CONCURRENT))

        started = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(CONCURRENT)))
        rate = len(taken) / (time.perf_counter() - started)
        taken.sort()
        self.row(f"{CONCURRENT} at once, rate", rate, "/s", 20_000, at_least=True)
        self.row(f"{CONCURRENT} at once, p50", percentile(taken, 0.5) / 1000, "ms")
        self.row(f"{CONCURRENT} at once, p99", percentile(taken, 0.99) / 1000, "ms", 10)

    async def peers(self) -> None:
        """Five plugins of one priority, asked at the same time, beside one."""
        for number in range(PEERS - 1):
            await self.host.load(self.write(f"peer{number}"))
        asked = question()
        taken = await times_us(lambda: self.ask(asked), 2_000)
        self.row(f"{PEERS} plugins of equal priority, p50", percentile(taken, 0.5) / 1000, "ms")
        self.row(f"{PEERS} plugins of equal priority, p99", percentile(taken, 0.99) / 1000, "ms")

    def memory(self) -> None:
        """What each process takes for itself."""
        zygote, *workers = sorted(psutil.Process().children(recursive=True), key=lambda process: process.pid)
        workers = [worker for worker in workers if worker.name() != "sark-keeper"]
        own = [worker.memory_full_info().uss / 1e6 for worker in workers]
        self.row("memory of a plugin's process (USS), median", statistics.median(own), "MB", 6)
        self.row("memory of the zygote (USS)", zygote.memory_full_info().uss / 1e6, "MB")

    async def _loads(self, pause_s: float) -> list[float]:
        """How long each of several loads took, in ms, with pauses in between."""
        taken = []
        for number in range(LOADS):
            path = self.write(f"load{number}")
            await asyncio.sleep(pause_s)
            started = time.perf_counter()
            await self.host.load(path)
            taken.append((time.perf_counter() - started) * 1000)
            await self.host.unload(f"load{number}")
        return taken

    async def lives(self) -> None:
        """Loading, and coming back after a death."""
        returns: list[float] = []
        loads = await self._loads(SPARE_S)
        hurried = await self._loads(0)
        for number in range(PEERS - 1):
            await self.host.unload(f"peer{number}")
        for _ in range(LOADS):
            await self.ask(question("die"))
            started = time.perf_counter()
            (verdict,) = await self.ask(question())
            assert verdict.status == "ok", verdict
            returns.append((time.perf_counter() - started) * 1000)
        self.row("load, median", statistics.median(loads), "ms", 10)
        self.row("load, slowest of 30", max(loads), "ms")
        self.row("load right after another, with no spare process yet, median", statistics.median(hurried), "ms")
        self.row("death to the next decision, median", statistics.median(returns), "ms", 25)


async def run() -> Table:
    """Measure everything and return the table."""
    host = PluginHost(Limits(breaker_failures=10 * LOADS))  # deaths are what is measured here
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(host, Path(folder))
        started = time.perf_counter()
        try:
            await host.start()
            bench.row("start of the zygote, once", (time.perf_counter() - started) * 1000, "ms", 400)
            await bench.calls()
            bare = PluginHost(walls=BARE, requirements=Requirements(min_level=1))
            try:
                await bare.start()
                await bench.walls(bare)
            finally:
                await bare.close()
            await bench.peers()
            bench.memory()
            await bench.lives()
        finally:
            await host.close()
    return bench.table


def main() -> None:
    """Print the table."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR)
    )  # deaths are on purpose here
    Console(file=sys.stdout, width=110).print(asyncio.run(run()))


if __name__ == "__main__":
    main()
