"""The whole stack on one machine: PostgreSQL, the service, OPA; what `sark-opa up`, the demo and the tests run."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sark_opa import bundled
from sark_opa.errors import ConfigurationError
from sark_opa.local.children import Child, base_environment, http_ready
from sark_opa.local.postgres import embedded
from sark_opa.local.tokens import ROLES, load_or_make
from sark_opa.opa import server
from sark_opa.opa.binary import find_or_fetch
from sark_opa.storage.migrations import migrate
from sark_opa.storage.pool import open_pool
from sark_opa.storage.tokens import register

_START_TIMEOUT_S = 60.0
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
    processes: int = 1
    """Service processes sharing the database; the first serves OPA and `port`, the others free ports."""


class Stack:
    """A running stack. `ready` is what `--ready-file` holds."""

    def __init__(self, *, services: list[Child], opa: Child, ready: dict[str, str], service_urls: list[str]) -> None:
        self.services = services
        self.opa = opa
        self.ready = ready
        self.service_urls = service_urls

    @property
    def service(self) -> Child:
        """The service process OPA asks."""
        return self.services[0]

    async def watch(self, say: Callable[[str], None]) -> None:
        """Start again whatever ends unasked, more slowly each time; runs until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            for child in (*self.services, self.opa):
                group.create_task(_keep(child, say))


async def _keep(child: Child, say: Callable[[str], None]) -> None:
    pause_s = 0.5
    while True:
        status = await child.wait()
        say(f"{child.name} ended with {status}; starting it again in {pause_s:g} s (its log: {child.log})")
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, 30.0)
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
        ConfigurationError: a port is taken, or a part did not start; the message says which and why.
        OpaError: no OPA could be found or fetched.
    """
    data = options.data.expanduser().resolve()
    data.mkdir(parents=True, exist_ok=True)
    (data / "log").mkdir(exist_ok=True)
    async with contextlib.AsyncExitStack() as stack:
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
        ports = [port] + [free_port() for _ in range(options.processes - 1)]
        database = {"SARK_DATABASE_URL": database_url}
        services = [
            _service(index, data, {**options.service_settings, "SARK_PORT": str(a_port), **database}, sockets)
            for index, a_port in enumerate(ports)
        ]
        opa = _opa(opa_binary, opa_port, data, sockets, options.bundle or bundled.folder("rego"))
        for child in (*services, opa):
            say(f"{child.name}: starting (log: {child.log})")
            stack.push_async_callback(child.stop)
            await child.start(timeout_s=_START_TIMEOUT_S)
        urls = [f"http://127.0.0.1:{a_port}" for a_port in ports]
        ready = {
            "service_url": urls[0],
            "opa_url": f"http://127.0.0.1:{opa_port}",
            "database_url": database_url,
            **{f"{role}_token": tokens[role] for role in ROLES},
        }
        yield Stack(services=services, opa=opa, ready=ready, service_urls=urls)


def write_ready_file(path: Path, ready: Mapping[str, str]) -> None:
    """Put `ready` into `path` in one step, so that whoever waits for the file never reads half of it."""
    partial = path.with_name(path.name + ".partial")
    partial.touch(mode=0o600)
    partial.write_text(json.dumps(dict(ready), indent=2) + "\n")
    partial.replace(path)


def remove_ready_file(path: Path) -> None:
    """Say that the stack is ready no more."""
    path.unlink(missing_ok=True)


def free_port() -> int:
    """A TCP port of the loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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


def _service(index: int, data: Path, settings: Mapping[str, str], sockets: Path) -> Child:
    name = "service" if index == 0 else f"service-{index}"
    return Child(
        name,
        [sys.executable, "-m", "sark_opa", "serve"],
        environment=base_environment() | {"SARK_SOCKET_PATH": str(sockets / f"{name}.sock"), **settings},
        log=data / "log" / f"{name}.log",
        ready=lambda: http_ready(int(settings["SARK_PORT"]), "/readyz"),
    )


def _opa(binary: Path, port: int, data: Path, sockets: Path, bundle: Path) -> Child:
    return Child(
        "opa",
        server.command(binary, bundle=bundle, address=f"127.0.0.1:{port}"),
        environment=server.environment(base_environment(), service_socket=sockets / "service.sock"),
        log=data / "log" / "opa.log",
        ready=lambda: http_ready(port, "/health?bundles"),
    )
