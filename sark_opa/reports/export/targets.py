"""Where exports are published: a folder, or a bucket of an S3-compatible store.

What is put under a name replaces what was there at once and whole: readers see the old file or the new one.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from sark_opa.errors import ConfigurationError, ExportError
from sark_opa.reports.export.files import replace

_SPOOL: Final = ".export-"
_KNOWN: Final = "file:///folder or s3://bucket/prefix?endpoint=https://…&region=…"


class Target(Protocol):
    """A place for files. Its methods raise `ExportError` when it cannot be reached or refuses."""

    def spool(self) -> Any:
        """A context with a folder for a file that is being made."""

    async def read(self, name: str) -> bytes | None:
        """A small file; None when there is none of that name."""

    async def write(self, name: str, body: bytes) -> None:
        """Replace a small file."""

    async def put(self, name: str, file: Path) -> None:
        """Replace a file of any size."""


class FolderTarget:
    """A folder of this machine, or one that is mounted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def spool(self) -> Iterator[Path]:
        """A folder on the same file system, so that a finished file is only renamed."""
        with _of_folder(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            for left in self._folder.glob(f"{_SPOOL}*"):  # by a process that was killed
                shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=_SPOOL, dir=self._folder) as spool:
            yield Path(spool)

    async def read(self, name: str) -> bytes | None:
        """A small file; None when there is none of that name."""
        with _of_folder(self._folder):
            path = self._folder / name
            return await asyncio.to_thread(path.read_bytes) if path.is_file() else None

    async def write(self, name: str, body: bytes) -> None:
        """Replace a small file."""
        with _of_folder(self._folder):
            await asyncio.to_thread(replace, self._path(name), body)

    async def put(self, name: str, file: Path) -> None:
        """Rename a file that was made in `spool`."""
        with _of_folder(self._folder):
            await asyncio.to_thread(_move, file, self._path(name))

    def _path(self, name: str) -> Path:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


class BucketTarget:
    """A bucket, by obstore, which is the extra `s3`. An upload that breaks off leaves no object.

    Credentials are found as AWS's tools find them: `AWS_ACCESS_KEY_ID` and the like, or the machine's role.

    Raises:
        ConfigurationError: obstore is not installed, or cannot make sense of the address.
    """

    def __init__(self, bucket: str, prefix: str, *, endpoint: str | None, region: str | None) -> None:
        try:
            self._obstore = importlib.import_module("obstore")
            stores = importlib.import_module("obstore.store")
        except ImportError as error:
            raise ConfigurationError(
                "an s3:// address needs obstore, which is not installed: pip install 'sark-opa[s3]'"
            ) from error
        options: dict[str, Any] = {}
        if endpoint is not None:
            options["endpoint"] = endpoint
        if region is not None:
            options["region"] = region
        plain = endpoint is not None and endpoint.startswith("http://")
        try:
            self._store = stores.S3Store(
                bucket,
                prefix=prefix or None,
                client_options={"allow_http": plain, "timeout": "60s"},
                retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=30)},
                **options,
            )
        except self._obstore.exceptions.BaseError as error:
            raise ConfigurationError(f"s3://{bucket}: {error}") from error
        self._name = f"s3://{bucket}/{prefix}"

    @contextmanager
    def spool(self) -> Iterator[Path]:
        """A temporary folder (`TMPDIR`): a file is uploaded when it is whole."""
        with tempfile.TemporaryDirectory(prefix="sark-opa-export-") as spool:
            yield Path(spool)

    async def read(self, name: str) -> bytes | None:
        """A small object; None when there is none of that name."""
        with self._translated():
            try:
                found = await self._obstore.get_async(self._store, name)
            except FileNotFoundError:
                return None
            return bytes(await found.bytes_async())

    async def write(self, name: str, body: bytes) -> None:
        """Replace a small object."""
        with self._translated():
            await self._obstore.put_async(self._store, name, body)

    async def put(self, name: str, file: Path) -> None:
        """Upload a file, in parts when it is large."""
        with self._translated():
            await self._obstore.put_async(self._store, name, file)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (self._obstore.exceptions.BaseError, OSError) as error:
            raise ExportError(f"{self._name}: {str(error).splitlines()[0]}") from error


def target_of(url: str) -> Target:
    """The place behind a URL.

    Raises:
        ConfigurationError: no such kind of place, or what it needs is not installed.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in {"", "localhost"} and len(parts.path) > 1:
        return FolderTarget(Path(unquote(parts.path)))
    if parts.scheme == "s3" and parts.netloc:
        options = parse_qs(parts.query, strict_parsing=bool(parts.query))
        if unknown := set(options) - {"endpoint", "region"}:
            raise ConfigurationError(f"{url}: there is no option {', '.join(sorted(unknown))}; give {_KNOWN}")
        endpoint, region = (options.get(name, [None])[0] for name in ("endpoint", "region"))
        return BucketTarget(parts.netloc, parts.path.strip("/"), endpoint=endpoint, region=region)
    raise ConfigurationError(f"{url} is no place for exports; give {_KNOWN}")


def _move(file: Path, target: Path) -> None:
    file.replace(target)
    descriptor = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _of_folder(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ExportError(f"{folder}: {error.strerror}") from error
