"""The sockets a service process listens on."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

from sark_opa.errors import ConfigurationError

_BACKLOG: Final = 2_048
"""Connections that may wait to be accepted; they may from the moment the service says that it is ready."""


def listen_tcp(host: str, port: int) -> socket.socket:
    """A listening TCP socket; port 0 takes a free one.

    Raises:
        ConfigurationError: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigurationError(f"cannot listen on {host}:{port} (SARK_HOST, SARK_PORT): {error.strerror}") from error
    return listener


def listen_unix(path: Path, mode: int) -> socket.socket:
    """A listening unix socket of that file mode, in place of one that a dead process has left.

    Raises:
        ConfigurationError: the path cannot be listened on, as when another process still does.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The mode has to hold from the first moment on, so it is the umask's doing and not a later chmod's.
    before = os.umask(0o777 & ~mode)
    try:
        _clear_stale(path)
        listener.bind(str(path))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigurationError(f"cannot listen on {path} (SARK_SOCKET_PATH): {error}") from error
    finally:
        os.umask(before)
    return listener


def _clear_stale(path: Path) -> None:
    # A service that was killed leaves its socket behind. Nothing else is in the way by mistake, so nothing else goes.
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)


def remove_socket(path: Path, made: int) -> None:
    """Remove the socket of inode `made`, and no other that is there by now."""
    # Another service may have taken the place over while this one finished its requests.
    if path.is_socket() and path.stat().st_ino == made:
        path.unlink(missing_ok=True)
