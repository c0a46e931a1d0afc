"""Stands before every attack's own text: what a hostile author would bring along. NAME is set by the runner."""

import asyncio
import time
import typing
from abc import abstractmethod

from sark_opa.plugin import PolicyContext, PolicyDecision, PolicyPlugin

# Linux on x86_64.
NUMBERS = {
    "accept4": 288, "acct": 163, "add_key": 248, "adjtimex": 159, "alarm": 37, "arch_prctl": 158, "bpf": 321,
    "capset": 126, "chroot": 161, "clone": 56, "clone3": 435, "connect": 42, "cachestat": 451,
    "epoll_create1": 291, "eventfd2": 290, "execve": 59, "execveat": 322, "fanotify_init": 300, "fork": 57,
    "fsopen": 430, "futex": 202, "get_robust_list": 274, "getdents64": 217, "getpgid": 121, "getpriority": 140,
    "getrusage": 98, "init_module": 175, "inotify_init1": 294, "io_uring_setup": 425, "ioctl": 16, "ioperm": 173,
    "iopl": 172, "ioprio_set": 251, "kcmp": 312, "kexec_load": 246, "keyctl": 250, "kill": 62,
    "landlock_create_ruleset": 444, "landlock_restrict_self": 446, "listmount": 458, "lsm_get_self_attr": 459,
    "map_shadow_stack": 453, "membarrier": 324, "memfd_create": 319, "memfd_secret": 447, "migrate_pages": 256,
    "mmap": 9, "modify_ldt": 154, "mount": 165, "mount_setattr": 442, "move_mount": 429, "move_pages": 279,
    "mprotect": 10, "mq_open": 240, "mremap": 25, "msgget": 68, "name_to_handle_at": 303, "open": 2,
    "open_by_handle_at": 304, "open_tree": 428, "openat2": 437, "perf_event_open": 298, "personality": 135,
    "pidfd_getfd": 438, "pidfd_open": 434, "pidfd_send_signal": 424, "pivot_root": 155, "pkey_alloc": 330,
    "pkey_mprotect": 329, "prctl": 157, "prlimit64": 302, "process_madvise": 440, "process_mrelease": 448,
    "process_vm_readv": 310, "process_vm_writev": 311, "ptrace": 101, "quotactl": 179, "reboot": 169,
    "recvmsg": 47, "remap_file_pages": 216, "request_key": 249, "rt_sigaction": 13, "rt_sigqueueinfo": 129,
    "rt_tgsigqueueinfo": 297, "sched_setaffinity": 203, "sched_setscheduler": 144, "seccomp": 317, "semget": 64,
    "sendmsg": 46, "sendto": 44, "set_robust_list": 273, "setns": 308, "setpriority": 141, "setsid": 112,
    "settimeofday": 164, "shmat": 30, "shmget": 29, "signalfd4": 289, "socket": 41, "splice": 275, "statx": 332,
    "swapon": 167, "syslog": 103, "tgkill": 234, "timer_create": 222, "timerfd_create": 283, "tkill": 200,
    "umount2": 166, "uname": 63, "unshare": 272, "userfaultfd": 323, "vfork": 58, "vmsplice": 278,
}  # fmt: skip


def reach(name):
    """A module a plugin may not import, as long as anybody has loaded it."""
    return typing.sys.modules[name]


def libc():
    """The C library of this process."""
    return reach("ctypes").CDLL(None, use_errno=True)


def must(result):
    """The result of a C function, or what went wrong as an exception."""
    if result in {-1, 0xFFFFFFFFFFFFFFFF}:
        number = reach("ctypes").get_errno()
        raise OSError(number, reach("os").strerror(number))
    return result


def syscall(name, *arguments):
    """A system call past every wrapper; a name of NUMBERS or a number."""
    ctypes = reach("ctypes")
    call = libc().syscall
    call.restype = ctypes.c_long
    number = name if isinstance(name, int) else NUMBERS[name]
    return must(call(ctypes.c_long(number), *(_argument(ctypes, argument) for argument in arguments)))


def _argument(ctypes, argument):
    if isinstance(argument, int):
        return ctypes.c_long(argument)
    if isinstance(argument, bytes):
        return ctypes.c_char_p(argument)
    return argument


def send(data):
    """Bytes to the service past the worker."""
    return must(libc().send(3, data, len(data), 0))


def frame(*fields):
    """A well-formed message of the worker's protocol."""
    body = reach("msgspec").msgpack.encode(list(fields))
    return len(body).to_bytes(4, "big") + body


def worker():
    """The worker that called this, found by its frame."""
    caller = typing.sys._getframe()
    while type(caller.f_locals.get("self")).__name__ != "Worker":
        caller = caller.f_back
    return caller.f_locals["self"]


def ask_id():
    """The number of the question being answered, found on the worker's stack."""
    caller = typing.sys._getframe()
    while type(caller.f_locals.get("ask")).__name__ != "Ask":
        caller = caller.f_back
    return caller.f_locals["ask"].id


class Hostile(PolicyPlugin):
    """What attacks have in common; one with more to it than `attack` writes `evaluate` itself."""

    version = "1.0.0"

    async def evaluate(self, context: PolicyContext) -> PolicyDecision:
        if context.principal_id == "after":
            return PolicyDecision(True, "as before")
        return PolicyDecision(True, str(self.attack(context, context.arguments)))

    def attack(self, context, given):
        """To be overridden."""
        raise NotImplementedError

    @property
    @abstractmethod
    def name(self) -> str:
        """Each attack has its own."""
