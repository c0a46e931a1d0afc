"""The walls every kernel has: no environment, another user, an end with the zygote, limits."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from typing import Final, Protocol

from sark_opa.sandbox.zygote_protocol import Spawn

PR_SET_PDEATHSIG: Final = 1
"""From linux/prctl.h."""

UID_FIRST: Final = 61_184
UID_COUNT: Final = 4_336
"""The range systemd keeps free for services without a user of their own (systemd.io/UIDS-GIDS). Each process
gets its own, so that one plugin cannot signal or trace another."""


class LayerError(Exception):
    """The layer cannot stand here; the message says why."""


class Layer(Protocol):
    """One wall. `apply` runs in the child, single-threaded, before the plugin's source has arrived."""

    name: str

    def apply(self, spawn: Spawn) -> None:
        """Put it up.

        Raises:
            LayerError, OSError, ValueError: it does not stand; the message says why.
        """


class Environment:
    """Nothing of the service's environment: the interpreter was started with an empty one."""

    name = "environment"

    def apply(self, spawn: Spawn) -> None:
        """Make sure of it."""
        del spawn
        if os.environ:
            raise LayerError(f"{len(os.environ)} variables are set")


class OwnUser:
    """A user nobody else is, when the service runs as root; otherwise the service's own user stays.

    The kernel's limit of processes does not bind root, so this comes before `ResourceLimits`.
    """

    name = "own_user"

    def apply(self, spawn: Spawn) -> None:
        """Give up root."""
        if os.geteuid() != 0:
            raise LayerError("the service does not run as root, so its plugins run as its own user")
        uid = UID_FIRST + spawn.serial % UID_COUNT
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)


class Tether:
    """The kernel kills the process when the zygote ends. After `OwnUser`: changing the user clears it."""

    name = "tether"

    def __init__(self) -> None:
        self.parent_pid = os.getpid()
        """What a child sees as its parent: the zygote, or 0 where that is in another namespace of processes."""
        self._prctl = ctypes.CDLL(None, use_errno=True).prctl

    def apply(self, spawn: Spawn) -> None:
        """Ask for the signal, then look whether the zygote ended meanwhile."""
        del spawn
        if self._prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        if os.getppid() != self.parent_pid:
            os._exit(1)


class ResourceLimits:
    """Memory, descriptors, files, core dumps, processes and, as a backstop, CPU over the whole life."""

    name = "resource_limits"

    def apply(self, spawn: Spawn) -> None:
        """Set them, soft and hard, so that the process cannot raise them again."""
        limits = spawn.limits
        for kind, value in (
            (resource.RLIMIT_AS, limits.memory_bytes_max),
            (resource.RLIMIT_NOFILE, limits.files_max),
            (resource.RLIMIT_NPROC, 0),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_FSIZE, 0),
        ):
            resource.setrlimit(kind, (value, value))
        # One second between the two, so that the death is told by SIGXCPU and not by a bare SIGKILL.
        resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_lifetime_s, limits.cpu_lifetime_s + 1))
