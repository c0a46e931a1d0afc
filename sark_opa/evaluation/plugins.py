"""The use-cases behind `/v1/plugins`: each change is tried here, stored with its audit event, then takes effect.

The process that takes a change has made it before it answers; the others follow when they look at the database next.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from typing import Any

from packaging.requirements import Requirement

from sark_opa.errors import ConflictError, InvalidInputError, PayloadTooLargeError, PluginError, UnknownPluginError
from sark_opa.evaluation.plugin_answers import PluginAnswer, PluginsAnswer
from sark_opa.evaluation.plugin_set import PYTHON, PluginSet
from sark_opa.sandbox.contract import PluginInfo
from sark_opa.sandbox.packages.archive import ARCHIVE_BYTES_MAX
from sark_opa.sandbox.packages.manifest import Package
from sark_opa.sandbox.packages.requirement import NAME
from sark_opa.sandbox.protocol import SOURCE_BYTES_MAX
from sark_opa.storage.audit import Actor, Event
from sark_opa.storage.plugins import Head, PluginStore, Stored, Upload


class Plugins:
    """What administrators do with plugins, one thing at a time."""

    def __init__(self, plugins: PluginSet, store: PluginStore) -> None:
        self._set = plugins
        self._store = store

    def listed(self) -> PluginsAnswer:
        """Every plugin of this process."""
        return PluginsAnswer(tuple(map(self._answer, self._set.host.plugins())))

    def states(self) -> dict[str, str]:
        """Each plugin's state by its name, for metrics; `disabled` for those that are not asked."""
        return {info.name: info.state if info.enabled else "disabled" for info in self._set.host.plugins()}

    def get(self, name: str) -> PluginAnswer:
        """One plugin.

        Raises:
            UnknownPluginError: there is none of that name.
        """
        return self._answer(self._info(name))

    async def put(
        self, name: str, content: bytes, actor: Actor, *, media_type: str, enabled: bool | None
    ) -> tuple[PluginAnswer, bool]:
        """Take an upload in place of one with its name; the flag is True when it is new.

        Args:
            name: which the plugin has to have.
            content: a single-file plugin, or an archive.
            actor: who uploads it.
            media_type: of the content.
            enabled: whether it is asked; None: as before, and a new one is.

        Raises:
            PluginError: it cannot be loaded; the message names file, line and remedy.
            ConflictError: the settings name a plugin of that name.
            PayloadTooLargeError: it is too large for a plugin.
        """
        if not NAME.fullmatch(name):
            raise InvalidInputError(f"name: {name!r} is no plugin's name, which is {NAME.pattern}", path="name")
        _check_size(name, content, SOURCE_BYTES_MAX if media_type == PYTHON else ARCHIVE_BYTES_MAX)
        async with self._set.lock:
            if name in self._set.configured:
                raise _fixed(name)
            before = await self._store.get(name)
            config = {} if before is None else before.upload.config
            package = self._set.read(name, media_type, content, config)
            digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
            asked = (before is None or before.head.enabled) if enabled is None else enabled

            async def record(info: PluginInfo) -> Head:
                upload = Upload(info.version, media_type, content, digest, config, asked)
                details = {"version": info.version, "digest": digest, "enabled": asked, "signer": package.signer}
                event = Event(actor, "plugin.upload", name, details=details)
                return await self._store.put(name, upload, event)

            return await self._load(package, name, record, before=before, actor=actor, enabled=asked), before is None

    async def configure(self, name: str, config: Mapping[str, Any], actor: Actor) -> PluginAnswer:
        """Load an uploaded plugin with another configuration of the operator's.

        Raises:
            UnknownPluginError: there is no upload of that name.
            ConflictError: the settings configure it.
            PluginError: it does not take this configuration.
        """
        async with self._set.lock:
            stored = await self._stored(name, "configure it there (SARK_PLUGINS_CONFIG_FILE)")
            change = {"config": config, "load": True}
            event = Event(actor, "plugin.configure", name, details={"keys": sorted(config)})
            return await self._loaded_again(stored, config, change, event)

    async def reload(self, name: str, actor: Actor) -> PluginAnswer:
        """Load a plugin again: from the database, or from its files if the settings name it.

        Raises:
            UnknownPluginError: there is none of that name.
            PluginError: it cannot be loaded; what ran goes on.
        """
        async with self._set.lock:
            self._info(name)
            event, change = Event(actor, "plugin.reload", name), {"load": True}
            stored = await self._store.get(name)
            if stored is not None:
                return await self._loaded_again(stored, stored.upload.config, change, event)
            if name not in self._set.configured:
                raise UnknownPluginError(f"{name} has just been removed")

            async def record(_info: PluginInfo) -> Head:
                return await self._store.change(name, change, event)

            enabled = self._set.applied[name].enabled
            package = self._set.configured[name].package()
            return await self._load(package, name, record, before=None, actor=actor, enabled=enabled)

    async def switch(self, name: str, actor: Actor, *, enabled: bool) -> PluginAnswer:
        """Have a plugin asked, or not.

        Raises:
            UnknownPluginError: there is none of that name.
            ConflictError: it is to be disabled and an enabled one requires it.
            PluginError: it is to be enabled and requires what is not enabled.
        """
        async with self._set.lock:
            before, host = self._info(name), self._set.host
            event = Event(actor, "plugin.enable" if enabled else "plugin.disable", name)
            if enabled and not before.enabled and name in self._set.failing:
                raise self._set.failing[name].error
            with ExitStack() as undo:
                undo.callback(host.switch, name, enabled=before.enabled)
                info = await (host.enable(name) if enabled else host.disable(name))
                self._set.applied[name] = await self._store.change(name, {"enabled": enabled}, event)
                undo.pop_all()
        return self._answer(info)

    async def release(self, name: str, actor: Actor) -> PluginAnswer:
        """End a plugin's quarantine in every process.

        Raises:
            UnknownPluginError: there is none of that name.
            ConflictError: it could not be loaded here, so there is nothing to release.
        """
        async with self._set.lock:
            self._info(name)
            if name in self._set.failing:
                raise ConflictError(
                    f"{name} could not be loaded here, so there is nothing to release: "
                    f"{self._set.failing[name].error.message}"
                )
            head = await self._store.change(name, {"release": True}, Event(actor, "plugin.release", name))
            info = await self._set.host.release(name)
            self._set.note(head)
        return self._answer(info)

    async def remove(self, name: str, actor: Actor) -> None:
        """Remove an upload everywhere.

        Raises:
            UnknownPluginError: there is no upload of that name.
            ConflictError: the settings name it, or an enabled plugin requires it.
        """
        async with self._set.lock:
            stored = await self._stored(name, "take it out there and restart, or disable it")
            wanting = [
                info.name
                for info in self._set.host.plugins()
                if info.enabled and any(Requirement(needed).name == name for needed in info.requires)
            ]
            if wanting:
                raise ConflictError(
                    f"{name} cannot be removed: {', '.join(wanting)} requires it and is enabled; "
                    "disable or remove that first",
                    required_by=wanting,
                )
            details = {"version": stored.head.version, "digest": stored.head.digest}
            if not await self._store.remove(name, Event(actor, "plugin.remove", name, details=details)):
                raise UnknownPluginError(f"{name} has just been removed")
            await self._set.drop(name)

    async def _loaded_again(
        self, stored: Stored, config: Mapping[str, Any], change: Mapping[str, Any], event: Event
    ) -> PluginAnswer:
        head, upload = stored.head, stored.upload

        async def record(_info: PluginInfo) -> Head:
            changed = await self._store.change(head.name, change, event)
            # Another content may have come meanwhile: then this process is behind, and its next look loads it.
            return changed if changed.digest == head.digest else head

        package = self._set.read(head.name, upload.media_type, upload.content, config)
        return await self._load(package, head.name, record, before=stored, actor=event.actor, enabled=head.enabled)

    async def _load(
        self,
        package: Package,
        name: str,
        record: Callable[[PluginInfo], Awaitable[Head]],
        *,
        before: Stored | None,
        actor: Actor,
        enabled: bool,
    ) -> PluginAnswer:
        recorded: list[Head] = []

        async def note(info: PluginInfo) -> None:
            recorded.append(await record(info))

        try:
            info = await self._set.load(package, name=name, enabled=enabled, record=note)
        except PluginError:
            if recorded and before is not None:
                # It has loaded, but does not take over what its predecessor remembers, which goes on.
                event = Event(actor, "plugin.take_back", name, details={"version": before.head.version})
                self._set.note(await self._store.put(name, before.upload, event))
            raise
        self._set.note(recorded[0])
        return self._answer(info)

    async def _stored(self, name: str, remedy: str) -> Stored:
        stored = await self._store.get(name)
        if stored is None and name in self._set.configured:
            raise ConflictError(f"{name} is one of SARK_PLUGINS; {remedy}")
        if stored is None:
            raise UnknownPluginError(f"no plugin named {name} was uploaded")
        return stored

    def _info(self, name: str) -> PluginInfo:
        info = self._set.info(name)
        if info is None:
            raise UnknownPluginError(f"no plugin named {name} is loaded")
        return info

    def _answer(self, info: PluginInfo) -> PluginAnswer:
        return PluginAnswer.of(info, self._set.applied.get(info.name))


def _check_size(name: str, content: bytes, bytes_max: int) -> None:
    if len(content) > bytes_max:
        raise PayloadTooLargeError(
            f"{name}: {len(content)} bytes are more than the {bytes_max >> 10} KiB a plugin may have; "
            "a plugin is one small file"
        )


def _fixed(name: str) -> ConflictError:
    return ConflictError(
        f"{name} is one of SARK_PLUGINS; give the upload another name, or take {name} out there and restart"
    )
