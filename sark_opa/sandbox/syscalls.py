"""What a plugin's process may ask of the kernel, as data, and the filter made of it.

Three kinds of calls: those the interpreter needs, allowed; those a program commonly tries, refused with EPERM so
that Python raises an error the author can read; and all others, which no plugin makes by accident: the process is
killed with SIGSYS, and the service sees a violation. A call the kernel learns tomorrow is of the third kind.

The filter is built here, in the service, since libseccomp is found by programs a plugin's process cannot run; the
process gets the finished program.
"""

from __future__ import annotations

import errno
import os
import tempfile
from dataclasses import dataclass
from typing import Any, Final

CONNECTION_FD: Final = 3
"""The one descriptor a plugin's process has beside the standard three, which lead nowhere."""
_PROT_EXEC: Final = 4

ALLOWED: Final = (  # noqa: SIM905  # as a list, a call a line, it would be ten times as long
    "brk exit exit_group getpid getrandom gettid gettimeofday mremap munmap nanosleep poll ppoll restart_syscall "
    "rt_sigreturn sched_yield time"
).split()
"""Memory, time, randomness, locks, the end. `poll` waits for an answer of the service; it opens nothing."""

ON_CONNECTION: Final = ("recvfrom", "sendto")
"""Allowed on `CONNECTION_FD` alone, without flags and without an address: out-of-band data and the queue of errors are
the dark corners of sockets."""

OWN_CLOCKS: Final = ("clock_getres", "clock_gettime", "clock_nanosleep")
"""Allowed for `clockid_t` up to `CLOCK_ID_MAX`: beyond are other processes' CPU clocks, by which they can be found."""
CLOCK_ID_MAX: Final = 11
"""CLOCK_TAI of linux/time.h."""

FUTEX_OPERATIONS: Final = (0, 1, 9, 10)
"""Waiting and waking, with and without bits: FUTEX_WAIT, WAKE, WAIT_BITSET, WAKE_BITSET. What is left out inherits
priorities and moves waiters between locks, which locks of Python never ask for."""
FUTEX_OPERATION_MASK: Final = 127
"""What is left of an operation without its flags. From linux/futex.h."""

MEMORY_ADVICE: Final = (0, 4, 8, 14, 15)
"""MADV_NORMAL, DONTNEED, FREE, HUGEPAGE, NOHUGEPAGE: an allocator's. MADV_MERGEABLE would let a plugin find out, by the
time a write takes, what is in others' memory. From asm-generic/mman-common.h."""

NOT_EXECUTABLE: Final = ("mmap", "mprotect")
"""Allowed unless they would make memory executable; their third argument says so."""

REFUSED: Final = (  # noqa: SIM905  # same
    # Files.
    "access chdir chmod chown chroot close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 "
    "fadvise64 "
    "fallocate fchdir fchmod fchmodat fchown fchownat fcntl fdatasync fgetxattr flock fstat fstatfs fsync ftruncate "
    "futimesat getcwd getdents getdents64 getxattr inotify_add_watch inotify_init inotify_init1 ioctl lchown lgetxattr "
    "link linkat listxattr lseek lstat mkdir mkdirat mknod mknodat newfstatat open openat openat2 pread64 preadv "
    "preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv rename renameat renameat2 rmdir "
    "sendfile setxattr splice stat statfs statx symlink symlinkat sync tee truncate umask unlink unlinkat utime "
    "utimensat utimes vmsplice write writev "
    # Sockets, and waiting for them.
    "accept accept4 bind connect epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd "
    "eventfd2 getpeername getsockname getsockopt listen pipe pipe2 pselect6 recvmmsg recvmsg select sendmmsg sendmsg "
    "setsockopt shutdown signalfd signalfd4 socket socketpair "
    # Processes, threads, signals.
    "alarm clone clone3 execve execveat fork getitimer getpgid getpgrp getppid getsid kill pause pidfd_open "
    "pidfd_send_signal prctl rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigsuspend "
    "rt_sigtimedwait rt_tgsigqueueinfo setitimer setpgid setsid sigaltstack tgkill timer_create timerfd_create tkill "
    "vfork wait4 waitid "
    # Who one is, what there is, and limits.
    "capget capset getegid geteuid getgid getgroups getpriority getresgid getresuid getrlimit getrusage getuid "
    "ioprio_get ioprio_set memfd_create mincore mlock mlock2 mlockall msgget msync munlock munlockall prlimit64 "
    "sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getparam sched_getscheduler "
    "sched_rr_get_interval sched_setaffinity sched_setparam sched_setscheduler semget setgid setgroups setpriority "
    "setregid setresgid setresuid setreuid setrlimit setuid shmat shmctl shmdt shmget sysinfo times uname"
).split()


