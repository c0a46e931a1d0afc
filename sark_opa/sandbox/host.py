"""The plugins of one service process: load, unload, enable, disable, list, ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

from sark_opa.errors import ConflictError, PluginError, SandboxError
from sark_opa.plugin import PolicyPlugin
from sark_opa.sandbox.capabilities.rate_windows import RateWindows
from sark_opa.sandbox.contract import WALLS, Limits, Need, OnError, PluginInfo, Question, Verdict
from sark_opa.sandbox.doctor import Examination, Requirements, examine
from sark_opa.sandbox.facts import FactsOf
from sark_opa.sandbox.in_process import InProcess
from sark_opa.sandbox.packages import manifest
from sark_opa.sandbox.packages.manifest import Package
from sark_opa.sandbox.roster import Roster, Seat
from sark_opa.sandbox.spare import Spare
from sark_opa.sandbox.spawner import Spawner
from sark_opa.sandbox.stand_in import StandIn
from sark_opa.sandbox.supervisor import Supervisor

Record = Callable[[PluginInfo], Awaitable[None]]

_NOTHING_KNOWN: Final[Mapping[str, Any]] = {}
_default_limits: Final = Limits()
_default_requirements: Final = Requirements()


class PluginHost:
    """Owns the zygote and one process per plugin. Use it from one event loop; `start` first, `close` last."""

    def __init__(
        self,
        limits: Limits = _default_limits,
        *,
        rate_windows: RateWindows | None = None,
        requirements: Requirements = _default_requirements,
        walls: Collection[str] = WALLS,
        source_check: bool = True,
    ) -> None:
        self._limits = limits
        self._rate_windows = RateWindows() if rate_windows is None else rate_windows
        self._spawner = Spawner(walls, source_check=source_check)
        self._spare = Spare(self._spawner, limits)
        self._changing = asyncio.Lock()
        self._roster = Roster()
        self._requirements = requirements
        self._examination = Examination()

    async def start(self) -> None:
        """Start the zygote, and find out which walls stand by trying what they prevent.

        Raises:
            UnavailableError: plugins cannot be run here; the message says why.
        """
        async with AsyncExitStack() as on_failure:
            on_failure.push_async_callback(self._spawner.close)
            await self._spawner.start()
            self._examination = await examine(self._spawner, self._limits)
            await self._spare.start()
            on_failure.pop_all()

    async def close(self) -> None:
        """Unload everything and end every process."""
        async with self._changing:
            await asyncio.gather(*(member.close() for member in self._roster.clear()))
            await self._spare.close()
            await self._spawner.close()

    async def load(self, path: Path, *, config: Mapping[str, Any] | None = None, enabled: bool = True) -> PluginInfo:
        """Load a plugin, or load it again from where it came from.

        The plugins that run are untouched until the new one has loaded; a plugin loaded again goes on
        answering until then, and finishes what it was asked.

        Args:
            path: a folder with a `plugin.yaml`, or a single `.py` file.
            config: keyword arguments for the plugin, over those of its manifest.
            enabled: whether it is asked; a disabled one waits in its process.

        Raises:
            PluginError: the message names the file, the line or field, and the remedy.
            UnavailableError: no process can be had.
        """
        again = partial(manifest.read, path, dict(config or {}))
        package = again()
        async with self._changing:
            return await self._admit(Seat(self._supervisor(package), enabled, again))

    async def load_package(
        self,
        package: Package,
        *,
        enabled: bool = True,
        replace: bool = False,
        name: str | None = None,
        record: Record | None = None,
    ) -> PluginInfo:
        """Load a plugin that was read already, as `load` does.

        Args:
            package: the plugin.
            enabled: whether it is asked.
            replace: whether it may replace a plugin of its name that came from somewhere else.
            name: which it has to have; any when None.
            record: is told what has been loaded once nothing speaks against it, and before it takes its place. When
                it raises, what ran goes on.

        Raises:
            PluginError: as `load`, or it has another name.
            UnavailableError: as `load`.
            SarkError: whatever `record` raises.
        """
        async with self._changing:
            seat = Seat(self._supervisor(package), enabled, lambda: package)
            return await self._admit(seat, any_origin=replace, name=name, record=record)

    async def register(
        self,
        plugin: PolicyPlugin,
        *,
        enabled: bool = True,
        needs: Sequence[Need] = (),
        requires: Sequence[str] = (),
        on_error: OnError = "deny",
    ) -> PluginInfo:
        """Take in an object of the operator's own, which runs in this process (`in_process`) and needs no `start`.

        Args:
            plugin: the object.
            enabled: whether it is asked.
            needs: facts it is handed.
            requires: plugins it is asked after, such as `business_hours>=1.0`.
            on_error: what a failure means.

        Raises:
            PluginError: it is no plugin, its name is taken, or `on_load` failed.
        """
        member = InProcess(plugin, self._limits, needs=needs, requires=requires, on_error=on_error)
        async with self._changing:
            return await self._admit(Seat(member, enabled))

    async def stand_in(self, name: str, *, version: str, reason: str, on_error: OnError) -> PluginInfo:
        """Have a plugin that should run here and cannot be loaded fail every question, with this reason.

        Whatever has that name is replaced, and plugins that require it take it for any version; loading or
        unloading a plugin of that name ends it.
        """
        async with self._changing:
            member = StandIn(name, version=version, reason=reason, on_error=on_error)
            return await self._admit(Seat(member, enabled=True))

    async def reload(self, name: str) -> PluginInfo:
        """Load a plugin again, from its files if it came from there; it stays enabled or disabled.

        Raises:
            NotFoundError: no plugin of that name is loaded.
            ConflictError: it came from nowhere.
            PluginError: as `load`.
            UnavailableError: as `load`.
        """
        async with self._changing:
            seat = self._roster.seat(name)
            if seat.again is None:
                raise ConflictError(f"{name} cannot be loaded again, there is no file of it", plugin=name)
            return await self._admit(Seat(self._supervisor(seat.again()), seat.enabled, seat.again), name=name)

    async def unload(self, name: str) -> None:
        """Take a plugin out; questions it was asked are answered first.

        Raises:
            NotFoundError: no plugin of that name is loaded.
            ConflictError: an enabled plugin requires it.
        """
        async with self._changing:
            await self._let_go(self._roster.remove(name))

    async def enable(self, name: str) -> PluginInfo:
        """Have a plugin asked from now on.

        Raises:
            NotFoundError: no plugin of that name is loaded.
            PluginError: it requires what is not enabled.
        """
        async with self._changing:
            self.switch(name, enabled=True)
            return self._roster.info(name)

    async def disable(self, name: str) -> PluginInfo:
        """Keep a plugin and ask it no more; questions it was asked are answered first.

        Raises:
            NotFoundError: no plugin of that name is loaded.
            ConflictError: an enabled plugin requires it.
        """
        async with self._changing:
            self.switch(name, enabled=False)
            await self._roster.drained()
            return self._roster.info(name)

    def switch(self, name: str, *, enabled: bool) -> None:
        """As `enable` and `disable`, at once: it waits neither for other changes nor for earlier questions."""
        self._roster.switch(name, enabled=enabled)

    async def release(self, name: str) -> PluginInfo:
        """End a plugin's quarantine: whoever does this has looked at the plugin.

        Raises:
            NotFoundError: no plugin of that name is loaded.
            ConflictError: it has no process that could be quarantined.
        """
        async with self._changing:
            member = self._roster.seat(name).member
            if not isinstance(member, Supervisor):
                raise ConflictError(f"{name} has no process of its own, there is nothing to release", plugin=name)
            member.release()
            return self._roster.info(name)

    def plugins(self) -> tuple[PluginInfo, ...]:
        """What is loaded: the enabled ones in the order they are asked, then the disabled ones."""
        return self._roster.infos()

    def sandbox(self) -> dict[str, Any]:
        """What stands between plugins and this machine, as the canary found it: `Examination.report`."""
        return self._examination.report()

    async def evaluate(
        self, question: Question, *, deadline_s: float, facts: FactsOf, known: Mapping[str, Any] = _NOTHING_KNOWN
    ) -> tuple[Verdict, ...]:
        """Ask the plugins.

        Args:
            question: for all of them; encoded once.
            deadline_s: seconds within which the verdicts are there, whatever the plugins do.
            facts: looks up what a manifest's `needs` names; awaited only when a plugin needs it, while the
                others are being asked. A `SarkError` or `OSError` of it fails those plugins.
            known: facts that need no look-up, by their key in `PolicyContext.facts`. A plugin in this process
                is handed all of them, a sandboxed one what it needs.

        Returns:
            One verdict for each plugin asked, up to and including the first denial.
        """
        deadline_at = time.monotonic() + deadline_s
        return await self._roster.chain.evaluate(question, deadline_at=deadline_at, facts=facts, known=known)

    async def ping(self) -> None:
        """See whether the zygote answers; start another one if it has ended.

        Raises:
            UnavailableError: it does not.
        """
        await self._spawner.ping()

    def _supervisor(self, package: Package) -> Supervisor:
        refusal = self._requirements.refusal(self._examination)
        if refusal is not None:
            raise SandboxError(refusal)
        return Supervisor(self._spare, package, self._limits, self._rate_windows)

    async def _admit(
        self, seat: Seat, *, any_origin: bool = False, name: str | None = None, record: Record | None = None
    ) -> PluginInfo:
        """Load it, and let it in if it may; what has run until then is not touched before."""
        member = seat.member
        if member.name:  # a sandboxed one says its name only once it is loaded
            self._roster.admissible(seat, any_origin=any_origin)
        async with AsyncExitStack() as on_failure:
            on_failure.push_async_callback(member.close)
            await member.start()
            if name not in {None, member.name}:
                raise PluginError(
                    f"{member.origin}: it calls itself {member.name}; name it {name}, or load it as {member.name}",
                    path=member.origin,
                    field="name",
                )
            replaced = self._roster.admissible(seat, any_origin=any_origin)
            with self._roster.expecting(seat):
                if record is not None:
                    await record(member.info())
                if replaced is not None and isinstance(member, Supervisor) and isinstance(replaced.member, Supervisor):
                    await member.take_over(replaced.member)
            self._roster.put(seat)
            on_failure.pop_all()
        await self._let_go(replaced)
        return self._roster.info(member.name)

    async def _let_go(self, seat: Seat | None) -> None:
        try:
            await self._roster.drained()
        finally:
            if seat is not None:
                await seat.member.close()
