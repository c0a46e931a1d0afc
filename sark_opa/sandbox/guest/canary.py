"""The canary: forbidden acts, really tried, in a plugin's process that has no plugin in it.

What an act comes to is the evidence on which a wall is reported as standing; that the kernel accepted it is none.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import platform
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sark_opa.sandbox.protocol import Act

_SYSCALLS: Final = {
    "x86_64": {"ptrace": 101, "unshare": 272, "io_uring_setup": 425},
    "aarch64": {"ptrace": 117, "unshare": 97, "io_uring_setup": 425},
}
"""From asm/unistd.h."""
_CLONE_NEWNET: Final = 0x4000_0000
_FILES_TRIED: Final = 64
_HUGE_BYTES: Final = 1 << 30

_syscall: Final = ctypes.CDLL(None, use_errno=True).syscall


def tried(name: str, port: int) -> Act:
    """How an act of `ACTS` went: prevented when it raised; what it returns tells how it got through.

    Args:
        name: of the act.
        port: where the service listens on its loopback address, to see whether it can be reached.
    """
    try:
        got = ACTS[name](port)
    except (OSError, MemoryError) as error:
        return Act(name, prevented=True, detail=(str(error) or type(error).__name__)[:200])
    return Act(name, prevented=False, detail=got[:200])


def _read_file(_: int) -> str:
    return f"read {len(Path('/etc/passwd').read_bytes())} bytes of /etc/passwd"


def _write_file(_: int) -> str:
    path = Path(f"/tmp/sark-canary-{os.getpid()}")  # noqa: S108  # it is there to be refused
    try:
        path.write_bytes(b"canary")
    finally:
        # Where it could be made, it can be removed; where it was refused, there is none.
        with contextlib.suppress(OSError):
            path.unlink()
    return f"wrote {path}"


def _stat_file(_: int) -> str:
    return f"/etc/passwd has {Path('/etc/passwd').stat().st_size} bytes"


def _list_root(_: int) -> str:
    return f"listed / with {len(os.listdir('/'))} entries"  # noqa: PTH208  # one call, and nothing around it


def _bind_tcp(_: int) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("0.0.0.0", 0))  # noqa: S104  # it is there to be refused
        return f"listened on port {listener.getsockname()[1]}"


def _connect_tcp(port: int) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as caller:
        caller.settimeout(0.5)
        caller.connect(("127.0.0.1", port))
    return f"reached the service at 127.0.0.1:{port}"


def _fork(_: int) -> str:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return f"forked process {pid}"


def _execute(_: int) -> str:
    os.execv("/bin/true", ["/bin/true"])  # noqa: S606  # should it succeed, the process ends and answers nothing


def _signal_others(_: int) -> str:
    os.kill(-1, 0)
    return "may signal other processes"


def _memfd(_: int) -> str:
    os.close(os.memfd_create("canary"))
    return "made a file in memory"


def _executable_memory(_: int) -> str:
    mmap.mmap(-1, 4_096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()
    return "made executable memory"


def _huge_memory(_: int) -> str:
    return f"allocated {len(bytearray(_HUGE_BYTES))} bytes"


def _many_files(_: int) -> str:
    opened: list[int] = []
    try:
        for _ in range(_FILES_TRIED):
            opened.append(os.dup(3))  # noqa: PERF401  # what was opened before the refusal has to be closed
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return f"opened {_FILES_TRIED} descriptors"


def _environment(_: int) -> str:
    if not os.environ:
        raise PermissionError("there is none")
    return f"read {len(os.environ)} variables"


def _kernel(name: str, *arguments: int) -> Callable[[int], str]:
    def act(_: int) -> str:
        number = _SYSCALLS.get(platform.machine(), {}).get(name)
        if number is None:
            return f"the number of {name} on {platform.machine()} is not known, so nothing is proven"
        if _syscall(number, *arguments) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return f"called {name}"

    return act


ACTS: Final[dict[str, Callable[[int], str]]] = {
    "read_file": _read_file,
    "write_file": _write_file,
    "stat_file": _stat_file,
    "list_root": _list_root,
    "bind_tcp": _bind_tcp,
    "connect_tcp": _connect_tcp,
    "fork": _fork,
    "execute": _execute,
    "signal_others": _signal_others,
    "memfd": _memfd,
    "executable_memory": _executable_memory,
    "huge_memory": _huge_memory,
    "many_files": _many_files,
    "environment": _environment,
    "ptrace": _kernel("ptrace", 0, 0, 0, 0),
    "unshare": _kernel("unshare", _CLONE_NEWNET),
    "io_uring": _kernel("io_uring_setup", 1, 0),
}
