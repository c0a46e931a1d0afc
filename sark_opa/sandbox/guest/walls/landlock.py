"""Landlock: no file system, no TCP, no abstract sockets of others, no signals to others; needs no privilege."""

from __future__ import annotations

import landlockpy

from sark_opa.sandbox.guest.walls.basic import LayerError
from sark_opa.sandbox.zygote_protocol import Spawn


class Landlock:
    """Handles every right the kernel knows and grants none of them.

    What an older kernel does not know stays open here (TCP needs ABI 4, sockets and signals ABI 6), and so does
    `stat` on every kernel: Landlock is one wall, and seccomp another.
    """

    name = "landlock"

    def __init__(self) -> None:
        if landlockpy.supported():
            _ruleset().close()  # once in the zygote: the first takes milliseconds

    def apply(self, spawn: Spawn) -> None:
        """Put it up."""
        del spawn
        if not landlockpy.supported():
            raise LayerError("the kernel has no Landlock (Linux 5.13 or newer has), or a profile blocks it")
        try:
            with _ruleset() as ruleset:
                ruleset.restrict()
        except landlockpy.LandlockError as error:
            raise LayerError(f"Landlock: {error}") from error


def _ruleset() -> landlockpy.Ruleset:
    # Best effort is the default, and no scope is: it has to be named.
    return landlockpy.Ruleset(scoped=landlockpy.Scope.ABSTRACT_UNIX_SOCKET | landlockpy.Scope.SIGNAL)
