"""The words of the sandbox: what is asked, what comes back, and what a plugin may use up.

Both sides import this file, so it depends on the standard library and msgspec alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

Status = Literal[
    "ok",
    "timeout",
    "cpu_limit",
    "memory_limit",
    "crashed",
    "error",
    "violation",
    "overloaded",
    "quarantined",
]
"""How a verdict was obtained; anything but `ok` is a failure, and the verdict is not the plugin's own."""

OnError = Literal["deny", "skip"]
Need = Literal["budget_status", "clock", "host_load", "rate_window"]
"""What a plugin may ask the service for; nothing else is reachable from inside."""
State = Literal["running", "restarting", "failing", "quarantined", "closed"]

FACT_OF_NEED: Mapping[Need, str] = {"budget_status": "budget", "clock": "clock", "host_load": "load"}
"""Under which key of `PolicyContext.facts` a plugin finds what its manifest asks for. What is not here is called
during `evaluate`, on `PolicyContext.host`."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one plugin's process may use. The figures are origin's: 128 MB, 2 s of CPU, 5 s, 10 descriptors.

    Attributes:
        memory_bytes_max: address space of the process, about 35 MB of which the interpreter takes.
        cpu_ms: CPU time of one call, measured and enforced from outside.
        wall_ms: time of one call from its start, enforced from outside.
        files_max: open descriptors, four of which are taken.
        cpu_lifetime_s: CPU time of the process over its whole life, enforced by the kernel: a backstop.
        unload_ms: time for `on_unload`.
        waiting_max: calls that may wait for one plugin before further ones are refused as `overloaded`.
        waiting_bytes_max: the same in bytes of encoded questions.
        breaker_failures: failures within `breaker_window_ms` after which the plugin is not asked for a while.
        breaker_window_ms: see there.
        breaker_open_ms: for how long it is not asked; doubled each time the first question after it fails.
        breaker_open_ms_max: for how long at most.
    """

    memory_bytes_max: int = 128 << 20
    cpu_ms: int = 2_000
    wall_ms: int = 5_000
    files_max: int = 10
    cpu_lifetime_s: int = 3_600
    unload_ms: int = 1_000
    waiting_max: int = 256
    waiting_bytes_max: int = 16 << 20
    breaker_failures: int = 5
    breaker_window_ms: int = 60_000
    breaker_open_ms: int = 30_000
    breaker_open_ms_max: int = 600_000


class Question(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What plugins are asked: the fields of `PolicyContext` but its facts.

    `arguments` and `environment` are JSON values; a `Decimal` in them reaches the plugin as a string with
    its exact digits, a `datetime` as ISO 8601 text. `timestamp` has a time zone and reaches it in UTC.
    """

    principal_id: str
    resource_id: str
    capability_id: str
    action: str
    arguments: Mapping[str, Any]
    environment: Mapping[str, Any]
    timestamp: datetime
    org: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a plugin has no verdict of its own; `reason` is for people."""

    status: Status
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """A plugin's answer and how it was obtained.

    Attributes:
        plugin: its name.
        version: its version.
        allowed: its own word when `status` is `ok`; otherwise False, or True where its manifest says
            `on_error: skip`.
        reason: for people; the plugin's own, or what went wrong.
        metadata: JSON values of the plugin.
        status: `ok`, or what went wrong.
        elapsed_ms: from asking to having the answer, waiting included.
        skipped: whether a failure was turned into permission by `on_error: skip`.
        output: what the plugin printed during the call, shortened; never logged, it may hold prompts.
    """

    plugin: str
    version: str
    allowed: bool
    reason: str
    metadata: Mapping[str, Any]
    status: Status
    elapsed_ms: float
    skipped: bool = False
    output: str = field(default="", repr=False)


WALLS: Final = ("environment", "own_user", "tether", "resource_limits", "namespaces", "landlock", "seccomp")
"""The layers around every plugin, in the order they are put up."""


class LayerReport(msgspec.Struct, frozen=True, array_like=True):
    """One wall around a plugin: whether it stands in this process and, if not, why."""

    name: str
    active: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """A loaded plugin.

    Attributes:
        name: unique in its host.
        version: of the plugin.
        description: one line.
        priority: lower is asked earlier.
        needs: facts it is handed and calls it may make.
        on_error: what a failure means: `deny` or `skip`.
        state: `running`; `restarting` after a death; `failing` while it fails again and again and is not asked;
            `quarantined` after it broke out of its rules, until it is released; `closed`.
        source_digest: `sha256:` and the hex digest of its source; empty for what runs in this process.
        path: the folder or file it was loaded from; empty for what was not loaded from one.
        origin: where it came from, for people.
        requires: the plugins it is asked after, such as `business_hours>=1.0`.
        sandboxed: whether it runs in a process of its own.
        enabled: whether it is asked.
    """

    name: str
    version: str
    description: str
    priority: int
    needs: tuple[Need, ...]
    on_error: OnError
    state: State
    source_digest: str
    path: str
    origin: str
    requires: tuple[str, ...] = ()
    sandboxed: bool = True
    enabled: bool = True

    def get_metadata(self) -> dict[str, Any]:
        """Name, version, description and priority as a dictionary, as `PolicyPlugin.get_metadata`."""
        return {
            "name": self.name,
            "version": self.version,
            "description": self.description,
            "priority": self.priority,
        }
