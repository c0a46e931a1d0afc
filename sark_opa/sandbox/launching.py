"""Starting the zygote's interpreter: by itself, or inside bubblewrap."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

from sark_opa.sandbox.guest import bootstrap

_SYSTEM_FOLDERS: Final = ("/usr", "/lib", "/lib64")
"""Where the interpreter's shared libraries lie, beside its own folders."""


def bubblewrap() -> str | None:
    """The program, where it is installed.

    Some distributions let nobody make user namespaces but programs they know, of which it is one.
    """
    return shutil.which("bwrap")


def launch(stderr_fd: int, wrapper: str | None) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """A started zygote, and the service's end of its control socket.

    Args:
        stderr_fd: where it may complain until it serves.
        wrapper: the bubblewrap program, to start it in namespaces and with little of the file system; or None.

    Raises:
        OSError: it cannot be started.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        folders = _package_folders()
        python = [sys.executable, "-I", "-S", "-X", "utf8", bootstrap.__file__, str(theirs.fileno()), *folders]
        process = subprocess.Popen(  # noqa: S603  # our own interpreter and script
            python if wrapper is None else [wrapper, *_wrapping(folders), *python],
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


def _wrapping(package_folders: list[str]) -> list[str]:
    """Every namespace there is, and to read what an interpreter needs until it has loaded everything."""
    interpreter = [str(Path(path).resolve()) for path in (sys.base_prefix, sys.prefix)]
    binds = dict.fromkeys((*_SYSTEM_FOLDERS, *interpreter, *package_folders, str(Path(sys.executable).parent.parent)))
    return [
        *("--unshare-all", "--die-with-parent", "--cap-drop", "ALL", "--dev-bind", "/dev/null", "/dev/null"),
        *(word for folder in binds for word in ("--ro-bind-try", folder, folder)),
        "--",
    ]


def _package_folders() -> list[str]:
    """Where the packages lie that the isolated interpreter, which has no site-packages, needs."""
    specs = (importlib.util.find_spec(name) for name in ("sark_opa", "msgspec", "tzdata", "landlockpy"))
    files = [spec.origin for spec in specs if spec is not None and spec.origin is not None]
    return list(dict.fromkeys(str(Path(file).resolve().parent.parent) for file in files))
