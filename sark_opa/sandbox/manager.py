"""Policy plugins for a program of your own: objects run in it, files in the sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from sark_opa.errors import NotFoundError
from sark_opa.plugin import PolicyContext, PolicyDecision, PolicyPlugin
from sark_opa.sandbox.contract import FACT_OF_NEED, Limits, Need, OnError, PluginInfo, Question, Verdict
from sark_opa.sandbox.host import PluginHost

_default_limits: Final = Limits()


class PolicyPluginManager:
    """Registers plugins and asks them in order: lower priority first, what others require before them.

    Use it from one event loop, and `close` it, or use it with `async with`. What fails, fails with a `SarkError`
    and leaves the plugins that were there as they were.

    Args:
        limits: for every plugin.
    """

    def __init__(self, limits: Limits = _default_limits) -> None:
        self._host = PluginHost(limits)
        self._objects: dict[str, PolicyPlugin] = {}
        self._starting = asyncio.Lock()
        self._started = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Unload every plugin and end every process."""
        self._objects.clear()
        await self._host.close()

    async def register_plugin(
        self,
        plugin: PolicyPlugin,
        enabled: bool = True,  # noqa: FBT001, FBT002  # origin's signature
        *,
        needs: Sequence[Need] = (),
        requires: Sequence[str] = (),
        on_error: OnError = "deny",
    ) -> None:
        """Take in an object and call its `on_load`. It runs in this process, with nothing around it.

        Args:
            plugin: the object.
            enabled: whether it is asked.
            needs: facts without which it cannot answer; it is handed all facts of the context anyway.
            requires: plugins it is asked after and whose verdicts it finds in `context.facts["verdicts"]`, such
                as `business_hours>=1.0`.
            on_error: what a failure of it means: `deny` or `skip`.

        Raises:
            PluginError: it is no plugin, its name is taken, it requires what is not there, or `on_load` failed.
        """
        info = await self._host.register(plugin, enabled=enabled, needs=needs, requires=requires, on_error=on_error)
        self._objects[info.name] = plugin

    async def unregister_plugin(self, name: str) -> None:
        """Take a plugin out and call its `on_unload`; questions it was asked are answered first.

        Raises:
            NotFoundError: no plugin of that name is registered.
            ConflictError: an enabled plugin requires it.
        """
        await self._host.unload(name)
        self._objects.pop(name, None)

    def enable_plugin(self, name: str) -> None:
        """Have a plugin asked from the next question on.

        Raises:
            NotFoundError: no plugin of that name is registered.
            PluginError: it requires what is not enabled.
        """
        self._host.switch(name, enabled=True)

    def disable_plugin(self, name: str) -> None:
        """Keep a plugin, and ask it no more from the next question on.

        Raises:
            NotFoundError: no plugin of that name is registered.
            ConflictError: an enabled plugin requires it.
        """
        self._host.switch(name, enabled=False)

    def get_plugin(self, name: str) -> PolicyPlugin | PluginInfo | None:
        """The registered object; for a plugin from a file, what is known of it now; None where there is none."""
        if name in self._objects:
            return self._objects[name]
        return next((info for info in self._host.plugins() if info.name == name), None)

    def list_plugins(self, enabled_only: bool = False) -> list[dict[str, Any]]:  # noqa: FBT001, FBT002  # same
        """The plugins' metadata with `enabled`, `sandboxed` and `state`; first the enabled ones, in the order asked."""
        listed = []
        for info in self._host.plugins():
            if info.enabled or not enabled_only:
                known = self._objects.get(info.name, info).get_metadata()
                listed.append({**known, "enabled": info.enabled, "sandboxed": info.sandboxed, "state": info.state})
        return listed

    async def evaluate_all(self, context: PolicyContext, timeout: float = 5.0) -> list[PolicyDecision]:  # noqa: ASYNC109  # same
        """Ask the enabled plugins, up to and including the first that denies.

        Args:
            context: what they are asked about; its `facts` reach objects as they are, files as far as they need
                them. Values are handed over as JSON would carry them, so a `Decimal` arrives as a string.
            timeout: seconds within which all decisions are there, whatever the plugins do.

        Returns:
            The decisions in the order asked, each with its `plugin_name`. That of a plugin that failed denies, or
            permits where `on_error` is `skip`; its metadata says `status`, such as `timeout`, and `skipped`.
        """
        question = Question(
            principal_id=context.principal_id,
            resource_id=context.resource_id,
            capability_id=context.capability_id,
            action=context.action,
            arguments=context.arguments,
            environment=context.environment,
            timestamp=context.timestamp,
            org=context.org,
        )
        verdicts = await self._host.evaluate(question, deadline_s=timeout, facts=_not_given, known=context.facts)
        return [_decision(verdict) for verdict in verdicts]

    async def load_from_file(
        self,
        path: Path,
        enabled: bool = True,  # noqa: FBT001, FBT002  # same
        *,
        config: Mapping[str, Any] | None = None,
    ) -> PluginInfo:
        """Load a plugin from a `.py` file or a folder with a `plugin.yaml` into a process of its own.

        Loading a path again replaces the plugin that came from there.

        Args:
            path: of the file or folder.
            enabled: whether it is asked.
            config: keyword arguments for the plugin, over those of its manifest.

        Raises:
            PluginError: the message names the file, the line or field, and the remedy.
            UnavailableError: plugins cannot be run in the sandbox here.
        """
        async with self._starting:
            if not self._started:
                await self._host.start()
                self._started = True
        return await self._host.load(Path(path), config=config, enabled=enabled)


async def _not_given(need: str) -> Any:
    raise NotFoundError(f"the context gives no facts[{FACT_OF_NEED[need]!r}]")  # type: ignore[index]  # asked for by a manifest


def _decision(verdict: Verdict) -> PolicyDecision:
    metadata = dict(verdict.metadata)
    if verdict.status != "ok":
        metadata = {"status": verdict.status, "skipped": verdict.skipped}
    return PolicyDecision(verdict.allowed, verdict.reason, metadata, verdict.plugin)
