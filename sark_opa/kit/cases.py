"""Runs a plugin's `cases.yaml`: questions with the verdicts they must get, asked of the real process.

```yaml
cases:
  - name: the third call within a minute is denied
    config: {max_requests: 2, window_seconds: 60}
    steps:
      - {at: 2026-03-02T10:00:00Z, repeat: 2, expect: {allowed: true}}
      - {at: 2026-03-02T10:00:30Z, expect: {allowed: false, reason: try again in 30 s}}
```

Each case gets a process of its own, and empty rate windows, so that nothing is remembered from one to the next.
The service's clock shows `at`; unless a step says otherwise under `facts`, the service is idle. What the plugin
requires is not run: it is said to allow, unless a step says what else of it under `verdicts`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from sark_opa.errors import PluginError
from sark_opa.kit.trial import Told, Trial
from sark_opa.sandbox.contract import Question, Status, Verdict
from sark_opa.sandbox.packages import archive, manifest, package, yaml_lines
from sark_opa.sandbox.packages.fault import Fault, refusal

FILE_NAME: Final = "cases.yaml"


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


class Said(_Strict):
    """What a plugin that is required has said; it has allowed, or nobody else would be asked."""

    reason: str = ""
    metadata: dict[str, Any] = {}


class Step(_Strict):
    """A question, asked `repeat` times, and what every verdict must be. Fields as in `PolicyContext`.

    `verdicts` is what plugins that are required have said, by name.
    """

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
    verdicts: dict[str, Said] = {}
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
    """How a case went.

    Attributes:
        name: of the case.
        faults: what was not as stated; empty when it passed.
        output: what the plugin printed.
        elapsed_ms: of the slowest question, loading aside.
    """

    name: str
    faults: tuple[str, ...]
    output: str
    elapsed_ms: float


def read(path: Path) -> Cases:
    """The cases of a plugin's folder or archive.

    Raises:
        PluginError: there are none, or a field is wrong; the message names the file, the line and the field.
    """
    file = path / FILE_NAME
    where = str(file)
    if path.is_file() and path.suffix != archive.SUFFIX:
        raise PluginError(f"{path} is a single file, which has no {FILE_NAME}; make a folder of it", path=str(path))
    if path.is_file():
        where = f"{path}/{FILE_NAME}"
        data = manifest.content_of(path, archive.ARCHIVE_BYTES_MAX, "an archive is no larger")
        content = archive.opened(data, origin=str(path)).files.get(FILE_NAME)
        if content is None:
            raise PluginError(f"{path} has no {FILE_NAME}", path=str(path))
    else:
        content = manifest.content_of(file, archive.TEXT_BYTES_MAX, "split them over several plugins")
    document = yaml_lines.read(package.decoded(content, where), where, aliases=True)
    try:
        return Cases.model_validate(document.value)
    except ValidationError as error:
        found = [
            Fault(where, fault["msg"], document.line_of(fault["loc"]), ".".join(str(part) for part in fault["loc"]))
            for fault in error.errors()
        ]
        raise refusal(found) from error


async def run(path: Path, *, only: str | None = None) -> tuple[CaseResult, ...]:
    """Run every case of a plugin's folder or archive in the sandbox.

    Args:
        path: of the plugin.
        only: name of the one case to run; all when None.

    Raises:
        PluginError: the cases or the plugin cannot be read or loaded, or there is no case of that name.
        UnavailableError: plugins cannot be run here.
    """
    found = [case for case in read(path).cases if only in {None, case.name}]
    if not found:
        raise PluginError(f"{path} has no case named {only!r}", path=str(path))
    async with Trial() as trial:
        return tuple([await _run_case(trial, path, case) for case in found])


def question(step: Step) -> tuple[Question, Told]:
    """What a step asks, and what the service knows meanwhile."""
    asked = Question(
        principal_id=step.principal_id,
        org=step.org,
        resource_id=step.resource_id,
        capability_id=step.capability_id,
        action=step.action,
        arguments=step.arguments,
        environment=step.environment,
        timestamp=step.at,
    )
    return asked, Told(step.facts, {name: (said.reason, said.metadata) for name, said in step.verdicts.items()})


async def _run_case(trial: Trial, path: Path, case: Case) -> CaseResult:
    await trial.load(manifest.read(path, case.config))
    faults: list[str] = []
    output = ""
    elapsed_ms = 0.0
    for number, step in enumerate(case.steps, start=1):
        for turn in range(1, step.repeat + 1):
            verdict = await trial.ask(*question(step))
            output += verdict.output
            elapsed_ms = max(elapsed_ms, verdict.elapsed_ms)
            where = f"step {number}" if step.repeat == 1 else f"step {number}, time {turn}"
            faults += [f"{where}: {fault}" for fault in _compare(step.expect, verdict)]
    return CaseResult(case.name, tuple(faults), output, elapsed_ms)


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
