"""The spool as the service uses it: asynchronous, entries that come together share one write to the disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from sark_opa.errors import SpoolFullError
from sark_opa.storage.batch import Batcher, Key
from sark_opa.storage.spool.entry import Entry, Refusal, Spooled
from sark_opa.storage.spool.file import SpoolFile

T = TypeVar("T")

_decode: Final = msgspec.msgpack.Decoder(Entry).decode
_GROUP_MAX: Final = 64
_QUEUE_MAX: Final = 4_096
_PUT_TIMEOUT_S: Final = 10.0
"""A disk that takes longer for one write is broken; whether it was kept is not known then."""


class Spool:
    """The open spool of this process."""

    def __init__(self, file: SpoolFile) -> None:
        self._file = file
        self._thread = ThreadPoolExecutor(1, "spool")  # the file is for one thread at a time
        self._puts: Batcher[Spooled | None] = Batcher(self._write, size_max=_GROUP_MAX, queue_max=_QUEUE_MAX)
        self._oldest: Entry | None = None

    @property
    def waiting(self) -> int:
        """Entries that are still to be delivered."""
        return self._file.waiting

    @property
    def refused(self) -> int:
        """Entries the ledger will not take."""
        return self._file.refused

    @property
    def oldest_s(self) -> float:
        """Age of the entry that waits longest, seconds; 0 when none does. As old as the last `look`."""
        return self._oldest.age_s() if self.waiting and self._oldest is not None else 0.0

    async def close(self) -> None:
        """Finish what has been asked and give the thread back."""
        await self._puts.close()
        await asyncio.to_thread(self._thread.shutdown)

    async def put(self, entry: Entry) -> Spooled:
        """Keep an entry; when it returns, the entry is on disk.

        Returns:
            What is kept: the entry, or the one of the same request that waits already, which may differ.

        Raises:
            SpoolFullError: it does not fit.
            SpoolError: the file cannot be written.
            DeadlineExceededError: the disk takes too long.
        """
        kept = await self._puts.ask((entry.org, entry.request_id), entry.record(), _PUT_TIMEOUT_S)
        if kept is None:
            raise SpoolFullError
        return kept

    async def find(self, org: str, request_id: str) -> Spooled | None:
        """The entry of a request, if one waits.

        Raises:
            SpoolError: the file cannot be read.
        """
        return await self._run(lambda: self._file.find(org, request_id))

    async def oldest(self, rows_max: int, *, skipped: Sequence[int] = ()) -> list[Spooled]:
        """Those that have waited longest, in order of arrival.

        Raises:
            SpoolError: the file cannot be read.
        """
        return await self._run(lambda: self._file.oldest(rows_max, skipped=skipped))

    async def finish(self, delivered: Sequence[int], refused: Sequence[tuple[int, Refusal]]) -> None:
        """Forget what is booked, and note what was refused; all or nothing.

        Raises:
            SpoolError: the file cannot be written.
        """
        await self._run(lambda: self._file.finish(delivered, refused))

    async def look(self) -> None:
        """Notice what a command has changed, and how old the oldest entry is.

        Raises:
            SpoolError: the file cannot be read.
        """
        self._oldest = await self._run(self._look)

    def _look(self) -> Entry | None:
        self._file.changed_elsewhere()
        oldest = self._file.oldest(1) if self.waiting else []
        return oldest[0].entry if oldest else None

    async def _write(self, _keys: Sequence[Key], records: Sequence[bytes]) -> list[Spooled | None]:
        return await self._run(lambda: self._file.put([_decode(record) for record in records]))

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


@asynccontextmanager
async def open_spool(folder: Path, *, bytes_max: int) -> AsyncIterator[Spool]:
    """The spool in `folder`, locked for this process; closed at the end.

    Raises:
        ConfigurationError: the folder cannot be used, another process has it, or the file cannot be read.
    """
    with await asyncio.to_thread(SpoolFile, folder, bytes_max=bytes_max, locked=True, checked=True) as file:
        spool = Spool(file)
        try:
            yield spool
        finally:
            await spool.close()
