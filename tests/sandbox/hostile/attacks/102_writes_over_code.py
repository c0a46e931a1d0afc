"""what: Makes the C library's code writable, to write over it.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "writes_over_code"

    def attack(self, context, given):
        ctypes = reach("ctypes")
        place = ctypes.cast(libc().getpid, ctypes.c_void_p).value & ~4_095
        syscall("mprotect", place, 4_096, 7)
        return "ESCAPED: code is writable"
