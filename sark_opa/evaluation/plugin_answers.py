"""Plugins as they go over the wire."""

from __future__ import annotations

from typing import Any

import msgspec
from pydantic import RootModel

from sark_opa.sandbox.contract import PluginInfo
from sark_opa.storage.plugins import Head


class ConfigBody(RootModel[dict[str, Any]]):
    """`PUT /v1/plugins/{name}/config`: keyword arguments the plugin is made with, over those of its manifest."""


class PluginAnswer(msgspec.Struct, frozen=True):
    """A plugin, as callers see it; its configuration is not shown, it may hold secrets."""

    name: str
    version: str
    description: str
    priority: int
    needs: tuple[str, ...]
    requires: tuple[str, ...]
    on_error: str
    enabled: bool
    state: str
    sandboxed: bool
    origin: str
    path: str
    source_digest: str
    uploaded: bool
    digest: str | None
    revision: int

    @classmethod
    def of(cls, info: PluginInfo, head: Head | None) -> PluginAnswer:
        """The answer for a plugin that runs, and what the database has of it."""
        return cls(
            name=info.name,
            version=info.version,
            description=info.description,
            priority=info.priority,
            needs=info.needs,
            requires=info.requires,
            on_error=info.on_error,
            enabled=info.enabled,
            state=info.state,
            sandboxed=info.sandboxed,
            origin=info.origin,
            path=info.path,
            source_digest=info.source_digest,
            uploaded=head is not None and head.uploaded,
            digest=None if head is None else head.digest,
            revision=0 if head is None else head.revision,
        )


class PluginsAnswer(msgspec.Struct, frozen=True):
    """Every plugin, the enabled ones in the order asked, then the disabled ones."""

    plugins: tuple[PluginAnswer, ...]
