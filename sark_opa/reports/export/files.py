"""Exports to files: whole or not at all, and continued where they broke off.

A file is written beside its name as `.partial` and renamed when everything is on the disk. What is known of a partial
file lies beside it in `.progress`, so that another run may go on with the same snapshot.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Final

from sark_opa.errors import ConflictError, ExportError
from sark_opa.reports.export.encoders import ROW_GROUP_ROWS, Encoder, Format, encoder_of
from sark_opa.reports.export.export import Export

MANIFEST: Final = "manifest.json"
_READ_BYTES: Final = 2**20


@dataclass(frozen=True, slots=True)
class Written:
    """A finished file. `sha256` is of its bytes."""

    path: Path
    rows: int
    billed_usd: Decimal
    size_bytes: int
    sha256: str


@dataclass(slots=True)
class Progress:
    """How far a partial file has come: so many days of the export, so many bytes."""

    fingerprint: str
    """Of what was asked for; a partial file of something else is not continued."""
    snapshot: dict[str, Any]
    days: int = 0
    size_bytes: int = 0

    @classmethod
    def read(cls, target: Path) -> Progress | None:
        """Of the partial file of `target`; None without one."""
        try:
            return cls(**json.loads(_beside(target, ".progress").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise ExportError(f"{_beside(target, '.progress')} cannot be read; remove it, or do not resume") from error

    def write(self, target: Path) -> None:
        """Write it down, whole or not at all."""
        body = {
            "fingerprint": self.fingerprint,
            "snapshot": self.snapshot,
            "days": self.days,
            "size_bytes": self.size_bytes,
        }
        replace(_beside(target, ".progress"), json.dumps(body).encode())


def _beside(target: Path, ending: str) -> Path:
    return target.with_name(target.name + ending)


def fingerprint(export: Export, format_: str) -> str:
    """Differs when something else is asked for, or of another database."""
    request = export.request
    stated = (
        format_, request.org, str(request.starts), str(request.ends), request.timezone, request.within,
        request.focus_version, request.escape_formulas, export.snapshot.server,
    )  # fmt: skip
    return hashlib.sha256(json.dumps(stated).encode()).hexdigest()


async def write_file(
    export: Export,
    target: Path,
    encoder: Encoder,
    *,
    progress: Progress,
    tell: Callable[[int], None] = lambda _rows: None,
) -> Written:
    """Write an export to `target`, which is replaced if it is there.

    Args:
        export: what to write.
        target: the file; its folder has to be there.
        encoder: a new one.
        progress: how far an earlier run came, or a new one.
        tell: told how many charges are written, after each day.

    Raises:
        ExportError: the file cannot be written, such as when the disk is full; what is there can be resumed.
        ConflictError: another process writes the same file.
    """
    partial = _beside(target, ".partial")
    with _translated(target), _locked(partial) as file:
        if progress.size_bytes == 0:
            _forget(target)
        digest = _digest_of(file, progress.size_bytes)
        file.truncate(progress.size_bytes)
        file.seek(progress.size_bytes)

        async def keep(generator: AsyncGenerator[bytes, None]) -> None:
            async with aclosing(generator) as chunks:
                async for chunk in chunks:
                    await asyncio.to_thread(file.write, chunk)
                    digest.update(chunk)

        begin = await asyncio.to_thread(encoder.begin)
        if progress.size_bytes == 0:
            file.write(begin)
            digest.update(begin)
        for number, day in enumerate(export.days[progress.days :], progress.days + 1):
            await keep(export.chunks_of(day, encoder))
            if encoder.in_parts:
                await asyncio.to_thread(_to_disk, file)
                progress.days, progress.size_bytes = number, file.tell()
                progress.write(target)
            tell(sum(done.charges for done in export.days[:number]))
        end = await asyncio.to_thread(encoder.end)
        file.write(end)
        digest.update(end)
        size_bytes = file.tell()
        await asyncio.to_thread(_to_disk, file)
        partial.rename(target)
        _forget(target)
        _folder_to_disk(target.parent)
    return Written(target, export.rows, export.billed_usd, size_bytes, digest.hexdigest())


async def write_days(
    export: Export,
    folder: Path,
    format_: Format,
    *,
    progress: Progress,
    row_group_rows: int = ROW_GROUP_ROWS,
    tell: Callable[[int], None] = lambda _rows: None,
) -> list[Written]:
    """Write an export as one file a day and org, `{org}-{day}.{format}`, and `manifest.json` when all are there.

    Args:
        export: what to write.
        folder: where; made if it is not there.
        format_: of the files.
        progress: how far an earlier run came, or a new one.
        row_group_rows: of Parquet files.
        tell: told how many charges are written, after each day.

    Raises:
        ExportError: a file cannot be written, such as when the disk is full; what is there can be resumed.
        ConflictError: another process writes the same files.
    """
    listing = folder / MANIFEST
    with _translated(folder):
        _make_room(folder, listing)
        if progress.days == 0:
            _forget(listing)
    written = []
    for number, day in enumerate(export.days, 1):
        target = folder / f"{day.org}-{day.day.isoformat()}.{format_}"
        part = Export(export.charges, export.request, export.snapshot, [day])
        if number <= progress.days and target.exists():
            with _translated(target):
                written.append(await asyncio.to_thread(_existing, part, target))
        else:
            encoder = encoder_of(format_, export.request.focus_version, row_group_rows)
            begun = Progress(progress.fingerprint, progress.snapshot)
            written.append(await write_file(part, target, encoder, progress=begun))
        with _translated(folder):
            progress.days = max(number, progress.days)
            progress.write(listing)
        tell(sum(file.rows for file in written))
    with _translated(folder):
        replace(listing, json.dumps(manifest(export, written, format_), indent=2).encode())
        _forget(listing)
    return written


def _make_room(folder: Path, listing: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    listing.unlink(missing_ok=True)  # of an export before: what it tells of is replaced now


def _forget(target: Path) -> None:
    # Or what a run before knew of a partial file would be believed of the one that is begun now.
    _beside(target, ".progress").unlink(missing_ok=True)


def _existing(part: Export, target: Path) -> Written:
    size_bytes = target.stat().st_size
    with target.open("rb") as file:
        return Written(target, part.rows, part.billed_usd, size_bytes, _digest_of(file, size_bytes).hexdigest())


def replace(target: Path, body: bytes) -> None:
    """Write a small file, whole or not at all."""
    partial = _beside(target, ".partial")
    with partial.open("wb") as file:
        file.write(body)
        _to_disk(file)
    partial.rename(target)
    _folder_to_disk(target.parent)


def manifest(export: Export, files: list[Written], format_: str) -> dict[str, Any]:
    """What a set of files holds, as JSON: for each its rows, sum and checksum."""
    return {
        "focus_version": export.request.focus_version,
        "format": format_,
        "taken_at": export.snapshot.taken_at,
        "rows": sum(file.rows for file in files),
        "billed_usd": str(sum((file.billed_usd for file in files), Decimal(0))),
        "files": [
            {
                "name": file.path.name,
                "rows": file.rows,
                "billed_usd": str(file.billed_usd),
                "size_bytes": file.size_bytes,
                "sha256": file.sha256,
            }
            for file in files
        ],
    }


@contextmanager
def _locked(partial: Path) -> Iterator[IO[bytes]]:
    with partial.open("ab+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConflictError(f"{partial} is being written by another export") from error
        yield file


@contextmanager
def _translated(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ExportError(f"{target}: {error.strerror}; what was written so far can be resumed") from error


def _digest_of(file: IO[bytes], size_bytes: int) -> Any:
    digest = hashlib.sha256()
    file.seek(0)
    left = size_bytes
    while left > 0:
        part = file.read(min(left, _READ_BYTES))
        if not part:
            raise ExportError("the partial file is shorter than its progress says; run it again without resuming")
        digest.update(part)
        left -= len(part)
    return digest


def _to_disk(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _folder_to_disk(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
