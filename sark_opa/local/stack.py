"""The whole stack on one machine: PostgreSQL, the service, OPA; what `sark-opa up`, the demo and the tests run."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sark_opa import bundled
from sark_opa.errors import ConfigurationError
from sark_opa.local.children import Child, base_environment, http_ready
from sark_opa.local.postgres import embedded
from sark_opa.local.tokens import ROLES, load_or_make, write_private
from sark_opa.opa import server
from sark_opa.opa.binary import find_or_fetch
from sark_opa.storage.migrations import migrate
from sark_opa.storage.pool import open_pool
from sark_opa.storage.tokens import register

_START_TIMEOUT_S = 60.0
_PAUSE_S, _PAUSE_S_MAX = 0.5, 30.0
_STEADY_S = 120.0
"""Who ran this long before it ended is started again as quickly as the first time."""
_SOCKET_PATH_BYTES_MAX = 100
"""A unix socket's path may have 107 bytes on Linux, 103 on macOS."""


@dataclass(frozen=True, slots=True)
class StackOptions:
    """How to run the stack. Ports of 0 take free ones."""

    data: Path
    port: int = 8088
    opa_port: int = 8181
    database_url: str | None = None
    bundle: Path | None = None
    service_settings: Mapping[str, str] = field(default_factory=dict)
    """More `SARK_*` variables for the service."""
    ready_file: Path | None = None
    """Holds `Stack.ready` as JSON for as long as the stack is ready."""


class Stack:
    """A running stack. `ready` is what its ready file holds: URLs and tokens."""

    def __init__(self, *, service: Child, opa: Child, ready: dict[str, str]) -> None:
        self.service = service
        self.opa = opa
        self.ready = ready

    async def watch(self, say: Callable[[str], None]) -> None:
        """Start again whatever ends unasked, more slowly each time; runs until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            for child in (self.service, self.opa):
                group.create_task(_keep(child, say))


async def _keep(child: Child, say: Callable[[str], None]) -> None:
    loop = asyncio.get_running_loop()
    pause_s, started = _PAUSE_S, loop.time()
    while True:
        status = await child.wait()
        if loop.time() - started > _STEADY_S:
            pause_s = _PAUSE_S
        say(f"{child.name} ended with {status}; starting it again in {pause_s:g} s (its log: {child.log})")
        await asyncio.sleep(pause_s)
        pause_s, started = min(pause_s * 2, _PAUSE_S_MAX), loop.time()
        try:
            await child.start(timeout_s=_START_TIMEOUT_S)
        except ConfigurationError as error:
            say(error.message)


@asynccontextmanager
async def running(options: StackOptions, say: Callable[[str], None]) -> AsyncIterator[Stack]:
    """Start everything in order, and stop it in reverse.

    Args:
        options: where and how.
        say: told of each step.

    Raises:
        ConfigurationError: the folder or a port is taken, or a part did not start; the message says which and why.
        OpaError: no OPA could be found or fetched.
    """
    data = options.data.expanduser().resolve()
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(_occupied(data))
        if options.ready_file is not None:
            with _ready_file_errors():
                options.ready_file.parent.stat()  # said now, not after a minute of starting
                options.ready_file.unlink(missing_ok=True)  # a stack that was killed leaves its own behind
        port, opa_port = _take(options.port, "--port"), _take(options.opa_port, "--opa-port")
        opa_binary = await asyncio.to_thread(find_or_fetch, say)
        database_url = options.database_url
        if database_url is None:
            say("PostgreSQL: embedded, in " + str(data / "postgres"))
            database_url = await stack.enter_async_context(embedded(data / "postgres"))
        else:
            say("PostgreSQL: the server of SARK_DATABASE_URL")
        tokens = load_or_make(data)
        await _prepare(database_url, tokens, say)
        sockets = _socket_folder(data, stack)
        decided = {"SARK_DATABASE_URL": database_url, "SARK_PORT": str(port)}
        service = _service(port, data, {**options.service_settings, **decided}, sockets)
        opa = _opa(opa_binary, opa_port, data, sockets, options.bundle or bundled.folder("rego"))
        for child in (service, opa):
            say(f"{child.name}: starting (log: {child.log})")
            stack.push_async_callback(child.stop)
            await child.start(timeout_s=_START_TIMEOUT_S)
        ready = {
            "service_url": f"http://127.0.0.1:{port}",
            "opa_url": f"http://127.0.0.1:{opa_port}",
            "database_url": database_url,
            **{f"{role}_token": tokens[role] for role in ROLES},
        }
        if options.ready_file is not None:
            stack.callback(options.ready_file.unlink, missing_ok=True)
            with _ready_file_errors():
                write_private(options.ready_file, json.dumps(ready, indent=2) + "\n")
        yield Stack(service=service, opa=opa, ready=ready)


@contextlib.contextmanager
def _ready_file_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"--ready-file: {error}") from error


def free_port() -> int:
    """A TCP port of the loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _occupied(data: Path) -> Iterator[None]:
    # Two stacks in one folder would take each other's socket away, and with it OPA's service.
    try:
        (data / "log").mkdir(parents=True, exist_ok=True)
        lock = (data / "lock").open("a")
    except OSError as error:
        raise ConfigurationError(f"the folder {data} cannot be used: {error}; give another with --data") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(f"another stack runs in {data}; stop it, or give another --data") from error
        yield


def _take(port: int, option: str) -> int:
    if port == 0:
        return free_port()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ConfigurationError(f"port {port} is taken ({error.strerror}); give another with {option}") from error
    return port


async def _prepare(database_url: str, tokens: Mapping[str, str], say: Callable[[str], None]) -> None:
    async with open_pool(database_url, size_max=2) as pool:
        applied = await migrate(pool)
        say(f"database: applied {', '.join(applied)}" if applied else "database: up to date")
        for role, token in tokens.items():
            await register(pool, name=f"local-{role}", role=role, token=token)


def _socket_folder(data: Path, stack: contextlib.AsyncExitStack) -> Path:
    if len(str(data / "service.sock").encode()) <= _SOCKET_PATH_BYTES_MAX:
        return data
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sark-")))


def _service(port: int, data: Path, settings: Mapping[str, str], sockets: Path) -> Child:
    own = {"SARK_SOCKET_PATH": str(sockets / "service.sock"), "SARK_SPOOL_DIR": str(data / "spool")}
    return Child(
        "service",
        [sys.executable, "-m", "sark_opa", "serve"],
        environment=base_environment() | own | dict(settings),
        log=data / "log" / "service.log",
        ready=lambda: http_ready(port, "/healthz"),
    )


def _opa(binary: Path, port: int, data: Path, sockets: Path, bundle: Path) -> Child:
    return Child(
        "opa",
        server.command(binary, bundle=bundle, address=f"127.0.0.1:{port}"),
        environment=server.environment(base_environment(), service_socket=sockets / "service.sock"),
        log=data / "log" / "opa.log",
        ready=lambda: http_ready(port, "/health?bundles"),
    )
