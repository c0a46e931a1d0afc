"""The words of the sandbox: what is asked, what comes back, and what a plugin may use up.

Both sides import this file, so it depends on the standard library and msgspec alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

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
Need = Literal["budget_status"]
State = Literal["running", "restarting", "failing", "closed"]

FACT_OF_NEED: Mapping[Need, str] = {"budget_status": "budget"}
"""Under which key of `PolicyContext.facts` a plugin finds what its manifest asks for."""


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
    """

    memory_bytes_max: int = 128 << 20
    cpu_ms: int = 2_000
    wall_ms: int = 5_000
    files_max: int = 10
    cpu_lifetime_s: int = 3_600
    unload_ms: int = 1_000
    waiting_max: int = 256
    waiting_bytes_max: int = 16 << 20


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
        needs: facts it is handed.
        on_error: what a failure means: `deny` or `skip`.
        state: `running`; `restarting` after a death; `failing` while it dies again and again; `closed`.
        source_digest: `sha256:` and the hex digest of its source.
        path: the folder or file it was loaded from.
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
