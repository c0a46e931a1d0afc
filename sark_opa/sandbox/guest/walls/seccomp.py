"""seccomp: of the kernel's calls a plugin's process may make two dozen, and most of them on its one descriptor."""

from __future__ import annotations

import ctypes
import os
from typing import Final

from sark_opa.sandbox.guest.walls.basic import LayerError
from sark_opa.sandbox.zygote_protocol import Spawn

_PR_SET_SECCOMP: Final = 22
_PR_SET_NO_NEW_PRIVS: Final = 38
_SECCOMP_MODE_FILTER: Final = 2
"""From linux/prctl.h and linux/seccomp.h."""
_INSTRUCTION_BYTES: Final = 8


class _Program(ctypes.Structure):
    """`struct sock_fprog` of linux/filter.h."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


class Seccomp:
    """Installs the program the service built (`sark_opa.sandbox.syscalls`); the last wall, since the others need more.

    Args:
        program: the filter as BPF; empty where none could be built.
        trouble: why there is none.
    """

    name = "seccomp"

    def __init__(self, program: bytes, trouble: str) -> None:
        self._trouble = trouble
        self._program = _Program(len(program) // _INSTRUCTION_BYTES, program)
        self._prctl = ctypes.CDLL(None, use_errno=True).prctl
        self._prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)

    def apply(self, spawn: Spawn) -> None:
        """Put it up; nothing takes it down again."""
        del spawn
        if not self._program.length:
            raise LayerError(self._trouble)
        address = ctypes.addressof(self._program)
        for arguments in ((_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, address, 0, 0)):
            if self._prctl(*arguments) != 0:
                number = ctypes.get_errno()
                raise OSError(number, f"seccomp: {os.strerror(number)}")
