"""what: Moves a page of the C library's code, to put another in its place.
origin: ours
outcome: crashed
reason: SIGSEGV
"""


class Attack(Hostile):
    name = "mremap_of_code"

    def attack(self, context, given):
        ctypes = reach("ctypes")
        code = ctypes.cast(libc().wcstold, ctypes.c_void_p).value & ~4_095
        place = syscall("mmap", 0, 4_096, 3, 0x22, -1, 0)
        ctypes.memset(place, 0xC3, 4_096)
        # Data goes where code was; the page keeps the rights of data, so that a call of it must fail.
        syscall("mremap", place, 4_096, 4_096, 3, code)
        libc().wcstold(0, 0)
        return "ESCAPED: its own bytes ran as code"
