"""Which walls stand, by what they prevent: the level of the sandbox, and whether it is enough.

At start, processes without a plugin are made, some with all walls and some with a single one, and in each the canary
(`guest.canary`) tries what that wall is there to prevent. A wall counts when its acts were prevented, and not because
the kernel took it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sark_opa.errors import UnavailableError
from sark_opa.sandbox.contract import WALLS, Failure, LayerReport, Limits
from sark_opa.sandbox.exchange import Exchange
from sark_opa.sandbox.process import GIVEN_UP, Process
from sark_opa.sandbox.protocol import Act, Probe, Probed
from sark_opa.sandbox.spawner import Spawner

PROOFS: Final[Mapping[str, tuple[str, ...]]] = {
    "resource_limits": ("huge_memory", "many_files"),
    "namespaces": ("read_file", "stat_file", "connect_tcp"),
    "landlock": ("list_root",),
    "seccomp": ("stat_file", "list_root", "bind_tcp", "fork", "memfd", "executable_memory"),
}
"""Of a wall, acts that it prevents alone."""
LETHAL: Final[Mapping[str, tuple[str, ...]]] = {"seccomp": ("ptrace", "unshare", "io_uring")}
"""Acts for which a wall kills: each takes a process of its own."""
ALL_WALLS: Final = (
    "read_file",
    "write_file",
    "stat_file",
    "list_root",
    "bind_tcp",
    "connect_tcp",
    "fork",
    "signal_others",
    "memfd",
    "executable_memory",
    "huge_memory",
    "many_files",
    "environment",
)
"""Acts that all walls together prevent, from level 2 on."""

LEVELS: Final[tuple[tuple[int, frozenset[str]], ...]] = (
    (4, frozenset({"environment", "resource_limits", "seccomp", "landlock", "namespaces"})),
    (3, frozenset({"environment", "resource_limits", "seccomp", "landlock"})),
    (2, frozenset({"environment", "resource_limits", "seccomp"})),
    (1, frozenset({"environment", "resource_limits"})),
)
"""What each level has: 4 on a host that allows user namespaces, 3 in a container that does not, 2 on a kernel without
Landlock, 1 where seccomp is blocked, 0 otherwise."""
LEVEL_MIN: Final = 2
"""Below it a plugin's process has the whole kernel to play with."""


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found.

    Attributes:
        layers: every wall and whether it stands; a reason where it does not.
        level: 4 to 0, by `LEVELS`.
        acts: what was tried behind all walls, and how it went.
    """

    layers: tuple[LayerReport, ...] = ()
    level: int = 0
    acts: tuple[Act, ...] = ()

    def report(self) -> dict[str, Any]:
        """For `/readyz`, `doctor` and the audit record."""
        return {
            "level": self.level,
            "layers": {layer.name: {"active": layer.active, "reason": layer.reason} for layer in self.layers},
            "canary": {act.name: {"prevented": act.prevented, "detail": act.detail} for act in self.acts},
        }


@dataclass(frozen=True, slots=True)
class Requirements:
    """What the operator wants to stand before a plugin is loaded.

    Attributes:
        min_level: of `LEVELS`.
        layers: names of `WALLS`, each of which must stand.
    """

    min_level: int = LEVEL_MIN
    layers: Collection[str] = ()

    def refusal(self, found: Examination) -> str | None:
        """Why no plugin may be loaded, with what is missing and why; None when it may."""
        stands = {layer.name for layer in found.layers if layer.active}
        reasons = {layer.name: layer.reason for layer in found.layers}
        missing = [name for name in WALLS if name in self.layers and name not in stands]
        message = "SARK_SANDBOX_REQUIRE"
        if not missing and found.level < self.min_level:
            wanted = next(walls for level, walls in LEVELS if level <= self.min_level)
            missing = [name for name in WALLS if name in wanted and name not in stands]
            message = f"SARK_SANDBOX_MIN_LEVEL is {self.min_level}, here it is {found.level}"
        if not missing:
            return None
        told = "; ".join(f"{name}: {reasons.get(name, 'unknown')}" for name in missing)
        return f"plugins may not be loaded, the sandbox lacks what is required ({message}): {told}"


async def examine(spawner: Spawner, limits: Limits) -> Examination:
    """Find out which walls stand.

    Raises:
        UnavailableError: no process can be had, or a wall without which there is none does not stand.
    """
    try:
        # Nothing is ever accepted: that it can be reached is what is looked at.
        with socket.create_server(("127.0.0.1", 0)) as listener:
            return await _examined(_Canary(spawner, limits, listener.getsockname()[1]))
    except OSError as error:
        raise UnavailableError(f"the canary cannot be listened for: {error}") from error


async def _examined(canary: _Canary) -> Examination:
    process, layers = await canary.process(None)
    names = {layer.name for layer in layers if layer.active}
    acts = [*await canary.tried(process, ALL_WALLS), *await canary.lethal(("execute", *LETHAL["seccomp"]), None)]
    proven = [await canary.proven(layer) for layer in layers]
    got_through = [act.name for act in acts if not act.prevented]
    if got_through and "seccomp" in names:
        # Nothing explains this: better no wall is believed in than a wrong one.
        detail = f"the canary got through: {', '.join(got_through)}"
        proven = [LayerReport(layer.name, active=False, reason=detail) for layer in layers]
    stands = {layer.name for layer in proven if layer.active}
    level = next((level for level, walls in LEVELS if walls <= stands), 0)
    return Examination(tuple(proven), level, tuple(acts))


@dataclass(frozen=True, slots=True)
class _Canary:
    """Has acts tried in processes with all walls or a few; `port` is where the service can perhaps be reached."""

    spawner: Spawner
    limits: Limits
    port: int

    async def process(self, walls: tuple[str, ...] | None) -> tuple[Process, tuple[LayerReport, ...]]:
        return await Process.opened(self.spawner, self.limits, _nobody, walls=walls)

    async def proven(self, layer: LayerReport) -> LayerReport:
        """The report on a wall, by what it prevents when it stands alone."""
        if not layer.active:
            return layer
        acts: list[Act] = []
        walls = ("environment", "tether", "resource_limits", layer.name)
        if layer.name in PROOFS:
            process, _ = await self.process(walls)
            acts += await self.tried(process, PROOFS[layer.name])
        acts += await self.lethal(LETHAL.get(layer.name, ()), walls)
        through = [f"{act.name}: {act.detail}" for act in acts if not act.prevented]
        if through:
            return LayerReport(layer.name, active=False, reason=f"the canary got through: {'; '.join(through)}"[:400])
        return layer

    async def lethal(self, names: Collection[str], walls: tuple[str, ...] | None) -> list[Act]:
        """Acts that may end the process, each tried in one of its own."""
        acts: list[Act] = []
        for name in names:
            process, _ = await self.process(walls)
            acts += await self.tried(process, (name,))
        return acts

    async def tried(self, process: Process, names: tuple[str, ...]) -> tuple[Act, ...]:
        """What became of each act; the process is ended."""
        probe = Probe(names, self.port)
        exchange = Exchange(asyncio.get_running_loop(), probe, (Probed,), wall_s=self.limits.wall_ms / 1000)
        process.send(exchange)
        outcome = await exchange.future
        process.end(GIVEN_UP)
        if isinstance(outcome, Probed):
            return outcome.acts
        reason = outcome.reason if isinstance(outcome, Failure) else "it answered something else"
        # Only the wall's own way of killing counts: a process that became another program has ended, too.
        killed = isinstance(outcome, Failure) and outcome.status == "violation"
        return tuple(Act(name, prevented=killed, detail=reason) for name in names)


def _nobody(*_: object) -> None:
    """Whom it concerns that one of these ends: the canary's own look tells."""
