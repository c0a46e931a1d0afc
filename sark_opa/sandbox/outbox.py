"""Frames on their way to a plugin's process, which may read as slowly as it likes without holding anybody up."""

from __future__ import annotations

import asyncio
import socket


class Outbox:
    """Writes what the socket takes at once, and the rest when it takes more."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connection: socket.socket) -> None:
        self._loop = loop
        self._connection = connection
        self._unsent = bytearray()

    def write(self, frame: bytes) -> None:
        """Send a frame after those before it. To a connection that is gone it goes nowhere: its reader tells that."""
        if not self._unsent:
            try:
                sent = self._connection.send(frame)
            except BlockingIOError:
                sent = 0
            except OSError:
                return
            if sent == len(frame):
                return
            frame = frame[sent:]
            self._loop.add_writer(self._connection, self._writable)
        self._unsent += frame

    def close(self) -> None:
        """Write no more."""
        self._loop.remove_writer(self._connection)

    def _writable(self) -> None:
        try:
            sent = self._connection.send(self._unsent)
        except BlockingIOError:
            return
        except OSError:
            sent = len(self._unsent)
        del self._unsent[:sent]
        if not self._unsent:
            self._loop.remove_writer(self._connection)
