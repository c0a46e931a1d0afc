"""Opening the spool's file: the folder's lock, SQLite's settings, the checks at the start, errors in our words."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sark_opa.errors import ConfigurationError, SpoolError, SpoolFullError
from sark_opa.storage import queries
from sark_opa.storage.spool.entry import digest_of

_queries: Final = queries.load("spool")
_APPLICATION: Final = 0x5341524B  # "SARK": tells our file from another SQLite database
_FORMAT: Final = 1
_BUSY_TIMEOUT_S: Final = 5.0
_PRIMARY_CODE: Final = 0xFF
_LOG_BYTES_MAX: Final = 4 * 2**20


@contextlib.contextmanager
def opened(folder: Path, *, locked: bool, checked: bool) -> Iterator[sqlite3.Connection]:
    """A connection to the folder's file, ready to be used; closed at the end.

    Args:
        folder: with a lock it is made if it is missing, for its owner alone.
        locked: lock the folder for this process, as one that delivers does.
        checked: read every page and entry of the file.

    Raises:
        ConfigurationError: the folder cannot be used, another process has it, or the file cannot be read.
    """
    path = folder / "spool.sqlite"
    with contextlib.ExitStack() as stack:
        try:
            if locked:
                stack.enter_context(_occupied(folder))
            connection = stack.enter_context(contextlib.closing(_connect(path, made=locked)))
            _prepare(connection)
            if checked:
                _check(connection)
            _sync(folder)
        except sqlite3.Error as error:
            raise ConfigurationError(
                f"SARK_SPOOL_DIR: {path} cannot be read: {error}. It may hold settlements that are booked nowhere "
                "else: keep it, see `sark-opa spool list`, and give another folder meanwhile"
            ) from error
        except OSError as error:
            raise ConfigurationError(f"SARK_SPOOL_DIR: the folder {folder} cannot be used: {error}") from error
        yield connection


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Raise our errors for what SQLite raises inside.

    Raises:
        SpoolFullError: the disk is full.
        SpoolError: anything else.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
        if code == sqlite3.SQLITE_FULL:
            raise SpoolFullError("the disk of the spool (SARK_SPOOL_DIR) is full; nothing was written") from error
        raise SpoolError(f"the spool (SARK_SPOOL_DIR) cannot be used: {error}; nothing was written") from error


@contextlib.contextmanager
def changing(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction: all of the block is on disk at its end, or nothing of it.

    Raises:
        SpoolError: as `told` says.
    """
    with told():
        connection.execute("begin immediate")
        try:
            yield
            connection.execute("commit")
        finally:
            if connection.in_transaction:
                connection.execute("rollback")


@contextlib.contextmanager
def _occupied(folder: Path) -> Iterator[None]:
    # The kernel lets go of the lock when the process ends, however it ends.
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(
                f"another process uses the spool in {folder}: stop it, or give each process a SARK_SPOOL_DIR of its own"
            ) from error
        yield


def _connect(path: Path, *, made: bool) -> sqlite3.Connection:
    # Made here, as SQLite would let the umask decide who may read it.
    os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if made else 0), 0o600))
    # Whoever calls takes care that one thread at a time does.
    return sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)


def _prepare(connection: sqlite3.Connection) -> None:
    (application,) = connection.execute("pragma application_id").fetchone()
    (version,) = connection.execute("pragma user_version").fetchone()
    (tables,) = connection.execute("select count(*) from sqlite_schema").fetchone()
    if tables and (application, version) != (_APPLICATION, _FORMAT):
        raise sqlite3.DatabaseError(f"it is no spool of this version (application {application:#x}, format {version})")
    # `full` writes the log through to the disk at every commit, and `fullfsync` through the disk's own cache on macOS.
    for setting in (
        "journal_mode = wal",
        "synchronous = full",
        "fullfsync = 1",
        f"journal_size_limit = {_LOG_BYTES_MAX}",
    ):
        connection.execute(f"pragma {setting}").fetchall()
    if not tables:
        connection.execute("begin immediate")
        for name in ("create_spool", "create_entries", "index_waiting", "index_order"):
            connection.execute(_queries[name])
        connection.execute(_queries["set_name"], {"name": secrets.token_hex(3)})
        connection.execute(f"pragma application_id = {_APPLICATION}")
        connection.execute(f"pragma user_version = {_FORMAT}")
        connection.execute("commit")


def _check(connection: sqlite3.Connection) -> None:
    (finding,) = connection.execute("pragma quick_check(1)").fetchone()
    if finding != "ok":
        raise sqlite3.DatabaseError(finding)
    for row in connection.execute(_queries["all"]):
        if digest_of(row[1]) != row[2]:
            raise sqlite3.DatabaseError(f"the disk has changed entry {row[0]}")


def _sync(folder: Path) -> None:
    # A file is only there after a power failure if its folder's entry is.
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
