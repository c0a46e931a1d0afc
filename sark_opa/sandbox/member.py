"""A plugin as the chain and the host see it, wherever it runs."""

from __future__ import annotations

from typing import Protocol

from packaging.requirements import Requirement

from sark_opa.sandbox.contract import Failure, Need, OnError, PluginInfo, State
from sark_opa.sandbox.exchange import Exchange


class Member(Protocol):
    """Someone who can be asked. Its words about itself are known once it is started."""

    @property
    def name(self) -> str:
        """Unique in its host."""

    @property
    def version(self) -> str:
        """Of the plugin."""

    @property
    def priority(self) -> int:
        """Lower is asked earlier."""

    @property
    def needs(self) -> tuple[Need, ...]:
        """What it asks the service for."""

    @property
    def requires(self) -> tuple[Requirement, ...]:
        """The plugins it is asked after, and whose verdicts it is handed."""

    @property
    def on_error(self) -> OnError:
        """What a failure means."""

    @property
    def sandboxed(self) -> bool:
        """Whether it runs in a process of its own."""

    @property
    def origin(self) -> str:
        """Where it came from, for people."""

    async def start(self) -> None:
        """Load it; raises `PluginError` or `UnavailableError`."""

    async def close(self) -> None:
        """Let it unload."""

    def ask(self, question: bytes, facts: bytes, deadline_at: float) -> Exchange | Failure:
        """Put one encoded question with encoded facts; never raises. The instant is on `time.monotonic`."""

    def info(self) -> PluginInfo:
        """What is to be known of it from outside."""


def info_of(member: Member, description: str, state: State, source_digest: str = "", path: str = "") -> PluginInfo:
    """What is to be known of an enabled member; it was loaded from nowhere unless it is said from where."""
    return PluginInfo(
        name=member.name,
        version=member.version,
        description=description,
        priority=member.priority,
        needs=member.needs,
        on_error=member.on_error,
        state=state,
        source_digest=source_digest,
        path=path,
        origin=member.origin,
        requires=tuple(map(str, member.requires)),
        sandboxed=member.sandboxed,
    )
