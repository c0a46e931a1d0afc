"""What this process runs of the plugins everybody is to run, and bringing the one to the other.

The settings name plugins by their files, and the database holds those that were uploaded, with every switch that was
made since. Each process looks at the database again and again and does what it finds changed. A plugin that cannot be
loaded here has its place taken by one that denies, until it can: a process never decides without it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sark_opa.errors import ConflictError, PluginError, SarkError
from sark_opa.logs import get_logger
from sark_opa.metrics import Metrics
from sark_opa.sandbox import PluginHost
from sark_opa.sandbox.contract import PluginInfo
from sark_opa.sandbox.packages import archive, manifest, package
from sark_opa.sandbox.packages.manifest import Package
from sark_opa.sandbox.packages.signature import Trust
from sark_opa.storage.plugins import Head, PluginStore, Stored

PYTHON: Final = "text/x-python"
ARCHIVE: Final = "application/vnd.sark-opa.plugin"

_RETRY_S: Final = 2.0
_RETRY_S_MAX: Final = 60.0

_log: Final = get_logger("sark_opa.plugins")


@dataclass(frozen=True, slots=True)
class Configured:
    """A plugin the settings name."""

    path: Path
    config: Mapping[str, Any] | None = None

    def package(self) -> Package:
        """The plugin as its files are now.

        Raises:
            PluginError: they are none.
        """
        return manifest.read(self.path, self.config)


@dataclass(frozen=True, slots=True)
class Failing:
    """A plugin that could not be loaded here."""

    error: SarkError
    revision: int
    retry_at: float
    wait_s: float


@dataclass(frozen=True, slots=True)
class _Change:
    """What a plugin is to become; without a head it is to go."""

    name: str
    head: Head | None = None
    stored: Stored | None = None


class PluginSet:
    """The plugins of one service process. Whoever changes something holds `lock`.

    Attributes:
        host: where they run.
        lock: one change at a time.
        configured: those of the settings, by name.
        applied: what has been done of what the database says, by name.
        failing: those that could not be loaded, by name.
    """

    def __init__(self, *, host: PluginHost, store: PluginStore, metrics: Metrics, trust: Trust) -> None:
        self.host = host
        self.lock = asyncio.Lock()
        self.configured: dict[str, Configured] = {}
        self.applied: dict[str, Head] = {}
        self.failing: dict[str, Failing] = {}
        self._store = store
        self._metrics = metrics
        self._trust = trust

    async def start(self, configured: Sequence[Configured]) -> None:
        """Load the plugins of the settings, then those of the database.

        Raises:
            PluginError: one of the settings cannot be loaded; an uploaded one that cannot is `failing`.
            DatabaseUnavailableError: the database does not answer.
        """
        async with self.lock:
            heads = await self._store.heads()
            for plugin in configured:
                # Not asked before it is known whether it is switched off.
                info = await self.host.load(plugin.path, config=plugin.config, enabled=False)
                self.configured[info.name] = plugin
                head = heads.get(info.name, Head(name=info.name))
                self.applied[info.name] = Head(name=info.name, load_revision=head.load_revision, revision=-1)
            errors = await self._bring(heads)
            for name, error in errors.items():
                if name in self.configured and not self.applied[name].uploaded:
                    raise error

    async def sync(self) -> None:
        """Do what has been changed in the database since the last time.

        Raises:
            DatabaseUnavailableError: the database does not answer; what runs goes on.
        """
        async with self.lock:
            await self._bring(await self._store.heads())

    async def ping(self) -> None:
        """See whether plugins can be asked, and all of them are there.

        Raises:
            UnavailableError: no process of a plugin can be had.
            SarkError: why a plugin could not be loaded.
        """
        await self.host.ping()
        for failing in self.failing.values():
            raise failing.error

    def info(self, name: str) -> PluginInfo | None:
        """What runs under a name."""
        return next((info for info in self.host.plugins() if info.name == name), None)

    def read(self, name: str, media_type: str, content: bytes, config: Mapping[str, Any]) -> Package:
        """The plugin an upload is.

        Raises:
            PluginError: it is none, or not one that is trusted.
        """
        if media_type == PYTHON:
            origin = f"upload/{name}.py"
            self._trust.signer_of(b"", None, origin)
            return manifest.of_source(package.decoded(content, origin), origin=origin, config=config)
        return archive.read_bytes(content, origin=f"upload/{name}.sarkplugin", config=config, trust=self._trust)

    async def load(
        self, found: Package, *, name: str, enabled: bool, record: Callable[[PluginInfo], Awaitable[None]]
    ) -> PluginInfo:
        """As `PluginHost.load_package`, counted."""
        try:
            info = await self.host.load_package(found, enabled=enabled, replace=True, name=name, record=record)
        except PluginError:
            self._metrics.plugin_load("refused")
            raise
        except SarkError:
            self._metrics.plugin_load("failed")
            raise
        self._metrics.plugin_load("loaded")
        return info

    def note(self, head: Head) -> None:
        """Remember that this much of the database has been done here."""
        self.applied[head.name] = head
        self.failing.pop(head.name, None)

    async def drop(self, name: str) -> None:
        """Unload a plugin that is in the database no more.

        Raises:
            ConflictError: an enabled plugin requires it.
        """
        await self._apply(_Change(name))

    async def _bring(self, heads: Mapping[str, Head]) -> dict[str, SarkError]:
        wanted = {name: Head(name=name) for name in self.configured}
        wanted |= {name: head for name, head in heads.items() if head.uploaded or name in self.configured}
        changes = [_Change(name) for name in self.applied if name not in wanted and self._is_due(name, 0)]
        for name, head in wanted.items():
            if self._is_due(name, head.revision) and (name in self.failing or self.applied.get(name) != head):
                stored = await self._store.get(name) if head.uploaded else None
                if stored is not None:
                    changes.append(_Change(name, stored.head, stored))
                elif not head.uploaded:  # else it has been removed this moment: the next turn's
                    changes.append(_Change(name, head))
        errors = await self._attempt(changes)
        if errors:
            stuck = [change for change in changes if change.name in errors]
            for change in stuck:
                await self._give_up(change, errors[change.name])
            # With stand-ins in their places, plugins that could only change together can.
            again = [change for change in stuck if _may_pass(errors[change.name])]
            left = await self._attempt(again)
            for change in again:
                if change.name not in left:
                    del errors[change.name]
        return errors

    def _is_due(self, name: str, revision: int) -> bool:
        failing = self.failing.get(name)
        return failing is None or failing.revision != revision or time.monotonic() >= failing.retry_at

    async def _attempt(self, changes: Iterable[_Change]) -> dict[str, SarkError]:
        """Make the changes in an order in which they can be made; what went wrong with the others."""
        errors: dict[str, SarkError] = {}
        pending = list(changes)
        while pending:
            waiting = []
            for change in pending:
                try:
                    await self._apply(change)
                except SarkError as error:
                    errors[change.name] = error
                    if _may_pass(error):
                        waiting.append(change)
                else:
                    errors.pop(change.name, None)
            if len(waiting) == len(pending):
                break
            pending = waiting
        return errors

    async def _apply(self, change: _Change) -> None:
        name, head = change.name, change.head
        info = self.info(name)
        if head is None:
            if info is not None:
                await self.host.unload(name)
            self.applied.pop(name, None)
            self.failing.pop(name, None)
            return
        before = self.applied.get(name)
        runs = before is not None and info is not None and name not in self.failing
        if not runs or (before.load_revision, before.uploaded) != (head.load_revision, head.uploaded):  # type: ignore[union-attr]  # it runs
            await self.load(self._package(change), name=name, enabled=head.enabled, record=_nowhere)
        elif info is not None and info.enabled is not head.enabled:
            await (self.host.enable(name) if head.enabled else self.host.disable(name))
        if before is not None and head.release_revision > before.release_revision:
            await self.host.release(name)
        self.note(head)

    def _package(self, change: _Change) -> Package:
        name, stored = change.name, change.stored
        if stored is None:
            return self.configured[name].package()
        if name in self.configured:
            raise ConflictError(
                f"{name} was uploaded, and SARK_PLUGINS of this process names it too; take it out there, "
                f"or remove the upload: DELETE /v1/plugins/{name}"
            )
        upload = stored.upload
        return self.read(name, upload.media_type, upload.content, upload.config)

    async def _give_up(self, change: _Change, error: SarkError) -> None:
        name, head = change.name, change.head
        before = self.failing.get(name)
        wait_s = _RETRY_S if before is None else min(before.wait_s * 2, _RETRY_S_MAX)
        revision = 0 if head is None else head.revision
        _log.error("plugin_not_loaded", plugin=name, code=error.code, error=error.message, retry_s=wait_s)
        if head is not None:
            if head.enabled:
                reason = f"it cannot be loaded here: {error.message}"
                await self.host.stand_in(name, version=head.version or "unknown", reason=reason, on_error="deny")
            elif self.info(name) is not None:
                with suppress(ConflictError):  # it is required and goes on; failing tells
                    self.host.switch(name, enabled=False)
            self.applied[name] = head
        self.failing[name] = Failing(error, revision, time.monotonic() + wait_s, wait_s)


def _may_pass(error: SarkError) -> bool:
    """Whether it is the other plugins that are in the way."""
    return isinstance(error, ConflictError) or error.details.get("field") == "requires"


async def _nowhere(_info: PluginInfo) -> None:
    """The database has it already."""
