"""Child processes of the local stack: started with a log file, watched, stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from sark_opa.errors import ConfigurationError

_STOP_TIMEOUT_S = 10.0
_TAIL_BYTES_MAX = 32_768


class Child:
    """One process of the stack; its output goes to `log`.

    Args:
        name: for messages.
        command: program and arguments.
        environment: all of the child's environment; nothing is inherited.
        log: file its output is appended to.
        ready: returns when the process answers; raises or hangs until it does.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path,
        ready: Callable[[], Awaitable[None]],
    ) -> None:
        self.name = name
        self.log = log
        self._command = list(command)
        self._environment = dict(environment)
        self._ready = ready
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The process id, None when it does not run."""
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    async def start(self, *, timeout_s: float) -> None:
        """Start the process and wait until it is ready.

        Raises:
            ConfigurationError: it ended, or was not ready in time; the message ends with its last log lines.
        """
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, env=self._environment, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
            )
        ended = asyncio.create_task(self._process.wait())
        ready = asyncio.create_task(_until(self._ready))
        try:
            await asyncio.wait({ended, ready}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            # Ended counts first: what answers then on its port is somebody else.
            if ready.done() and not ended.done():
                ready.result()
                return
            how = f"ended with {ended.result()}" if ended.done() else f"was not ready after {timeout_s:g} s"
        finally:
            ended.cancel()
            ready.cancel()
        await self.kill()
        raise ConfigurationError(f"{self.name} {how}; the end of {self.log}:\n{self.tail()}")

    async def wait(self) -> int:
        """Wait until the process ends; its exit status."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return await self._process.wait()

    async def stop(self) -> None:
        """Ask the process to end; kill it when it takes more than ten seconds."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """Kill the process, as a crash would."""
        await self._end(signal.SIGKILL)

    async def _end(self, with_signal: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(with_signal)
        try:
            await asyncio.wait_for(process.wait(), _STOP_TIMEOUT_S)
        except TimeoutError:
            process.kill()
            await process.wait()

    def tail(self, lines_max: int = 15) -> str:
        """The last lines of its log."""
        with self.log.open("rb") as log:
            log.seek(max(log.seek(0, os.SEEK_END) - _TAIL_BYTES_MAX, 0))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines_max:])


async def _until(ready: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await asyncio.wait_for(ready(), 2.0)
        except (OSError, TimeoutError, EOFError):
            await asyncio.sleep(0.05)
        else:
            return


async def http_ready(port: int, path: str) -> None:
    """Return when `GET path` on a loopback port answers 200.

    Raises:
        OSError: it does not, or not yet.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        status = await reader.readline()
        if b" 200 " not in status:
            raise ConnectionError(f"{path} answered {status!r}")
    finally:
        writer.close()


def base_environment() -> dict[str, str]:
    """What every child needs from the environment of this process, and no secret."""
    wanted = (
        "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "XDG_CACHE_HOME",
        "GOGC", "GOMEMLIMIT", "GOMAXPROCS",
    )  # fmt: skip
    return {name: os.environ[name] for name in wanted if name in os.environ}
