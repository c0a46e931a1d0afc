"""A process the zygote forked, as the service holds it."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Callable

from sark_opa.sandbox import protocol
from sark_opa.sandbox.contract import Failure, Status


class Child:
    """A forked process: its connection, its CPU clock, and the means to end it."""

    def __init__(self, serial: int, connection: socket.socket) -> None:
        self.connection = connection
        self.serial = serial
        self.pid = 0
        self.alive = True
        self.wait_status: int | None = None
        self.on_death: Callable[[int | None], None] | None = None
        self._process_fd: int | None = None
        self._clock = 0

    def started(self, pid: int, process_fd: int | None) -> None:
        """Note what the zygote tells of it."""
        self.pid = pid
        self._process_fd = process_fd
        # The kernel's number for another process's CPU clock: MAKE_PROCESS_CPUCLOCK in posix-timers.h.
        self._clock = (~pid << 3) | 2

    def cpu_s(self) -> float:
        """CPU time used since it was forked, in seconds; infinite once it is gone."""
        try:
            return time.clock_gettime(self._clock)
        except OSError:
            return float("inf")

    def exited(self) -> bool:
        """Whether it is over with it, although its death has perhaps not been told yet."""
        if not self.alive:
            return True
        if self._process_fd is None:
            return self.cpu_s() == float("inf")
        poll = select.poll()
        poll.register(self._process_fd, select.POLLIN)
        return bool(poll.poll(0))

    def kill(self) -> None:
        """End it at once; harmless when it has ended."""
        if not self.alive or not self.pid:
            return
        try:
            if self._process_fd is None:
                os.kill(self.pid, signal.SIGKILL)
            else:
                signal.pidfd_send_signal(self._process_fd, signal.SIGKILL)
        except ProcessLookupError:
            return

    def died(self, wait_status: int | None) -> None:
        """Note its death; None when the zygote went first and took it along."""
        self.alive = False
        self.wait_status = wait_status
        if self._process_fd is not None:
            os.close(self._process_fd)
            self._process_fd = None
        if self.on_death is not None:
            self.on_death(wait_status)


def cause_of_death(wait_status: int | None) -> Failure:
    """Of a `wait_status` as `os.waitpid` gives it; None when its zygote went first."""
    if wait_status is None:
        return Failure("crashed", "crashed (its zygote ended)")
    if os.WIFEXITED(wait_status):
        code = os.WEXITSTATUS(wait_status)
        if code == protocol.EXIT_OUT_OF_MEMORY:
            return Failure("memory_limit", "memory limit: not even enough left to answer")
        return Failure("crashed", f"crashed (exit {code})")
    number = os.WTERMSIG(wait_status)
    if number == signal.SIGXCPU:
        return Failure("cpu_limit", "cpu limit over the process's whole life")
    status: Status = "violation" if number == signal.SIGSYS else "crashed"
    return Failure(status, f"crashed ({signal.Signals(number).name})")
