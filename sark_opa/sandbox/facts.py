"""What plugins are told beside the question: facts of the service, and the verdicts of the plugins they require."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from sark_opa.errors import SarkError
from sark_opa.sandbox import protocol
from sark_opa.sandbox.contract import FACT_OF_NEED, Failure, Need, Verdict
from sark_opa.sandbox.member import Member

FactsOf: TypeAlias = Callable[[str], Awaitable[Any]]
"""Looks up what a manifest's `needs` names, such as `budget_status`."""

VERDICTS: Final = "verdicts"
"""Under which key of `PolicyContext.facts` a plugin finds what those it requires have said."""

_NO_FACTS: Final = bytes(protocol.EMPTY_MAP)


class Facts:
    """The facts of one evaluation, each looked up when the first plugin needs it, and once.

    Attributes:
        verdicts: by plugin; filled by whoever asks.
    """

    def __init__(self, source: FactsOf, known: Mapping[str, Any], deadline_at: float) -> None:
        self._source = source
        self._given = known
        self._known = dict(known)
        self._deadline_at = deadline_at
        self._failures: dict[Need, Failure] = {}
        self._lookups: dict[Need, asyncio.Task[Any]] = {}
        self.verdicts: dict[str, Verdict] = {}

    def look_up(self, plugin: Member) -> bool:
        """See to it that what a plugin needs becomes known; whether all of it is, or has failed to be."""
        complete = True
        for need in plugin.needs:
            if need in FACT_OF_NEED and FACT_OF_NEED[need] not in self._known and need not in self._failures:
                if need not in self._lookups:
                    self._lookups[need] = asyncio.get_running_loop().create_task(self._looked_up(need))
                complete = False
        return complete

    async def more(self) -> None:
        """Wait until more is known than before; from the deadline on, what is not known has failed."""
        left_s = max(self._deadline_at - time.monotonic(), 0.0)
        done, _ = await asyncio.wait(self._lookups.values(), timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        for need, lookup in list(self._lookups.items()):
            if lookup in done:
                outcome = lookup.result()
            elif not done:
                lookup.cancel()
                outcome = Failure("timeout", f"{need} was not known before the caller's deadline")
            else:
                continue
            del self._lookups[need]
            if isinstance(outcome, Failure):
                self._failures[need] = outcome
            else:
                self._known[FACT_OF_NEED[need]] = outcome

    def encoded(self, plugin: Member) -> bytes | Failure:
        """What a plugin is handed: what it needs and requires; in this process also what nobody had to look up."""
        needs = [need for need in plugin.needs if need in FACT_OF_NEED]
        for need in needs:
            if need in self._failures:
                return self._failures[need]
        handed = {} if plugin.sandboxed else dict(self._given)
        handed.update((FACT_OF_NEED[need], self._known[FACT_OF_NEED[need]]) for need in needs)
        if plugin.requires:
            handed[VERDICTS] = {needed.name: _handed(self.verdicts[needed.name]) for needed in plugin.requires}
        if not handed:
            return _NO_FACTS
        try:
            return protocol.encode(handed)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            return Failure("error", f"{', '.join(needs) or 'facts'} cannot be handed to a plugin: {error}")

    def close(self) -> None:
        """Look nothing up any more."""
        for lookup in self._lookups.values():
            lookup.cancel()

    async def _looked_up(self, need: Need) -> Any:
        try:
            return await self._source(need)
        except (SarkError, OSError) as error:
            return Failure("error", f"{need} cannot be had: {error}")


def _handed(verdict: Verdict) -> dict[str, Any]:
    return {
        "allowed": verdict.allowed,
        "reason": verdict.reason,
        "metadata": verdict.metadata,
        "status": verdict.status,
    }
