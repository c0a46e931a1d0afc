"""The whole API of a plugin author: subclass `PolicyPlugin`, answer with a `PolicyDecision`.

This file depends on the standard library alone, so that it can be handed to a sandbox as it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

__all__ = ["PolicyContext", "PolicyDecision", "PolicyPlugin"]


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
            `budget_status` gives `facts["budget"]`, the same object Rego sees.
        org: the principal's organisation; empty where none was named.
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

    def get_metadata(self) -> dict[str, Any]:
        """Name, version, description and priority as a dictionary."""
        return {
            "name": self.name,
            "version": self.version,
            "description": self.description,
            "priority": self.priority,
        }
