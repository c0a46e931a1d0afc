"""Asking plugins in order: one group after the other, those of a group at the same time, the first denial ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import chain
from typing import Any, Final

from sark_opa.sandbox import protocol
from sark_opa.sandbox.contract import Failure, Question, Verdict
from sark_opa.sandbox.exchange import Exchange
from sark_opa.sandbox.facts import Facts, FactsOf
from sark_opa.sandbox.member import Member
from sark_opa.sandbox.order import Groups
from sark_opa.sandbox.protocol import Answer

_NOTHING_KNOWN: Final[Mapping[str, Any]] = {}


class Chain:
    """A fixed set of plugins in a fixed order. A host that changes makes a new one and lets the old one finish."""

    def __init__(self, groups: Groups) -> None:
        self.plugins = tuple(chain.from_iterable(groups))
        self._groups = groups
        self._asking = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def is_idle(self) -> bool:
        """Whether no question is in the chain."""
        return not self._asking

    async def idle(self) -> None:
        """Wait until no question is in the chain."""
        await self._idle.wait()

    async def evaluate(
        self, question: Question, *, deadline_at: float, facts: FactsOf, known: Mapping[str, Any] = _NOTHING_KNOWN
    ) -> tuple[Verdict, ...]:
        """The verdicts of all plugins up to and including the first that denies, in the order asked.

        Args:
            question: for all of them; encoded once.
            deadline_at: when the verdicts are there, on `time.monotonic`, whatever the plugins do.
            facts: looks up what `needs` names.
            known: facts that need no look-up, by their key in `PolicyContext.facts`.
        """
        if not self._groups:
            return ()
        self._asking += 1
        self._idle.clear()
        told = Facts(facts, known, deadline_at)
        try:
            return await self._evaluate(_encoded(question), told, deadline_at)
        finally:
            told.close()
            self._asking -= 1
            if not self._asking:
                self._idle.set()

    async def _evaluate(self, question: bytes | Failure, facts: Facts, deadline_at: float) -> tuple[Verdict, ...]:
        verdicts: list[Verdict] = []
        for group in self._groups:
            if isinstance(question, Failure):
                latest = [_failed(plugin, question) for plugin in group]
            else:
                latest = await _ask_all(group, question, facts, deadline_at)
            verdicts += latest
            if not all(verdict.allowed for verdict in latest):
                break
            facts.verdicts.update((verdict.plugin, verdict) for verdict in latest)
        return tuple(verdicts)


async def _ask_all(group: tuple[Member, ...], question: bytes, facts: Facts, deadline_at: float) -> list[Verdict]:
    """All of one group at the same time; those that need facts as soon as theirs are known."""
    asked: dict[str, Exchange | Failure] = {}
    waiting = [plugin for plugin in group if not facts.look_up(plugin)]
    try:
        for plugin in group:
            if plugin not in waiting:
                asked[plugin.name] = _put(plugin, question, facts, deadline_at)
        while waiting:
            await facts.more()
            for plugin in [plugin for plugin in waiting if facts.look_up(plugin)]:
                asked[plugin.name] = _put(plugin, question, facts, deadline_at)
                waiting.remove(plugin)
        return [await _verdict(plugin, asked[plugin.name]) for plugin in group]
    finally:
        for exchange in asked.values():
            if isinstance(exchange, Exchange):
                exchange.future.cancel()  # nobody waits any more; without effect on one that has an outcome


def _put(plugin: Member, question: bytes, facts: Facts, deadline_at: float) -> Exchange | Failure:
    known = facts.encoded(plugin)
    return known if isinstance(known, Failure) else plugin.ask(question, known, deadline_at)


async def _verdict(plugin: Member, exchange: Exchange | Failure) -> Verdict:
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


def _failed(plugin: Member, failure: Failure, elapsed_ms: float = 0.0, output: str = "") -> Verdict:
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
