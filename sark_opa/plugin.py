"""The whole API of a plugin author: subclass `PolicyPlugin`, answer with a `PolicyDecision`.

This file depends on the standard library alone, so that it can be handed to a sandbox as it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

__all__ = ["CapabilityError", "Host", "PolicyContext", "PolicyDecision", "PolicyPlugin", "RateHit", "RateWindow"]


class CapabilityError(Exception):
    """The service did not do what a plugin called it for. A plugin that lets it pass denies.

    Attributes:
        code: `not_granted`: the manifest does not ask for it under `needs`; `invalid`: an argument is wrong;
            `too_many_calls`: more than 16 for one question; `timeout`: more than 250 ms; `unavailable`: the store
            cannot be reached; `overloaded`: the store is full.
    """

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class RateHit:
    """What became of a hit, or would become of it.

    Attributes:
        allowed: whether it was within the limit; only then does it count.
        remaining: how much the window has left, after this hit.
        reset_in_seconds: until the oldest of the hits that fill the window counts no more; where none is left, that
            is when there is room again. 0 for a window with no hits.
    """

    allowed: bool
    remaining: int
    reset_in_seconds: float


class RateWindow(Protocol):
    """Sliding windows that live in the service and, where it has a shared store, hold across its replicas.

    Each plugin has windows of its own. One is named by its `key` and its length; the limit may differ from hit to
    hit. Hits are counted by the service's clock.
    """

    async def hit(self, key: str, *, limit: int, window_seconds: int, cost: int = 1) -> RateHit:
        """Count a call if it is within the limit.

        Args:
            key: what is counted, such as a principal: 1 to 256 bytes.
            limit: the most hits in any `window_seconds`, 1 to 1,000,000.
            window_seconds: length of the window, 1 second to 31 days.
            cost: how many hits this one counts as, 1 to 1,000.

        Raises:
            CapabilityError: it was not counted, or nobody knows whether it was.
        """
        ...

    async def peek(self, key: str, *, limit: int, window_seconds: int, cost: int = 1) -> RateHit:
        """What `hit` would answer, without counting anything: `remaining` is as it is now."""
        ...


class Host:
    """What the service does for a plugin when called during `evaluate`: what its manifest's `needs` asked for.

    This one does nothing; inside the sandbox `PolicyContext.host` does what was granted.
    """

    @property
    def rate_window(self) -> RateWindow:
        """Windows in the service, with `needs: [rate_window]`.

        Raises:
            CapabilityError: they were not granted.
        """
        raise CapabilityError(
            "context.host.rate_window was not granted: plugin.yaml must say `needs: [rate_window]`", code="not_granted"
        )


_NOTHING_GRANTED: Final = Host()


@dataclass(frozen=True, slots=True)
class PolicyContext:
    """What a plugin is asked about.

    Attributes:
        principal_id: who calls; unique within its `org`.
        resource_id: what is called, such as `openai`.
        capability_id: what of it, such as `chat.completions`.
        action: such as `invoke`.
        arguments: the provider's own request body.
        environment: whatever the gateway stated (`ip`, …); not verified by sark-opa.
        timestamp: when the question was asked, with a time zone, always the service's clock.
        facts: what the plugin's manifest asked for under `needs`, from the service itself:
            `budget_status` gives `facts["budget"]`, the same object Rego sees;
            `clock` gives `facts["clock"]`: `now` (ISO 8601, UTC) and `monotonic_s`, which never runs backwards;
            `host_load` gives `facts["load"]`: `in_flight` and `in_flight_max` requests, `load` (the one over the
            other, 0 to 1), `error_rate` (share of the answers of the last `window_s` seconds in which something
            could not be found out, 0 to 1), `window_s`.
        org: the principal's organisation; empty where none was named.
        host: what can be called in the service: `needs: [rate_window]` gives `host.rate_window`.
    """

    principal_id: str
    resource_id: str
    capability_id: str
    action: str
    arguments: dict[str, Any]
    environment: dict[str, Any]
    timestamp: datetime
    facts: dict[str, Any] = field(default_factory=dict)
    org: str = ""
    host: Host = field(default=_NOTHING_GRANTED, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class PolicyDecision:
    """A plugin's verdict.

    Attributes:
        allowed: exactly True or False.
        reason: for people, at most 1 KiB.
        metadata: JSON values, at most 16 KiB and 32 levels.
        plugin_name: filled in by sark-opa.
    """

    allowed: bool
    reason: str
    metadata: dict[str, Any] = field(default_factory=dict)
    plugin_name: str | None = None


class PolicyPlugin(ABC):
    """Base class of every plugin. Raising or answering late is a denial with a stated reason."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Unique name, `[a-z][a-z0-9_-]*`."""

    @property
    @abstractmethod
    def version(self) -> str:
        """Version of the plugin, such as `1.0.0`."""

    @property
    def description(self) -> str:
        """One line for people."""
        return ""

    @property
    def priority(self) -> int:
        """Lower runs earlier; equal ones run concurrently; the first denial stops the rest."""
        return 100

    @abstractmethod
    async def evaluate(self, context: PolicyContext) -> PolicyDecision:
        """Answer one question."""

    async def on_load(self) -> None:
        """Called once after the plugin is made, before the first question."""

    async def on_unload(self) -> None:
        """Called once before the plugin goes."""

    def snapshot(self) -> Any:
        """What has to be remembered when the plugin's process ends, such as the calls of a window.

        Called after every decision and kept by the service, so that no decision a caller has got is forgotten,
        whatever ends the process. JSON values, at most 64 KiB and 32 levels; a decision whose snapshot cannot be
        kept is an error. Keep it small, it is paid for with every call. To be had together with `restore`.
        """

    def restore(self, state: Any) -> None:
        """Remember what `snapshot` gave in an earlier process, in place of everything remembered now.

        Called after `on_load`, before the first question. Raising means that the process is not used. When a
        new version of the plugin replaces an old one, it is handed the old one's snapshot.
        """

    def get_metadata(self) -> dict[str, Any]:
        """Name, version, description and priority as a dictionary."""
        return {
            "name": self.name,
            "version": self.version,
            "description": self.description,
            "priority": self.priority,
        }
