"""Uploaded plugins, and how plugins are switched, in the database: what every service process is to run.

Each change is one SQL function, which writes the audit event of the change in the same transaction. They are not
sent a second time when a connection breaks, so a change is recorded once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from sark_opa.storage import queries
from sark_opa.storage.audit import Event
from sark_opa.storage.pool import Pool

_queries: Final = queries.load("plugins")


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin without its content.

    Attributes:
        name: of the plugin.
        version: of the content; None where there is none.
        digest: `sha256:` and the hex digest of the content.
        enabled: whether it is asked.
        revision: of its last change; grows.
        load_revision: of the last change after which it is loaded anew.
        release_revision: of the last time its quarantine was lifted.
        uploaded: whether there is content; a plugin of the settings has none.
    """

    name: str
    version: str | None = None
    digest: str | None = None
    enabled: bool = True
    revision: int = 0
    load_revision: int = 0
    release_revision: int = 0
    uploaded: bool = False


@dataclass(frozen=True, slots=True)
class Upload:
    """What is stored of an upload.

    Attributes:
        version: as the plugin says.
        media_type: of the content.
        content: as it came.
        digest: of the content.
        config: the operator's, over the manifest's.
        enabled: whether it is asked.
    """

    version: str
    media_type: str
    content: bytes
    digest: str
    config: Mapping[str, Any]
    enabled: bool


@dataclass(frozen=True, slots=True)
class Stored:
    """An upload as it lies in the database."""

    head: Head
    upload: Upload


class PluginStore:
    """The table `sark.plugins`. Every method raises `DatabaseUnavailableError` when the database does not answer."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def heads(self) -> dict[str, Head]:
        """Every plugin there is to know of, by name."""
        return {head.name: head for head in [_head(row[0]) for row in await self._pool.rows(_queries["heads"])]}

    async def get(self, name: str) -> Stored | None:
        """An upload; None when there is none of that name."""
        rows = await self._pool.rows(_queries["get"], {"name": name})
        if not rows:
            return None
        head, *upload = rows[0]
        return Stored(_head(head), Upload(*upload))

    async def put(self, name: str, upload: Upload, event: Event) -> Head:
        """Store an upload in place of one with its name."""
        plugin = {
            "version": upload.version,
            "media_type": upload.media_type,
            "digest": upload.digest,
            "config": upload.config,
            "enabled": upload.enabled,
        }
        parameters = {"name": name, "plugin": json.dumps(plugin), "content": upload.content, "event": event.json()}
        ((head,),) = await self._pool.rows(_queries["put"], parameters)
        return _head(head)

    async def change(self, name: str, change: Mapping[str, Any], event: Event) -> Head:
        """Change `enabled` or `config`, or have it loaded anew (`load`) or released from quarantine (`release`)."""
        parameters = {"name": name, "change": json.dumps(change), "event": event.json()}
        ((head,),) = await self._pool.rows(_queries["change"], parameters)
        return _head(head)

    async def remove(self, name: str, event: Event) -> bool:
        """Remove an upload; whether there was one."""
        ((removed,),) = await self._pool.rows(_queries["remove"], {"name": name, "event": event.json()})
        return bool(removed)


def _head(value: Any) -> Head:
    return msgspec.convert(value, Head)