@dataclass(frozen=True, slots=True)
class Program:
    """A filter as BPF; empty where it cannot be built, and `trouble` says why."""

    bpf: bytes
    trouble: str = ""


def build() -> Program:
    """The filter for this machine."""
    try:
        import pyseccomp  # noqa: PLC0415  # it looks for libseccomp when it is imported, and raises where there is none
    except (ImportError, OSError, RuntimeError) as error:
        return Program(b"", f"libseccomp cannot be used ({error}); install it (Debian: libseccomp2)")
    refuse = pyseccomp.ERRNO(errno.EPERM)
    try:
        rules = pyseccomp.SyscallFilter(pyseccomp.KILL_PROCESS)
        # Calls of another ABI of the same machine (i386, x32) are numbered differently: none passes.
        rules.set_attr(pyseccomp.Attr.ACT_BADARCH, pyseccomp.KILL_PROCESS)
        for name in _known(pyseccomp, ALLOWED):
            rules.add_rule(pyseccomp.ALLOW, name)
        for name in _known(pyseccomp, REFUSED):
            rules.add_rule(refuse, name)
        _add_conditional(pyseccomp, rules, refuse)
        with tempfile.TemporaryFile() as file:
            rules.export_bpf(file)
            size = os.fstat(file.fileno()).st_size
            return Program(os.pread(file.fileno(), size, 0))
    except (OSError, ValueError) as error:
        return Program(b"", f"the seccomp filter cannot be built: {error}")


def _add_conditional(pyseccomp: Any, rules: Any, refuse: int) -> None:
    """Calls that depend on their arguments: each with what is allowed, and with what is refused or else kills."""
    arg, allow = pyseccomp.Arg, pyseccomp.ALLOW
    for name in ON_CONNECTION:
        wanted = ((0, CONNECTION_FD), (3, 0), (4, 0))
        rules.add_rule(allow, name, *(arg(place, pyseccomp.EQ, value) for place, value in wanted))
        for place, value in wanted:
            rules.add_rule(refuse, name, arg(place, pyseccomp.NE, value))
    for name in NOT_EXECUTABLE:
        rules.add_rule(allow, name, arg(2, pyseccomp.MASKED_EQ, _PROT_EXEC, 0))
        rules.add_rule(refuse, name, arg(2, pyseccomp.MASKED_EQ, _PROT_EXEC, _PROT_EXEC))
    for name in OWN_CLOCKS:
        rules.add_rule(allow, name, arg(0, pyseccomp.LE, CLOCK_ID_MAX))
        rules.add_rule(refuse, name, arg(0, pyseccomp.GT, CLOCK_ID_MAX))
    for operation in FUTEX_OPERATIONS:
        rules.add_rule(allow, "futex", arg(1, pyseccomp.MASKED_EQ, FUTEX_OPERATION_MASK, operation))
    for advice in MEMORY_ADVICE:
        rules.add_rule(allow, "madvise", arg(2, pyseccomp.EQ, advice))


def _known(pyseccomp: Any, names: list[str]) -> list[str]:
    """Those this machine has: aarch64 knows no `open` and no `fork`, and an older libseccomp not the newest calls."""
    known = []
    for name in names:
        try:
            number = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)
        except (OSError, ValueError):
            continue
        if number >= 0:
            known.append(name)
    return known
