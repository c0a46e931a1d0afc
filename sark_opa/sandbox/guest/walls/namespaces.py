"""Namespaces: a root with nothing in it, no network, no other processes, and powers that hold in there alone.

The zygote enters them once, after it has read every file it will ever need; its children are born in them. It needs
no privilege, only that the machine lets users make user namespaces, which many container profiles do not.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

from sark_opa.sandbox.guest.walls.basic import PR_SET_PDEATHSIG, UID_COUNT, UID_FIRST, LayerError
from sark_opa.sandbox.zygote_protocol import Spawn

_CLONE_NEWNS: Final = 0x0002_0000
_CLONE_NEWUTS: Final = 0x0400_0000
_CLONE_NEWIPC: Final = 0x0800_0000
_CLONE_NEWUSER: Final = 0x1000_0000
_CLONE_NEWPID: Final = 0x2000_0000
_CLONE_NEWNET: Final = 0x4000_0000
"""From linux/sched.h."""
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT, _MS_BIND = 1, 2, 4, 8, 32, 4_096
_MS_REC, _MS_PRIVATE = 16_384, 1 << 18
_MNT_DETACH: Final = 2
"""From sys/mount.h."""
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NAME: Final = 15
_CAPABILITY_VERSION_3: Final = 0x2008_0522
"""From linux/capability.h."""
_PIVOT_ROOT: Final = {"x86_64": 155, "aarch64": 41}
"""Its number; libc has no function for it. From asm/unistd.h."""
_MOUNT_POINTS: Final = ("/proc", "/tmp", "/run", "/dev", "/mnt")  # noqa: S108  # nothing is written there
"""Any folder will do to mount the empty root on; the old root with all its folders is gone a moment later."""

_libc: Final = ctypes.CDLL(None, use_errno=True)


class Namespaces:
    """Tells of each child whether it was born in namespaces of its own; `enter` is what makes it so."""

    name = "namespaces"

    def __init__(self, *, inside: bool) -> None:
        self.trouble = "" if inside else "left out"
        """Why there are none; empty where there are."""
        self.keeper: int | None = None
        """The first process of the namespace of processes, which lasts as long as that one does."""

    def enter(self) -> None:
        """Move this process into its own namespaces, and its future children into one of processes; once.

        A failure half way leaves it in some of them, which is no less safe than in none.
        """
        try:
            _new_user_namespace()
            _unshare(_CLONE_NEWNS | _CLONE_NEWNET | _CLONE_NEWIPC | _CLONE_NEWUTS | _CLONE_NEWPID)
            self.keeper = _fork_keeper()
            _empty_root()
            self.trouble = ""
        except (OSError, LayerError) as error:
            self.trouble = f"{error}; a container's profile or the distribution may forbid user namespaces"

    def apply(self, spawn: Spawn) -> None:
        """Give up what powers there are inside, and refuse to be looked into by others of the same user."""
        del spawn
        _check(_libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0), "prctl")
        if self.trouble:
            raise LayerError(self.trouble)
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        nothing = (ctypes.c_uint32 * 6)()
        _check(_libc.capset(header, nothing), "capset")


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")


def _unshare(flags: int) -> None:
    _check(_libc.unshare(flags), "unshare")


def _new_user_namespace() -> None:
    """Make one in which this process's own user is the same user, and root's plugin users are themselves, too.

    A user may map nobody but himself, from inside. Root may map many, from outside alone: a helper does it.
    """
    uid, gid = os.geteuid(), os.getegid()
    # A process that has changed its user cannot be written to until it may be looked into again.
    _check(_libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0), "prctl")
    if uid != 0:
        _unshare(_CLONE_NEWUSER)
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1", encoding="ascii")
        return
    go_reader, go_writer = os.pipe()
    parent = os.getpid()
    helper = _forked(lambda: _map_users(parent, go_reader, go_writer))
    try:
        _unshare(_CLONE_NEWUSER)
        os.write(go_writer, b".")
    finally:
        os.close(go_writer)
        os.close(go_reader)
        _, wait_status = os.waitpid(helper, 0)
    if wait_status != 0:
        raise LayerError("the users of the new namespace cannot be set")


def _map_users(pid: int, go_reader: int, go_writer: int) -> None:
    os.close(go_writer)  # or it would wait for itself, should there be no namespace
    if os.read(go_reader, 1):
        lines = f"0 0 1\n{UID_FIRST} {UID_FIRST} {UID_COUNT}\n"
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{pid}/{name}").write_text(lines, encoding="ascii")


def _forked(work: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return pid


def _fork_keeper() -> int:
    """The first child is the namespace's init: when it ends, all others are killed and no more can be born."""
    return _forked(_keep)


def _keep() -> NoReturn:
    _check(_libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    _libc.prctl(_PR_SET_NAME, b"sark-keeper", 0, 0, 0)
    os.closerange(0, os.sysconf("SC_OPEN_MAX"))
    while True:
        signal.pause()


def _empty_root() -> None:
    number = _PIVOT_ROOT.get(platform.machine())
    if number is None:
        raise LayerError(f"how to change the root on {platform.machine()} is not known")
    # Nothing mounted here is to be seen outside.
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE, None)
    target = next(path for path in _MOUNT_POINTS if Path(path).is_dir())
    guarded = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    _mount("none", target, "tmpfs", guarded, "size=4k,nr_inodes=2,mode=555")
    os.chdir(target)
    _check(_libc.syscall(number, b".", b"."), "pivot_root")
    _check(_libc.umount2(b".", _MNT_DETACH), "umount")
    os.chdir("/")
    _mount(None, "/", None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | guarded, None)


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None) -> None:
    encoded = [None if word is None else word.encode() for word in (source, target, kind, options)]
    _check(
        _libc.mount(encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3]), f"mount of {kind or target}"
    )
