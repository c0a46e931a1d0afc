"""Runs a plugin's `cases.yaml`: questions with the verdicts they must get, asked of the real process.

```yaml
cases:
  - name: the third call within a minute is denied
    config: {max_requests: 2, window_seconds: 60}
    steps:
      - {at: 2026-03-02T10:00:00Z, repeat: 2, expect: {allowed: true}}
      - {at: 2026-03-02T10:00:30Z, expect: {allowed: false, reason: try again in 30 s}}
```

Each case gets a process of its own, so that nothing is remembered from one to the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import yaml
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from sark_opa.errors import NotFoundError, PluginError
from sark_opa.sandbox.contract import FACT_OF_NEED, Question, Status, Verdict
from sark_opa.sandbox.host import PluginHost

FILE_NAME: Final = "cases.yaml"
DEADLINE_S: Final = 10.0


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Expectation(_Strict):
    """What a verdict must be.

    Attributes:
        allowed: exactly.
        status: exactly.
        reason: text the reason contains.
        metadata: entries the metadata contains, each exactly.
    """

    allowed: bool
    status: Status = "ok"
    reason: str = ""
    metadata: dict[str, Any] = {}


class Step(_Strict):
    """A question, asked `repeat` times, and what every verdict must be. Fields as in `PolicyContext`."""

    expect: Expectation
    at: AwareDatetime = datetime(2026, 1, 5, 12, tzinfo=UTC)
    principal_id: str = "user-1"
    org: str = "acme"
    resource_id: str = "openai"
    capability_id: str = "chat.completions"
    action: str = "invoke"
    arguments: dict[str, Any] = {}
    environment: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    repeat: Annotated[int, Field(ge=1, le=100_000)] = 1


class Case(_Strict):
    """Steps asked one after the other of one process made with `config` over the manifest's."""

    name: str
    steps: Annotated[list[Step], Field(min_length=1)]
    config: dict[str, Any] = {}


class Cases(_Strict):
    """The whole file."""

    cases: Annotated[list[Case], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class CaseResult:
    """How a case went; `faults` is empty when it passed, `output` is what the plugin printed."""

    name: str
    faults: tuple[str, ...]
    output: str


def read(path: Path) -> Cases:
    """The cases of a file.

    Raises:
        PluginError: the file or a field of it is wrong; the message names it.
    """
    try:
        return Cases.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        fault = error.errors()[0]
        field = ".".join(str(part) for part in fault["loc"])
        raise PluginError(f"{path}: {field}: {fault['msg']}", path=str(path), field=field) from error
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise PluginError(f"{path}: {error}", path=str(path)) from error


async def run(folder: Path) -> tuple[CaseResult, ...]:
    """Run every case of a plugin's folder in the sandbox.

    Raises:
        PluginError: the cases or the plugin cannot be read or loaded.
        UnavailableError: plugins cannot be run here.
    """
    cases = read(folder / FILE_NAME)
    host = PluginHost()
    try:
        await host.start()
        return tuple([await _run_case(host, folder, case) for case in cases.cases])
    finally:
        await host.close()


async def _run_case(host: PluginHost, folder: Path, case: Case) -> CaseResult:
    info = await host.load(folder, config=case.config)
    faults: list[str] = []
    output = ""
    for number, step in enumerate(case.steps, start=1):
        for turn in range(1, step.repeat + 1):
            (verdict,) = await host.evaluate(_question(step), deadline_s=DEADLINE_S, facts=_facts_of(step))
            output += verdict.output
            where = f"step {number}" if step.repeat == 1 else f"step {number}, time {turn}"
            faults += [f"{where}: {fault}" for fault in _compare(step.expect, verdict)]
    await host.unload(info.name)
    return CaseResult(case.name, tuple(faults), output)


def _question(step: Step) -> Question:
    return Question(
        principal_id=step.principal_id,
        org=step.org,
        resource_id=step.resource_id,
        capability_id=step.capability_id,
        action=step.action,
        arguments=step.arguments,
        environment=step.environment,
        timestamp=step.at,
    )


def _facts_of(step: Step) -> Any:
    known: Mapping[str, Any] = {need: step.facts[key] for need, key in FACT_OF_NEED.items() if key in step.facts}

    async def facts(need: str) -> Any:
        if need not in known:
            raise NotFoundError(f"the case gives no facts.{FACT_OF_NEED[need]}")  # type: ignore[index]  # needs are checked by the manifest
        return known[need]

    return facts


def _compare(expected: Expectation, verdict: Verdict) -> list[str]:
    seen = f"{'allowed' if verdict.allowed else 'denied'} with {verdict.reason!r}"
    faults = []
    if verdict.status != expected.status:
        faults.append(f"status is {verdict.status}, expected {expected.status}: {seen}")
    if verdict.allowed is not expected.allowed:
        faults.append(f"expected to be {'allowed' if expected.allowed else 'denied'}, was {seen}")
    if expected.reason not in verdict.reason:
        faults.append(f"the reason is {verdict.reason!r}, expected to contain {expected.reason!r}")
    for key, value in expected.metadata.items():
        if key not in verdict.metadata or verdict.metadata[key] != value:
            faults.append(f"metadata.{key} is {verdict.metadata.get(key)!r}, expected {value!r}")
    return faults
