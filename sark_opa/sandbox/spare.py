"""A process kept ready, so that loading a plugin need not wait for one."""

from __future__ import annotations

import asyncio
from typing import Final

from sark_opa.errors import UnavailableError
from sark_opa.logs import get_logger
from sark_opa.sandbox.contract import LayerReport, Limits
from sark_opa.sandbox.process import GIVEN_UP, Process
from sark_opa.sandbox.spawner import Spawner

REPLACE_S: Final = 0.02
"""How long after one was taken another is made: making it would slow down the loading it was taken for."""

_log = get_logger("sark_opa.sandbox")


class Spare:
    """Gives out processes with their walls up and no plugin in them, of which it keeps one ready."""

    def __init__(self, spawner: Spawner, limits: Limits) -> None:
        self._spawner = spawner
        self._limits = limits
        self._ready: Process | None = None
        self._replacing: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Of the one kept ready, if there is one now."""
        return None if self._ready is None else self._ready.pid

    async def start(self) -> tuple[LayerReport, ...]:
        """Make the first one, and see which walls stand around it.

        Raises:
            UnavailableError: it cannot be had, or a required wall does not stand.
        """
        self._ready, layers = await Process.opened(self._spawner, self._limits, self._ended)
        return layers

    async def take(self) -> Process:
        """The one kept ready, or a new one; another is made in the background.

        Raises:
            UnavailableError: there is none, and none can be had.
        """
        process, self._ready = self._ready, None
        if process is None or process.exited:
            process, _ = await Process.opened(self._spawner, self._limits, _nobody)
        if self._replacing is None and not self._closed:
            self._replacing = asyncio.get_running_loop().create_task(self._replaced())
        return process

    async def close(self) -> None:
        """End the one kept ready, and make no more."""
        self._closed = True
        if self._replacing is not None:
            self._replacing.cancel()
            await asyncio.wait([self._replacing])
        if self._ready is not None:
            self._ready.end(GIVEN_UP)

    async def _replaced(self) -> None:
        try:
            await asyncio.sleep(REPLACE_S)
            if self._ready is None:
                self._ready, _ = await Process.opened(self._spawner, self._limits, self._ended)
        except (UnavailableError, OSError) as error:
            _log.warning("plugin_spare_not_made", reason=str(error))  # whoever takes one next tries itself
        finally:
            self._replacing = None

    def _ended(self, process: Process, *_: object) -> None:
        if process is self._ready:
            self._ready = None


def _nobody(*_: object) -> None:
    """The end of a process nobody has taken yet."""
