"""Frames on their way to a plugin's process, which may read as slowly as it likes without holding anybody up."""

from __future__ import annotations

import asyncio
import socket


class Outbox:
    """Writes the first frame of a turn of the loop at once, and what follows in the same turn together.

    What the socket does not take waits until it takes more. A single caller waits for nothing, and many at once share
    a system call, which costs as much as all the rest of asking.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, connection: socket.socket) -> None:
        self._loop = loop
        self._connection = connection
        self._unsent = bytearray()
        self._turn: asyncio.Handle | None = None
        self._blocked = False

    def write(self, frame: bytes) -> None:
        """Send a frame after those before it. To a connection that is gone it goes nowhere: its reader tells that."""
        if self._turn is None and not self._blocked:
            self._turn = self._loop.call_soon(self._end_of_turn)
            frame = frame[self._sent(frame) :]
        self._unsent += frame

    def close(self) -> None:
        """Write no more."""
        if self._turn is not None:
            self._turn.cancel()
        self._loop.remove_writer(self._connection)

    def _end_of_turn(self) -> None:
        self._turn = None
        self._flush()

    def _flush(self) -> None:
        if self._unsent:
            del self._unsent[: self._sent(self._unsent)]
        if self._unsent and not self._blocked:
            self._blocked = True
            self._loop.add_writer(self._connection, self._flush)
        elif self._blocked and not self._unsent:
            self._blocked = False
            self._loop.remove_writer(self._connection)

    def _sent(self, data: bytes | bytearray) -> int:
        try:
            return self._connection.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            return len(data)
