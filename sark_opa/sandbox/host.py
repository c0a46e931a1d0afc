"""The plugins of one service process: load, unload, list, ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from sark_opa.errors import NotFoundError, PluginError
from sark_opa.sandbox.chain import Chain, FactsOf
from sark_opa.sandbox.contract import LayerReport, Limits, PluginInfo, Question, Verdict
from sark_opa.sandbox.packages import manifest
from sark_opa.sandbox.process import GIVEN_UP, Process
from sark_opa.sandbox.spawner import Spawner
from sark_opa.sandbox.supervisor import Supervisor

_default_limits: Final = Limits()


class PluginHost:
    """Owns the zygote and one process per plugin. Use it from one event loop; `start` first, `close` last."""

    def __init__(self, limits: Limits = _default_limits) -> None:
        self._limits = limits
        self._spawner = Spawner()
        self._changing = asyncio.Lock()
        self._chain = Chain(())
        self._layers: tuple[LayerReport, ...] = ()

    async def start(self) -> None:
        """Start the zygote, and see which walls stand by putting them up once.

        Raises:
            UnavailableError: plugins cannot be run here; the message says why.
        """
        async with AsyncExitStack() as on_failure:
            on_failure.push_async_callback(self._spawner.close)
            await self._spawner.start()
            process, self._layers = await Process.opened(self._spawner, self._limits, lambda *_: None)
            process.end(GIVEN_UP)
            on_failure.pop_all()

    async def close(self) -> None:
        """Unload everything and end every process."""
        async with self._changing:
            chain, self._chain = self._chain, Chain(())
            await asyncio.gather(*(plugin.close() for plugin in chain.plugins))
            await self._spawner.close()

    async def load(self, path: Path, *, config: Mapping[str, Any] | None = None) -> PluginInfo:
        """Load a plugin, or load it again from where it came from.

        The plugins that run are untouched until the new one has loaded; a plugin loaded again goes on
        answering until then, and finishes what it was asked.

        Args:
            path: a folder with a `plugin.yaml`, or a single `.py` file.
            config: keyword arguments for the plugin, over those of its manifest.

        Raises:
            PluginError: the message names the file, the line or field, and the remedy.
            UnavailableError: no process can be had.
        """
        package = manifest.read(path, config)
        async with self._changing:
            plugin = Supervisor(self._spawner, package, self._limits)
            await plugin.start()
            replaced = self._named(plugin.name)
            if replaced is not None and replaced.package.path != package.path:
                await plugin.close()
                raise PluginError(
                    f"{package.path}: a plugin named {plugin.name} is loaded from {replaced.package.path}; "
                    "unload that one first",
                    path=str(package.path),
                    field="name",
                )
            kept = [other for other in self._chain.plugins if other is not replaced]
            await self._change([*kept, plugin], replaced)
        return plugin.info()

    async def unload(self, name: str) -> None:
        """Take a plugin out; questions it was asked are answered first.

        Raises:
            NotFoundError: no plugin of that name is loaded.
        """
        async with self._changing:
            plugin = self._named(name)
            if plugin is None:
                raise NotFoundError(f"no plugin named {name} is loaded")
            await self._change([other for other in self._chain.plugins if other is not plugin], plugin)

    def plugins(self) -> tuple[PluginInfo, ...]:
        """What is loaded, in the order it is asked."""
        return tuple(plugin.info() for plugin in self._chain.plugins)

    def layers(self) -> dict[str, dict[str, Any]]:
        """The walls around every plugin: name to `{"active": bool, "reason": str}`, in the order put up."""
        return {layer.name: {"active": layer.active, "reason": layer.reason} for layer in self._layers}

    async def evaluate(self, question: Question, *, deadline_s: float, facts: FactsOf) -> tuple[Verdict, ...]:
        """Ask the plugins.

        Args:
            question: for all of them; encoded once.
            deadline_s: seconds within which the verdicts are there, whatever the plugins do.
            facts: looks up what a manifest's `needs` names; awaited only when a plugin needs it, while the
                others are being asked. A `SarkError` or `OSError` of it fails those plugins.

        Returns:
            One verdict for each plugin asked, up to and including the first denial.
        """
        deadline_at = time.monotonic() + deadline_s
        return await self._chain.evaluate(question, deadline_at=deadline_at, facts=facts)

    async def ping(self) -> None:
        """See whether the zygote answers; start another one if it has ended.

        Raises:
            UnavailableError: it does not.
        """
        await self._spawner.ping()

    def _named(self, name: str) -> Supervisor | None:
        return next((plugin for plugin in self._chain.plugins if plugin.name == name), None)

    async def _change(self, plugins: list[Supervisor], removed: Supervisor | None) -> None:
        before, self._chain = self._chain, Chain(plugins)
        try:
            await before.idle()
        finally:
            if removed is not None:
                await removed.close()
