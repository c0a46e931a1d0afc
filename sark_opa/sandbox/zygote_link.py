"""One zygote as the service holds it: its process, and the conversation over its control socket."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from sark_opa.errors import UnavailableError
from sark_opa.sandbox import syscalls, zygote_protocol
from sark_opa.sandbox.child import Child
from sark_opa.sandbox.launching import launch
from sark_opa.sandbox.zygote_protocol import Configure, Configured, Died, FromZygote, NotSpawned, Ping, Spawn, Spawned

START_S: Final = 20.0
"""Patience for a zygote's start, which takes 0.2 to 0.5 s on an idle machine."""
ANSWER_S: Final = 5.0
"""Patience for a fork, which takes 5 ms, or a ping."""
END_S: Final = 5.0

_CONTROL_BYTES_MAX: Final = 4_096


class RunningZygote:
    """A zygote process and the conversation with it.

    Attributes:
        children: what was forked from it and has not died, by serial.
        ended: whether it is gone.
        namespaces_trouble: why it is in no namespaces of its own; empty if it is.
    """

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket, *, wrapped: bool) -> None:
        self._process = process
        self._wrapped = wrapped
        self.namespaces_trouble = ""
        self._control = control
        self._loop = asyncio.get_running_loop()
        self._answers: dict[int, asyncio.Future[FromZygote]] = {}
        self.children: dict[int, Child] = {}
        self.ended = False
        control.settimeout(0)
        self._loop.add_reader(control, self._readable)

    @property
    def pid(self) -> int:
        """Of the process; inside a wrapper, of that."""
        return self._process.pid

    @classmethod
    async def started(
        cls, walls: tuple[str, ...], *, source_check: bool = True, wrapper: str | None = None
    ) -> RunningZygote:
        """Start one and wait until it serves.

        Args:
            walls: those to put up around its children.
            source_check: whether plugins' sources are looked over.
            wrapper: the bubblewrap program to start it in; None to let it make its own namespaces.

        Raises:
            UnavailableError: it does not come up; the message holds what it said.
        """
        with tempfile.TemporaryFile() as said:
            async with AsyncExitStack() as on_failure:
                try:
                    process, control = launch(said.fileno(), wrapper)
                except OSError as error:
                    raise UnavailableError(f"the plugins' zygote cannot be started: {error}") from error
                zygote = cls(process, control, wrapped=wrapper is not None)
                on_failure.push_async_callback(zygote.close)
                program = await asyncio.to_thread(syscalls.build)
                inside = wrapper is not None
                try:
                    zygote.send(Configure(walls, program.bpf, program.trouble, inside, source_check))
                    answer = await zygote.answer_to(0, START_S)
                except UnavailableError as error:
                    said.seek(0)
                    words = said.read(4_096).decode(errors="replace").strip()
                    raise UnavailableError(f"the plugins' zygote does not start: {words or error}") from error
                if isinstance(answer, Configured):
                    zygote.namespaces_trouble = answer.namespaces_trouble
                on_failure.pop_all()
        return zygote

    async def request(self, message: Ping) -> FromZygote:
        """Ask, and wait for the answer."""
        self.send(message)
        return await self.answer_to(message.serial, ANSWER_S)

    async def spawned(self, child: Child, message: Spawn, connection: socket.socket) -> FromZygote:
        """Have a process forked; once it is asked for, `child` is known here until its death is told."""
        self.send(message, [connection.fileno()])
        self.children[child.serial] = child
        return await self.answer_to(message.serial, ANSWER_S)

    def send(self, message: Configure | Spawn | Ping, fds: Sequence[int] = ()) -> None:
        """Say something, with descriptors attached."""
        try:
            socket.send_fds(self._control, [zygote_protocol.encode(message)], list(fds))
        except OSError as error:
            raise UnavailableError(f"the plugins' zygote cannot be reached: {error}") from error

    async def answer_to(self, serial: int, patience_s: float) -> FromZygote:
        """Wait for the answer of this serial."""
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
        message = zygote_protocol.decode_from_zygote(body)
        if isinstance(message, Died):
            child = self.children.pop(message.serial, None)
            if child is not None:
                child.died(message.wait_status)
            return
        if isinstance(message, Spawned):
            process_fd = fds[0] if fds else None
            pid = _pid_of(process_fd, message.pid) if self._wrapped else message.pid
            self.children[message.serial].started(pid, process_fd)
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
        """End it and everything forked from it."""
        self._end()
        try:
            await asyncio.to_thread(self._process.wait, END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait, END_S)


def _pid_of(process_fd: int | None, told: int) -> int:
    """The number a process has here; what was `told` is its number in the wrapper's namespace."""
    if process_fd is None:
        raise UnavailableError("the kernel has no descriptors of processes, without which none can be wrapped")
    for line in Path(f"/proc/self/fdinfo/{process_fd}").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "Pid":
            return int(value)
    raise UnavailableError(f"the kernel does not tell the number of the process it calls {told} inside")
