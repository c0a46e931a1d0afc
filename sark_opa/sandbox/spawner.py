"""Has processes forked for plugins, by a zygote that it starts when needed and again should it end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection
from contextlib import ExitStack

from sark_opa.errors import UnavailableError
from sark_opa.logs import get_logger
from sark_opa.sandbox import launching
from sark_opa.sandbox.child import Child
from sark_opa.sandbox.contract import WALLS, Limits
from sark_opa.sandbox.zygote_link import RunningZygote
from sark_opa.sandbox.zygote_protocol import NotSpawned, Ping, Spawn

_log = get_logger("sark_opa.sandbox")


class Spawner:
    """One zygote, started when needed and again should it end."""

    def __init__(self, walls: Collection[str] = WALLS, *, source_check: bool = True) -> None:
        self._walls = tuple(walls)
        self._source_check = source_check
        self._serial = 0
        self._zygote: RunningZygote | None = None
        self._starting = asyncio.Lock()
        self._closed = False

    async def start(self) -> None:
        """Start the zygote unless it runs.

        Raises:
            UnavailableError: it does not come up; the message holds what it said.
        """
        async with self._starting:
            if self._closed:
                raise UnavailableError("the plugin host is closed")
            if self._zygote is not None and self._zygote.ended:
                await self._zygote.close()
                self._zygote = None
            if self._zygote is None:
                self._zygote = await self._started()

    async def close(self) -> None:
        """End the zygote and with it every process forked from it."""
        async with self._starting:
            self._closed = True
            zygote, self._zygote = self._zygote, None
            if zygote is not None:
                await zygote.close()

    async def ping(self) -> None:
        """Go once to the zygote and back.

        Raises:
            UnavailableError: no answer.
        """
        await self.start()
        await self._running().request(Ping(self._next_serial()))

    async def spawn(self, limits: Limits, walls: tuple[str, ...] | None = None) -> Child:
        """A new process whose `connection` speaks `protocol`; its first frame is `Ready`.

        Args:
            limits: what it may use.
            walls: put up only these of the zygote's; all when None.

        Raises:
            UnavailableError: it cannot be had.
        """
        await self.start()
        zygote = self._running()
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise UnavailableError(f"the plugin's process cannot be had: {error}") from error
        serial = self._next_serial()
        child = Child(serial, ours)
        with ExitStack() as on_failure:
            # Should the fork still come about later, the closed connection ends the process.
            on_failure.callback(ours.close)
            with theirs:
                answer = await zygote.spawned(child, Spawn(serial, limits, walls), theirs)
            if isinstance(answer, NotSpawned):
                raise UnavailableError(f"the plugin's process cannot be forked: {answer.reason}")
            on_failure.pop_all()
        ours.settimeout(0)
        return child

    async def _started(self) -> RunningZygote:
        """One in namespaces of its own making if it may, in bubblewrap's if that may, or in none."""
        zygote = await RunningZygote.started(self._walls, source_check=self._source_check)
        wrapper = launching.bubblewrap()
        if "namespaces" not in self._walls or not zygote.namespaces_trouble or wrapper is None:
            return zygote
        try:
            wrapped = await RunningZygote.started(self._walls, source_check=self._source_check, wrapper=wrapper)
        except UnavailableError as error:
            _log.warning("bubblewrap_does_not_help", own=zygote.namespaces_trouble, bubblewrap=error.message)
            return zygote
        await zygote.close()
        return wrapped

    def _running(self) -> RunningZygote:
        if self._zygote is None:
            raise UnavailableError("the plugin host is closed")
        return self._zygote

    def _next_serial(self) -> int:
        self._serial += 1
        return self._serial
