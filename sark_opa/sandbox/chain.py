"""Asking plugins in order: lower priority first, equal ones at the same time, the first denial ends it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from itertools import groupby
from typing import Any, Final

from sark_opa.errors import SarkError
from sark_opa.sandbox import protocol
from sark_opa.sandbox.contract import FACT_OF_NEED, Failure, Need, Question, Verdict
from sark_opa.sandbox.exchange import Exchange
from sark_opa.sandbox.protocol import Answer
from sark_opa.sandbox.supervisor import Supervisor

FactsOf = Callable[[str], Awaitable[Any]]
"""Looks up what a manifest's `needs` names, such as `budget_status`."""

_NO_FACTS: Final = bytes(protocol.EMPTY_MAP)


class Chain:
    """A fixed set of plugins. A host that changes makes a new one and lets the old one finish."""

    def __init__(self, plugins: Iterable[Supervisor]) -> None:
        self.plugins = tuple(sorted(plugins, key=lambda plugin: (plugin.priority, plugin.name)))
        self._groups = [tuple(group) for _, group in groupby(self.plugins, key=lambda plugin: plugin.priority)]
        self._asking = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def idle(self) -> None:
        """Wait until no question is in the chain."""
        await self._idle.wait()

    async def evaluate(self, question: Question, *, deadline_at: float, facts: FactsOf) -> tuple[Verdict, ...]:
        """The verdicts of all plugins up to and including the first that denies, in the order asked."""
        if not self._groups:
            return ()
        self._asking += 1
        self._idle.clear()
        try:
            return await self._evaluate(_encoded(question), _Facts(facts, deadline_at), deadline_at)
        finally:
            self._asking -= 1
            if not self._asking:
                self._idle.set()

    async def _evaluate(self, question: bytes | Failure, facts: _Facts, deadline_at: float) -> tuple[Verdict, ...]:
        verdicts: list[Verdict] = []
        for group in self._groups:
            if isinstance(question, Failure):
                verdicts += [_failed(plugin, question) for plugin in group]
            else:
                verdicts += await _ask_all(group, question, facts, deadline_at)
            if not all(verdict.allowed for verdict in verdicts):
                break
        return tuple(verdicts)


class _Facts:
    """What plugins need to know, looked up when the first one asks, and once for each evaluation."""

    def __init__(self, source: FactsOf, deadline_at: float) -> None:
        self._source = source
        self._deadline_at = deadline_at
        self._known: dict[Need, Any] = {}

    async def encoded(self, needs: tuple[Need, ...]) -> bytes | Failure:
        """The facts as a plugin with these needs is handed them."""
        try:
            async with asyncio.timeout(self._deadline_at - time.monotonic()):
                for need in needs:
                    if need not in self._known:
                        self._known[need] = await self._source(need)
            return protocol.encode({FACT_OF_NEED[need]: self._known[need] for need in needs})
        except TimeoutError:
            return Failure("timeout", f"{', '.join(needs)} was not known before the caller's deadline")
        except (SarkError, OSError) as error:
            return Failure("error", f"{', '.join(needs)} cannot be had: {error}")
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            return Failure("error", f"{', '.join(needs)} cannot be handed to a plugin: {error}")


async def _ask_all(group: tuple[Supervisor, ...], question: bytes, facts: _Facts, deadline_at: float) -> list[Verdict]:
    """All of one priority at the same time; those that need facts as soon as these are known."""
    asked: dict[str, Exchange | Failure] = {
        plugin.name: plugin.ask(question, _NO_FACTS, deadline_at) for plugin in group if not plugin.needs
    }
    for plugin in group:
        if plugin.needs:
            known = await facts.encoded(plugin.needs)
            asked[plugin.name] = known if isinstance(known, Failure) else plugin.ask(question, known, deadline_at)
    return [await _verdict(plugin, asked[plugin.name]) for plugin in group]


async def _verdict(plugin: Supervisor, exchange: Exchange | Failure) -> Verdict:
    if isinstance(exchange, Failure):
        return _failed(plugin, exchange)
    outcome = await exchange.future
    elapsed_ms = (exchange.ended_at - exchange.asked_at) * 1000
    if isinstance(outcome, Failure):
        return _failed(plugin, outcome, elapsed_ms)
    assert isinstance(outcome, Answer)  # noqa: S101  # the process takes nothing else for an answer
    if outcome.status != "ok":
        return _failed(plugin, Failure(outcome.status, outcome.reason), elapsed_ms, outcome.output)
    return Verdict(
        plugin=plugin.name,
        version=plugin.version,
        allowed=outcome.allowed,
        reason=outcome.reason,
        metadata=outcome.metadata,
        status="ok",
        elapsed_ms=elapsed_ms,
        output=outcome.output,
    )


def _failed(plugin: Supervisor, failure: Failure, elapsed_ms: float = 0.0, output: str = "") -> Verdict:
    skipped = plugin.on_error == "skip"
    return Verdict(
        plugin=plugin.name,
        version=plugin.version,
        allowed=skipped,
        reason=failure.reason,
        metadata={},
        status=failure.status,
        elapsed_ms=elapsed_ms,
        skipped=skipped,
        output=output,
    )


def _encoded(question: Question) -> bytes | Failure:
    """Encoded once for all plugins; `Mapping` fields become plain maps."""
    try:
        if question.timestamp.tzinfo is None:
            return Failure("error", "the question cannot be handed to a plugin: its timestamp has no time zone")
        return protocol.encode(question)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        return Failure("error", f"the question cannot be handed to a plugin: {error}")
