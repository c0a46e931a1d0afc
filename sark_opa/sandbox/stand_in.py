"""Takes the place of a plugin that should run here and does not."""

from __future__ import annotations

from typing import Final

from packaging.requirements import Requirement

from sark_opa.sandbox.contract import Failure, Need, OnError, PluginInfo
from sark_opa.sandbox.exchange import Exchange
from sark_opa.sandbox.member import info_of

_FIRST: Final = -1_000_000
"""No plugin may say that it comes earlier."""


class StandIn:
    """A member of the chain that has nothing but failures to give, so that what is missing does not permit.

    It is asked before all others: their answers would change nothing.
    """

    priority: Final = _FIRST
    needs: Final[tuple[Need, ...]] = ()
    requires: Final[tuple[Requirement, ...]] = ()
    sandboxed: Final = True
    origin: Final = "nowhere"

    def __init__(self, name: str, *, version: str, reason: str, on_error: OnError) -> None:
        self.name = name
        self.version = version
        self.on_error: OnError = on_error
        self._failure = Failure("error", reason)

    async def start(self) -> None:
        """Nothing is to be loaded."""

    async def close(self) -> None:
        """Nothing is to be unloaded."""

    def ask(self, question: bytes, facts: bytes, deadline_at: float) -> Exchange | Failure:  # noqa: ARG002  # as every member
        """The reason why the plugin is not here."""
        return self._failure

    def info(self) -> PluginInfo:
        """What is to be known of it from outside."""
        return info_of(self, self._failure.reason, "failing")
