"""The service's side of the zygote: starts it, has processes forked, learns of their deaths."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
import subprocess
import sys
import tempfile
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Final

from sark_opa.errors import UnavailableError
from sark_opa.sandbox import protocol
from sark_opa.sandbox.child import Child
from sark_opa.sandbox.contract import Limits
from sark_opa.sandbox.guest import bootstrap
from sark_opa.sandbox.protocol import Died, FromZygote, NotSpawned, Ping, Spawn, Spawned

START_S: Final = 20.0
"""Patience for a zygote's start, which takes 0.2 to 0.5 s on an idle machine."""
ANSWER_S: Final = 5.0
"""Patience for a fork, which takes 5 ms, or a ping."""
END_S: Final = 5.0

_CONTROL_BYTES_MAX: Final = 4_096


class Spawner:
    """One zygote, started when needed and again should it end."""

    def __init__(self) -> None:
        self._serial = 0
        self._zygote: _RunningZygote | None = None
        self._starting = asyncio.Lock()
        self._closed = False

    async def start(self) -> None:
        """Start the zygote unless it runs.

        Raises:
            UnavailableError: it does not come up; the message holds what it said.
        """
        async with self._starting:
            if self._closed:
                raise UnavailableError("the plugin host is closed")
            if self._zygote is not None and self._zygote.ended:
                await self._zygote.close()
                self._zygote = None
            if self._zygote is None:
                try:
                    self._zygote = await _RunningZygote.started()
                except OSError as error:
                    raise UnavailableError(f"the plugins' zygote cannot be started: {error}") from error

    async def close(self) -> None:
        """End the zygote and with it every process forked from it."""
        async with self._starting:
            self._closed = True
            zygote, self._zygote = self._zygote, None
            if zygote is not None:
                await zygote.close()

    async def ping(self) -> None:
        """Go once to the zygote and back.

        Raises:
            UnavailableError: no answer.
        """
        await self.start()
        await self._running().request(Ping(self._next_serial()))

    async def spawn(self, limits: Limits) -> Child:
        """A new process whose `connection` speaks `protocol`; its first frame is `Ready`.

        Raises:
            UnavailableError: it cannot be had.
        """
        await self.start()
        zygote = self._running()
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise UnavailableError(f"the plugin's process cannot be had: {error}") from error
        serial = self._next_serial()
        child = Child(serial, ours)
        with ExitStack() as on_failure:
            # Should the fork still come about later, the closed connection ends the process.
            on_failure.callback(ours.close)
            with theirs:
                answer = await zygote.spawned(child, Spawn(serial, limits), theirs)
            if isinstance(answer, NotSpawned):
                raise UnavailableError(f"the plugin's process cannot be forked: {answer.reason}")
            on_failure.pop_all()
        ours.settimeout(0)
        return child

    def _running(self) -> _RunningZygote:
        if self._zygote is None:
            raise UnavailableError("the plugin host is closed")
        return self._zygote

    def _next_serial(self) -> int:
        self._serial += 1
        return self._serial


class _RunningZygote:
    """A zygote process and the conversation with it."""

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket) -> None:
        self._process = process
        self._control = control
        self._loop = asyncio.get_running_loop()
        self._answers: dict[int, asyncio.Future[FromZygote]] = {}
        self.children: dict[int, Child] = {}
        self.ended = False
        control.settimeout(0)
        self._loop.add_reader(control, self._readable)

    @classmethod
    async def started(cls) -> _RunningZygote:
        """Start one and wait until it serves."""
        with tempfile.TemporaryFile() as said:
            async with AsyncExitStack() as on_failure:
                zygote = cls(*_launch(said.fileno()))
                on_failure.push_async_callback(zygote.close)
                try:
                    await zygote.answer_to(0, START_S)
                except UnavailableError as error:
                    said.seek(0)
                    words = said.read(4_096).decode(errors="replace").strip()
                    raise UnavailableError(f"the plugins' zygote does not start: {words or error}") from error
                on_failure.pop_all()
        return zygote

    async def request(self, message: Ping) -> FromZygote:
        self._send(message, [])
        return await self.answer_to(message.serial, ANSWER_S)

    async def spawned(self, child: Child, message: Spawn, connection: socket.socket) -> FromZygote:
        """Have a process forked; once it is asked for, `child` is known here until its death is told."""
        self._send(message, [connection.fileno()])
        self.children[child.serial] = child
        return await self.answer_to(message.serial, ANSWER_S)

    def _send(self, message: Spawn | Ping, fds: list[int]) -> None:
        try:
            socket.send_fds(self._control, [protocol.encode(message)], fds)
        except OSError as error:
            raise UnavailableError(f"the plugins' zygote cannot be reached: {error}") from error

    async def answer_to(self, serial: int, patience_s: float) -> FromZygote:
        answer = self._answers[serial] = self._loop.create_future()
        if self.ended:
            self._answers.pop(serial)
            raise UnavailableError("the plugins' zygote has ended")
        try:
            async with asyncio.timeout(patience_s):
                message: FromZygote = await answer
                return message
        except TimeoutError as error:
            raise UnavailableError(f"the plugins' zygote does not answer within {patience_s:g} s") from error
        finally:
            self._answers.pop(serial, None)

    def _readable(self) -> None:
        try:
            body, fds, _, _ = socket.recv_fds(self._control, _CONTROL_BYTES_MAX, 1)
        except BlockingIOError:
            return
        except OSError:
            body, fds = b"", []
        if not body:
            self._end()
            return
        message = protocol.decode_from_zygote(body)
        if isinstance(message, Died):
            child = self.children.pop(message.serial, None)
            if child is not None:
                child.died(message.wait_status)
            return
        if isinstance(message, Spawned):
            self.children[message.serial].started(message.pid, fds[0] if fds else None)
        elif isinstance(message, NotSpawned):
            self.children.pop(message.serial, None)
        answer = self._answers.get(message.serial)
        if answer is not None and not answer.done():
            answer.set_result(message)

    def _end(self) -> None:
        if self.ended:
            return
        self.ended = True
        self._loop.remove_reader(self._control)
        self._control.close()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(UnavailableError("the plugins' zygote has ended"))
        children = list(self.children.values())
        self.children.clear()
        for child in children:
            child.kill()
            child.died(None)

    async def close(self) -> None:
        self._end()
        try:
            await asyncio.to_thread(self._process.wait, END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait, END_S)


def _launch(stderr_fd: int) -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(  # noqa: S603  # our own interpreter and script
            [
                *(sys.executable, "-I", "-S", "-X", "utf8", bootstrap.__file__),
                *(str(theirs.fileno()), *_package_folders()),
            ],
            env={},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr_fd,
            pass_fds=[theirs.fileno()],
            # Out of the terminal's process group: Ctrl-C is the service's to handle.
            start_new_session=True,
        )
    return process, ours


def _package_folders() -> list[str]:
    """Where the packages lie that the isolated interpreter, which has no site-packages, needs."""
    specs = (importlib.util.find_spec(name) for name in ("sark_opa", "msgspec", "tzdata"))
    files = [spec.origin for spec in specs if spec is not None and spec.origin is not None]
    return list(dict.fromkeys(str(Path(file).resolve().parent.parent) for file in files))
