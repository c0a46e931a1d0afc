"""A plugin tried out in the real sandbox: alone, in a service whose clock, facts and verdicts are stated."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self

from sark_opa.errors import NotFoundError
from sark_opa.plugin import PolicyContext, PolicyDecision, PolicyPlugin
from sark_opa.sandbox.capabilities.rate_windows import RateWindows
from sark_opa.sandbox.contract import FACT_OF_NEED, PluginInfo, Question, Verdict
from sark_opa.sandbox.host import PluginHost
from sark_opa.sandbox.packages.manifest import Package

DEADLINE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Told:
    """What the service knows while a question is asked.

    Attributes:
        facts: by their key in `PolicyContext.facts`; what is left out of `clock` and `load` is that of an idle
            service.
        verdicts: reason and metadata of plugins that are required, by name.
    """

    facts: Mapping[str, Any] = field(default_factory=dict)
    verdicts: Mapping[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)


class Trial:
    """One plugin at a time, each in a new process and with empty rate windows. Use it as a context manager."""

    def __init__(self) -> None:
        self._clock = _Clock()
        self._windows = RateWindows(clock=self._clock)
        self._host = PluginHost(rate_windows=self._windows)
        self._required: dict[str, _Required] = {}
        self._name = ""

    async def __aenter__(self) -> Self:
        await self._host.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._host.close()

    async def load(self, package: Package) -> PluginInfo:
        """Load a plugin in place of the one there is; what it requires is made up.

        Raises:
            PluginError: it cannot be loaded; the message names the file, the line or field, and the remedy.
            UnavailableError: no process can be had.
        """
        for plugin in reversed(self._host.plugins()):
            await self._host.unload(plugin.name)
        self._windows.clear()
        self._required = {needed.name: _Required(needed.name) for needed in package.requires}
        for required in self._required.values():
            await self._host.register(required)
        info = await self._host.load_package(any_version(package))
        self._name = info.name
        return info

    async def ask(self, question: Question, told: Told) -> Verdict:
        """The plugin's verdict; its time is the question's."""
        self._clock.at = question.timestamp
        for name, required in self._required.items():
            required.reason, required.metadata = told.verdicts.get(name, ("", {}))
        verdicts = await self._host.evaluate(question, deadline_s=DEADLINE_S, facts=_facts_of(question, told))
        return next(verdict for verdict in verdicts if verdict.plugin == self._name)

    async def again(self) -> float:
        """Load the plugin once more, and tell how many milliseconds that took."""
        begun = time.perf_counter()
        await self._host.reload(self._name)
        return (time.perf_counter() - begun) * 1000


def any_version(package: Package) -> Package:
    """The package with whatever versions of what it requires: what is made up has none that could be compared."""
    if package.manifest is None:
        return package
    names = [needed.name for needed in package.requires]
    return dataclasses.replace(package, manifest=package.manifest.model_copy(update={"requires": names}))


class _Clock:
    """The service's clock during a question; it shows the question's time."""

    at = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> float:
        return self.at.timestamp()


class _Required(PolicyPlugin):
    """A plugin that is required, allowing with what a case says of it."""

    name = ""
    version = "0"
    priority = 0

    def __init__(self, name: str) -> None:
        self.name = name
        self.reason = ""
        self.metadata: Mapping[str, Any] = {}

    async def evaluate(self, context: PolicyContext) -> PolicyDecision:
        del context
        return PolicyDecision(allowed=True, reason=self.reason, metadata=dict(self.metadata))


def _facts_of(question: Question, told: Told) -> Callable[[str], Awaitable[Any]]:
    at = question.timestamp
    usual: Mapping[str, Any] = {
        "clock": {"now": at.astimezone(UTC).isoformat(), "monotonic_s": at.timestamp()},
        "load": {"in_flight": 1, "in_flight_max": 512, "load": 1 / 512, "error_rate": 0.0, "window_s": 60},
    }
    stated: Mapping[str, Any] = {**usual, **told.facts}
    known: Mapping[str, Any] = {need: stated[key] for need, key in FACT_OF_NEED.items() if key in stated}

    async def facts(need: str) -> Any:
        if need not in known:
            raise NotFoundError(f"the case gives no facts.{FACT_OF_NEED[need]}")  # type: ignore[index]  # needs are checked by the manifest
        return known[need]

    return facts
