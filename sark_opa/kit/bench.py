"""How fast a plugin is in the real sandbox, and what it takes up."""

from __future__ import annotations

import asyncio
import platform
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from pydantic import ValidationError

from sark_opa.errors import PluginError
from sark_opa.kit import cases, processes
from sark_opa.kit.cases import Step
from sark_opa.kit.trial import Trial
from sark_opa.sandbox.contract import Verdict
from sark_opa.sandbox.packages import manifest, package, yaml_lines

LOADS: Final = 5
WARM_UP_CALLS: Final = 50
QUESTION_BYTES_MAX: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured.

    Attributes:
        machine: what it was measured on.
        plugin: its name.
        calls: how many questions were asked.
        concurrency: how many of them at the same time.
        verdicts: how many were `allowed`, `denied`, or failed with a status.
        p50_ms: half of the calls took no longer.
        p99_ms: of 100 calls 99 took no longer.
        max_ms: none took longer.
        calls_per_s: answers a second.
        load_ms: median time to load it again, from its files to taking questions.
        memory_bytes: of its process, without what it shares with others; None where the system does not tell.
    """

    machine: str
    plugin: str
    calls: int
    concurrency: int
    verdicts: dict[str, int]
    p50_ms: float
    p99_ms: float
    max_ms: float
    calls_per_s: float
    load_ms: float
    memory_bytes: int | None


async def run(
    path: Path, *, calls: int, concurrency: int, question_file: Path | None, progress: Callable[[int], None]
) -> Figures:
    """Measure a plugin.

    Args:
        path: its folder, file or archive.
        calls: how many questions to ask.
        concurrency: how many of them at the same time.
        question_file: YAML or JSON with the fields of a case's step; without it the first step of `cases.yaml`
            that is allowed is asked.
        progress: told of each call answered.

    Raises:
        PluginError: the plugin cannot be loaded, or there is no question.
        UnavailableError: plugins cannot be run here.
    """
    step, config = _question(path, question_file)
    question, told = cases.question(step)
    async with Trial() as trial:
        info = await trial.load(manifest.read(path, config))
        load_ms = statistics.median([await trial.again() for _ in range(LOADS)])
        for _ in range(WARM_UP_CALLS):
            await trial.ask(question, told)
        times_ms: list[float] = []
        verdicts: Counter[str] = Counter()
        cpu_s_before = processes.cpu_s_below()

        async def ask(count: int) -> None:
            for _ in range(count):
                begun = time.perf_counter()
                verdict = await trial.ask(question, told)
                times_ms.append((time.perf_counter() - begun) * 1000)
                verdicts[_kind(verdict)] += 1
                progress(1)

        begun = time.perf_counter()
        shares = [calls // concurrency + (place < calls % concurrency) for place in range(concurrency)]
        await asyncio.gather(*(ask(share) for share in shares))
        elapsed_s = time.perf_counter() - begun
        memory_bytes = processes.unshared_bytes_of_busiest(cpu_s_before)
    times_ms.sort()
    return Figures(
        machine=f"Python {platform.python_version()}, {platform.platform()}",
        plugin=info.name,
        calls=calls,
        concurrency=concurrency,
        verdicts=dict(verdicts),
        p50_ms=_share(times_ms, 0.5),
        p99_ms=_share(times_ms, 0.99),
        max_ms=times_ms[-1],
        calls_per_s=calls / elapsed_s,
        load_ms=load_ms,
        memory_bytes=memory_bytes,
    )


def _question(path: Path, question_file: Path | None) -> tuple[Step, dict[str, Any]]:
    if question_file is not None:
        content = manifest.content_of(question_file, QUESTION_BYTES_MAX, "no question is so large")
        fields = yaml_lines.read(package.decoded(content, str(question_file)), str(question_file), aliases=True).value
        try:
            # What the answer must be is not looked at here.
            step = Step.model_validate({"expect": {"allowed": True}, **fields} if isinstance(fields, dict) else fields)
        except ValidationError as error:
            fault = error.errors()[0]
            field = ".".join(str(part) for part in fault["loc"])
            raise PluginError(f"{question_file}: {field}: {fault['msg']}", path=str(question_file)) from error
        return step, {}
    for case in cases.read(path).cases:
        for step in case.steps:
            if step.expect.allowed and step.expect.status == "ok":
                return step, case.config
    raise PluginError(f"{path}: no step of its cases is allowed; give --question", path=str(path))


def _kind(verdict: Verdict) -> str:
    if verdict.status != "ok":
        return verdict.status
    return "allowed" if verdict.allowed else "denied"


def _share(sorted_ms: list[float], share: float) -> float:
    return sorted_ms[min(int(len(sorted_ms) * share), len(sorted_ms) - 1)]


def encoded(figures: Figures) -> bytes:
    """The figures as JSON."""
    return msgspec.json.encode(figures)
