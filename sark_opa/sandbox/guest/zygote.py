"""The process plugins' processes are forked from: a fresh interpreter with everything they may import.

It holds nothing of the service: no environment, no descriptor but the control socket. It forks on request,
reaps, and tells how each child died. When the control socket closes, for whatever reason, it kills every
child and ends.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
from collections.abc import Sequence
from typing import Final, NoReturn

from sark_opa.sandbox import zygote_protocol
from sark_opa.sandbox.guest import allowlist, loading, worker
from sark_opa.sandbox.guest.walls import Walls
from sark_opa.sandbox.protocol import ProtocolError
from sark_opa.sandbox.zygote_protocol import Configure, Configured, Died, FromZygote, NotSpawned, Ping, Spawn, Spawned

WORKER_FD: Final = 3
"""The only descriptor of a worker beside the three standard ones, which lead nowhere."""

_CONTROL_BYTES_MAX: Final = 64 << 10


class Zygote:
    """Serves one control socket until it closes."""

    def __init__(self, control: socket.socket, configure: Configure, preloaded: Sequence[object]) -> None:
        self._control = control
        self._walls = Walls(configure)
        self._source_check = configure.source_check
        self._preloaded = preloaded  # held here for every child to inherit
        self._serial_of_pid: dict[int, int] = {}
        self._wake_reader, self._wake_writer = socket.socketpair()
        for end in (self._wake_reader, self._wake_writer):
            end.settimeout(0)

    def serve(self) -> None:
        """Fork and reap until the service is gone; then leave nobody behind."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_writer.fileno(), warn_on_full_buffer=False)
        try:
            self._tell(Configured(0, self._walls.namespaces_trouble))
            while True:
                readable, _, _ = select.select([self._control, self._wake_reader], [], [])
                if self._wake_reader in readable:
                    self._wake_reader.recv(4_096)
                    self._reap()
                if self._control in readable and not self._obey():
                    return
        except (BrokenPipeError, ConnectionResetError):
            return
        finally:
            for pid in self._serial_of_pid:
                os.kill(pid, signal.SIGKILL)

    def _tell(self, message: FromZygote, fds: Sequence[int] = ()) -> None:
        socket.send_fds(self._control, [zygote_protocol.encode(message)], list(fds))

    def _obey(self) -> bool:
        body, fds, _, _ = socket.recv_fds(self._control, _CONTROL_BYTES_MAX, 1)
        if not body:
            return False
        message = zygote_protocol.decode_to_zygote(body)
        if isinstance(message, Ping):
            self._tell(message)
        elif isinstance(message, Spawn):
            self._spawn(message, fds[0])
        return True

    def _spawn(self, spawn: Spawn, connection_fd: int) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            os.close(connection_fd)
            self._tell(NotSpawned(spawn.serial, str(error)))
            return
        if pid == 0:
            self._become_worker(spawn, connection_fd)
        os.close(connection_fd)
        self._serial_of_pid[pid] = spawn.serial
        process_fds = _process_fds(pid)
        try:
            self._tell(Spawned(spawn.serial, pid), process_fds)
        finally:
            for process_fd in process_fds:
                os.close(process_fd)

    def _become_worker(self, spawn: Spawn, connection_fd: int) -> NoReturn:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._control.detach()
            self._wake_reader.detach()
            self._wake_writer.detach()
            if connection_fd != WORKER_FD:
                os.dup2(connection_fd, WORKER_FD, inheritable=False)
            os.closerange(WORKER_FD + 1, os.sysconf("SC_OPEN_MAX"))
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=WORKER_FD)
            layers = self._walls.put_up(spawn)
            worker.serve_forever(connection, spawn.limits, layers, source_check=self._source_check)
        finally:
            os._exit(os.EX_SOFTWARE)

    def _reap(self) -> None:
        while self._serial_of_pid:
            pid, wait_status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if pid == self._walls.keeper:
                raise BrokenPipeError  # with it, all others have been killed, and no more can be made
            self._tell(Died(self._serial_of_pid.pop(pid), wait_status))


def _process_fds(pid: int) -> list[int]:
    """A descriptor of a child not reaped yet, so that it cannot be another process's; none on old kernels."""
    try:
        return [os.pidfd_open(pid)]
    except OSError:
        return []


def run(control_fd: int) -> None:
    """Load what plugins may import, cut off the file system of modules, put up what is put up once, and serve."""
    preloaded = allowlist.preload()
    loading.rehearse()
    allowlist.close_imports()
    null_fd = os.open(os.devnull, os.O_RDWR)
    control = socket.socket(fileno=control_fd)
    configure = zygote_protocol.decode_to_zygote(control.recv(_CONTROL_BYTES_MAX))
    if not isinstance(configure, Configure):
        raise ProtocolError("the first message tells which walls to put up")
    zygote = Zygote(control, configure, preloaded)
    # What was said on standard error until here is the service's to read; from here on nobody listens.
    for standard_fd in (0, 1, 2):
        os.dup2(null_fd, standard_fd)
    os.close(null_fd)
    # Frozen objects are left alone by the collector, so that their pages stay shared with every child.
    gc.collect()
    gc.freeze()
    zygote.serve()
